"""A basis as a dense matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Inexact, Num

from intertwine.arrays import Array, constant, working_dtype
from intertwine.bases.storage import Put, Storage
from intertwine.errors import FormatError

_LENGTH_TOLERANCE = 1e-6
_LOOKED_AT = 2**20  # entries


class DenseStorage(Storage):
    """The matrix itself, float64 or complex128."""

    kind = "dense"

    def __init__(self, matrix: Inexact[np.ndarray, "n r"]) -> None:
        self.matrix = matrix
        self.shape = (matrix.shape[0], matrix.shape[1])
        self.dtype = matrix.dtype

    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Q w."""
        return self._in(w) @ w

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Qᴴ v."""
        return self._in(v).conj().T @ v

    def _in(self, argument: Array) -> Array:
        return constant(self.matrix, argument, working_dtype(argument, self.dtype))

    def sparse(self) -> Any:
        """Return Q without entries that are rounding errors."""
        from scipy.sparse import csc_array

        return csc_array(np.where(np.abs(self.matrix) > 1e-14, self.matrix, 0))

    @property
    def nbytes(self) -> int:
        """The bytes of the matrix."""
        return self.matrix.nbytes

    @property
    def written_out(self) -> Inexact[np.ndarray, "n r"]:
        """The matrix."""
        return self.matrix

    def columns(self, block_bytes: int | None = None) -> Iterator[Inexact[np.ndarray, "n _"]]:
        """Yield the columns, contiguous in memory."""
        width = self._block_width(block_bytes)
        for start in range(0, self.shape[1], width):
            yield np.ascontiguousarray(self.matrix[:, start : start + width])

    def orthonormality(self) -> float:
        """Return the Frobenius norm of QᴴQ − 1."""
        q = self.matrix
        return float(np.linalg.norm(q.conj().T @ q - np.eye(q.shape[1])))

    def write(self, put: Put) -> dict[str, Any]:
        """Write one array."""
        return {"kind": self.kind, "matrix": put("matrix", self.matrix)}

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> DenseStorage:
        matrix = arrays[meta["matrix"]]
        if matrix.ndim != 2 or matrix.dtype not in (np.float64, np.complex128):
            raise FormatError(
                f"a dense basis is a float64 matrix, not {matrix.dtype}{matrix.shape}"
            )
        _refuse_no_basis(matrix)
        return cls(matrix)


def _refuse_no_basis(matrix: Inexact[np.ndarray, "n r"]) -> None:
    """Raise `FormatError` for NaN, infinities and columns whose length is not 1.

    Of a large matrix only the first rows are checked: it may be memory-mapped.
    """
    rank = matrix.shape[1]
    looked_at = matrix[: max(1, _LOOKED_AT // max(1, rank))]
    length = np.vdot(looked_at, looked_at).real
    too_short = len(looked_at) == len(matrix) and length < rank * (1 - _LENGTH_TOLERANCE)
    if too_short or not length <= rank * (1 + _LENGTH_TOLERANCE):
        raise FormatError(f"the {rank} columns of a dense basis have ‖Q‖² = {length:.6g}")
