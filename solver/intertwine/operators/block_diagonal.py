"""Direct sums: block-diagonal operators whose blocks may repeat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from intertwine.arrays import Array, common_dtype, is_torch, namespace
from intertwine.operators.base import LinearOperator, apply_in_slot, dense, inverse_transpose


class DirectSum(LinearOperator):
    """m₁A₁ ⊕ m₂A₂ ⊕ …: each block (an operator or array) mᵢ times along the diagonal."""

    def __init__(self, blocks: Sequence[tuple[int, LinearOperator | Array]]) -> None:
        self.blocks = tuple((m, block) for m, block in blocks if m)
        rows = sum(m * block.shape[0] for m, block in self.blocks)
        columns = sum(m * block.shape[1] for m, block in self.blocks)
        self.shape = (rows, columns)
        self.dtype = common_dtype(np.float64, *(block.dtype for _, block in self.blocks))

    def _matmat(self, matrix: Array) -> Array:
        at, results = 0, []
        for multiplicity, block in self.blocks:
            stop = at + multiplicity * block.shape[1]
            part = matrix[at:stop].reshape(multiplicity, block.shape[1], matrix.shape[1])
            moved = apply_in_slot(block, part)
            results.append(moved.reshape(multiplicity * block.shape[0], matrix.shape[1]))
            at = stop
        return namespace(matrix, *results).concatenate(results) if results else matrix

    def _adjoint(self) -> DirectSum:
        return DirectSum(
            [(m, b.H if isinstance(b, LinearOperator) else b.conj().T) for m, b in self.blocks]
        )

    def invT(self) -> DirectSum:
        """Return m₁A₁⁻ᵀ ⊕ m₂A₂⁻ᵀ ⊕ …, for square blocks."""
        return DirectSum([(m, inverse_transpose(block)) for m, block in self.blocks])

    def dense(self) -> Array:
        """Return the block-diagonal matrix."""
        matrices = [dense(block) for m, block in self.blocks for _ in range(m)]
        xp = namespace(*matrices)
        if any(map(is_torch, matrices)):
            return xp.block_diagonal(matrices)
        dtype = xp.result_type(np.float32, *matrices) if matrices else self.dtype
        result = xp.zeros(self.shape, dtype=dtype)
        row = column = 0
        for matrix in matrices:
            rows, columns = slice(row, row + len(matrix)), slice(column, column + matrix.shape[1])
            if xp is np:
                result[rows, columns] = matrix
            else:
                result = result.at[rows, columns].set(matrix)
            row, column = rows.stop, columns.stop
        return result
