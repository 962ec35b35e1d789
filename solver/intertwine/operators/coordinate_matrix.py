"""A sparse matrix as an operator."""

from __future__ import annotations

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.arrays import Array, constant, is_numpy, namespace, rows_at, with_rows_added
from intertwine.operators.base import LinearOperator
from intertwine.torch_compilation import one_operation


class CoordinateMatrix(LinearOperator):
    """The real matrix with the entries `values` at (`rows`, `columns`), which may repeat."""

    def __init__(
        self,
        shape: tuple[int, int],
        rows: Int[np.ndarray, " m"],
        columns: Int[np.ndarray, " m"],
        values: Inexact[np.ndarray, " m"],
    ) -> None:
        self.shape = shape
        self.rows, self.columns, self.values = rows, columns, values
        self.dtype = np.dtype(values.dtype)

    @one_operation
    def _matmat(self, matrix: Array) -> Array:
        if not is_numpy(matrix):
            xp = namespace(matrix)
            values = constant(self.values, matrix, xp.result_type(matrix.dtype, np.float32))
            moved = values[:, None] * rows_at(self.columns, matrix)
            found = xp.zeros((self.shape[0], matrix.shape[1]), dtype=moved.dtype)
            return with_rows_added(found, self.rows, moved)
        from scipy.sparse import csr_array

        values = self.values
        if matrix.dtype in (np.float32, np.complex64):
            values = values.astype(np.float32)
        return csr_array((values, (self.rows, self.columns)), shape=self.shape) @ matrix

    def _adjoint(self) -> CoordinateMatrix:
        return self.transposed

    @property
    def transposed(self) -> CoordinateMatrix:
        """The transpose, which is the adjoint."""
        m, n = self.shape
        return CoordinateMatrix((n, m), self.columns, self.rows, self.values)
