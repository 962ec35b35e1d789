"""Bases assembled from others: sums, Kronecker products, reordered coordinates, combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, reduce
from math import expm1, fsum, log1p, prod
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int, Num

from intertwine.arrays import Array, constant, namespace, rows_at, working_dtype
from intertwine.bases.storage import Put, Storage, read_count
from intertwine.errors import FormatError

_COMBINATION = 1e-9  # the largest entry of NᴴN − 1 in a file


class Sum(Storage):
    """The block-diagonal matrix m₁Q₁ ⊕ m₂Q₂ ⊕ …, each block stored once."""

    kind = "sum"

    def __init__(self, blocks: Sequence[tuple[int, Storage]]) -> None:
        self.blocks = tuple(blocks)
        rows, columns = (sum(m * block.shape[axis] for m, block in blocks) for axis in (0, 1))
        self.shape = (rows, columns)
        self.dtype = np.result_type(np.float64, *(block.dtype for _, block in blocks))

    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Q w, block by block."""
        return self._blockwise(w, 1, lambda block: block.apply)

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Qᴴ v, block by block."""
        return self._blockwise(v, 0, lambda block: block.adjoint)

    def _blockwise(self, x: Array, axis: int, operation: Any) -> Array:
        xp, k, at, results = namespace(x), x.shape[1], 0, []
        for multiplicity, block in self.blocks:
            size = block.shape[axis]
            part = x[at : at + multiplicity * size].reshape(multiplicity, size, k)
            at += multiplicity * size
            columns = xp.swapaxes(part, 0, 1).reshape(size, multiplicity * k)
            rows = block.shape[1 - axis]  # not -1, which is ambiguous if an axis is empty
            moved = operation(block)(columns).reshape(rows, multiplicity, k)
            results.append(xp.swapaxes(moved, 0, 1).reshape(multiplicity * rows, k))
        if not results:
            return xp.zeros((0, k), dtype=working_dtype(x, self.dtype))
        return xp.concatenate(results)

    def sparse(self) -> Any:
        """Return the block-diagonal sparse array."""
        from scipy.sparse import block_diag, csc_array

        blocks = [block.sparse() for m, block in self.blocks for _ in range(m)]
        return block_diag(blocks, format="csc") if blocks else csc_array(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the blocks, each counted once."""
        return sum(block.nbytes for _, block in self.blocks)

    def orthonormality_of_whole(self, part: float) -> float:
        """Return the largest of the blocks' bounds."""
        bounds = (block.orthonormality_of_whole(part) for _, block in self.blocks)
        return max(bounds, default=0.0)

    def write(self, put: Put) -> dict[str, Any]:
        """Write the blocks in order."""
        blocks = [{"multiplicity": m, "storage": block.write(put)} for m, block in self.blocks]
        return {"kind": self.kind, "blocks": blocks}

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Sum:
        blocks = [
            (read_count(b["multiplicity"], "a multiplicity", 1), Storage.read(b["storage"], arrays))
            for b in meta["blocks"]
        ]
        return cls(blocks)


class KroneckerStorage(Storage):
    """The Kronecker product Q₁ ⊗ Q₂ ⊗ … of bases over different groups."""

    kind = "kronecker"

    def __init__(self, factors: Sequence[Storage]) -> None:
        self.factors = tuple(factors)
        rows, columns = (prod(factor.shape[axis] for factor in factors) for axis in (0, 1))
        self.shape = (rows, columns)
        self.dtype = np.result_type(np.float64, *(factor.dtype for factor in factors))

    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Q w, factor by factor."""
        return self._factorwise(w, 1, lambda factor: factor.apply)

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Qᴴ v, factor by factor."""
        return self._factorwise(v, 0, lambda factor: factor.adjoint)

    def _factorwise(self, x: Array, axis: int, operation: Any) -> Array:
        xp, k = namespace(x), x.shape[1]
        tensor = x.reshape(*(factor.shape[axis] for factor in self.factors), k)
        for slot, factor in enumerate(self.factors):
            moved = xp.moveaxis(tensor, slot, 0)
            # not -1, which is ambiguous if an axis is empty
            flat = moved.reshape(moved.shape[0], prod(moved.shape[1:]))
            result = operation(factor)(flat).reshape(factor.shape[1 - axis], *moved.shape[1:])
            tensor = xp.moveaxis(result, 0, slot)
        return tensor.reshape(self.shape[1 - axis], k)

    def sparse(self) -> Any:
        """Return the Kronecker product of the sparse factors."""
        from scipy.sparse import csc_array, kron

        product = reduce(lambda a, b: kron(a, b, format="csc"), [f.sparse() for f in self.factors])
        return csc_array(product)

    @property
    def nbytes(self) -> int:
        """The bytes of the factors."""
        return sum(factor.nbytes for factor in self.factors)

    def orthonormality_of_whole(self, part: float) -> float:
        """Return ∏(1 + εᵢ) − 1 for the factors' bounds εᵢ."""
        if len(self.factors) == 1:
            return self.factors[0].orthonormality_of_whole(part)
        bounds = (factor.orthonormality_of_whole(part) for factor in self.factors)
        return expm1(fsum(map(log1p, bounds)))

    def write(self, put: Put) -> dict[str, Any]:
        """Write the factors in order."""
        return {"kind": self.kind, "factors": [factor.write(put) for factor in self.factors]}

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> KroneckerStorage:
        factors = [Storage.read(factor, arrays) for factor in meta["factors"]]
        if not factors:
            raise FormatError("a Kronecker product needs factors")
        return cls(factors)


class Permuted(Storage):
    """A basis whose coordinates are reordered: row i is row `rows[i]` of the inner one."""

    kind = "permuted"

    def __init__(self, rows: Int[np.ndarray, " n"], inner: Storage) -> None:
        self.rows, self.inner = rows, inner
        self.shape, self.dtype = inner.shape, inner.dtype

    @cached_property
    def _inverse(self) -> Int[np.ndarray, " n"]:
        inverse = np.empty_like(self.rows)
        inverse[self.rows] = np.arange(len(self.rows))
        return inverse

    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Q w, reordered."""
        return rows_at(self.rows, self.inner.apply(w))

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Return Qᴴ v, with v reordered to the inner order."""
        return self.inner.adjoint(rows_at(self._inverse, v))

    def sparse(self) -> Any:
        """Return the inner one with its rows reordered."""
        return self.inner.sparse().tocsr()[self.rows].tocsc()

    @property
    def nbytes(self) -> int:
        """The bytes of the order and of the inner storage."""
        return self.rows.nbytes + self.inner.nbytes

    def orthonormality_of_whole(self, part: float) -> float:
        """Return the inner bound: reordering keeps columns orthonormal."""
        return self.inner.orthonormality_of_whole(part)

    def write(self, put: Put) -> dict[str, Any]:
        """Write the order and the inner storage."""
        return {
            "kind": self.kind,
            "rows": put("rows", self.rows),
            "storage": self.inner.write(put),
        }

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Permuted:
        rows, inner = arrays[meta["rows"]], Storage.read(meta["storage"], arrays)
        seen = np.zeros(inner.shape[0], dtype=bool)
        seen[rows] = True
        if rows.shape != seen.shape or rows.min(initial=0) < 0 or not np.all(seen):
            raise FormatError("the order of a permuted basis is not a permutation")
        return cls(rows, inner)


class Combined(Storage):
    """Combinations of the columns of another basis: Q N for a matrix N with NᴴN = 1."""

    kind = "combined"

    def __init__(self, inner: Storage, combination: Inexact[np.ndarray, "r s"]) -> None:
        self.inner, self.combination = inner, combination
        self.shape = (inner.shape[0], combination.shape[1])
        self.dtype = np.result_type(inner.dtype, combination.dtype)

    def apply(self, w: Num[Any, "s k"]) -> Num[Any, "n k"]:
        """Q (N w)."""
        return self.inner.apply(self._in(w) @ w)

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "s k"]:
        """Nᴴ (Qᴴ v)."""
        return self._in(v).conj().T @ self.inner.adjoint(v)

    def _in(self, argument: Array) -> Array:
        dtype = working_dtype(argument, self.combination.dtype)
        return constant(self.combination, argument, dtype)

    def sparse(self) -> Any:
        """Return the product of the inner sparse array and N, without rounding errors."""
        from scipy.sparse import csc_array

        found = self.inner.sparse() @ csc_array(self.combination)
        found.data[np.abs(found.data) <= 1e-14] = 0
        found.eliminate_zeros()
        return csc_array(found)

    @property
    def nbytes(self) -> int:
        """The bytes of the combination and of the inner storage."""
        return self.combination.nbytes + self.inner.nbytes

    def orthonormality_of_whole(self, part: float) -> float:
        """Return (1 + ε)(1 + δ) − 1 for the bounds of the inner basis and of N."""
        n = self.combination
        own = float(np.linalg.norm(n.conj().T @ n - np.eye(n.shape[1])))
        return expm1(log1p(self.inner.orthonormality_of_whole(part)) + log1p(own))

    def write(self, put: Put) -> dict[str, Any]:
        """Write the combination and the inner storage."""
        return {
            "kind": self.kind,
            "combination": put("combination", self.combination),
            "storage": self.inner.write(put),
        }

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Combined:
        combination = arrays[meta["combination"]]
        inner = Storage.read(meta["storage"], arrays)
        fits = combination.ndim == 2 and combination.dtype in (np.float64, np.complex128)
        if not fits or combination.shape[0] != inner.shape[1]:
            raise FormatError(
                f"a combination of {inner.shape[1]} columns is a float64 matrix with as many rows, "
                f"not {combination.dtype}{combination.shape}"
            )
        gram = combination.conj().T @ combination
        if not np.abs(gram - np.eye(len(gram))).max(initial=0.0) <= _COMBINATION:
            raise FormatError("the columns of a combination are not orthonormal")
        return cls(inner, combination)
