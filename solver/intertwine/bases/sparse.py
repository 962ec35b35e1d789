"""A basis as a sparse matrix, in a frame for each slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, reduce
from math import expm1, fsum, log1p, prod, sqrt
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int, Num

from intertwine.arrays import (
    Array,
    constant,
    is_numpy,
    namespace,
    rows_at,
    with_rows_added,
    working_dtype,
)
from intertwine.bases.storage import Put, Storage, read_count
from intertwine.errors import FormatError

_FEW_PAIRS = 1_000_000  # of entries in one row
_ROUNDING = 1e-14  # smaller entries of a frame count as zeros

#: A unitary matrix for each slot, or None for a slot whose coordinates are not changed.
Frames = Sequence[Inexact[np.ndarray, "_ _"] | None]


class SparseStorage(Storage):
    """(F₁ ⊗ … ⊗ F_p) S: a sparse S with orthonormal columns, and a unitary frame F for each slot.

    Column j of S has the entries `values[k]` in the rows `rows[k]` for k from `starts[j]` to
    `starts[j + 1]` − 1; rows increase within a column. A frame is None for the identity. Frames
    that are the same array are stored once.
    """

    kind = "sparse"

    def __init__(
        self,
        rows: Int[np.ndarray, " m"],
        starts: Int[np.ndarray, " r1"],
        values: Inexact[np.ndarray, " m"],
        sizes: Sequence[int],
        frames: Frames,
    ) -> None:
        self.rows, self.starts, self.values = rows, starts, values
        self.sizes, self.frames = tuple(sizes), tuple(frames)
        self.shape = (prod(self.sizes), len(starts) - 1)
        given = (frame.dtype for frame in self.frames if frame is not None)
        self.dtype = np.result_type(np.float64, values.dtype, *given)

    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Return Q w: S first, then the frames, slot by slot."""
        xp, dtype = namespace(w), working_dtype(w, self.dtype)
        if is_numpy(w):
            found = self._cast(self._matrix, dtype) @ w.astype(dtype)
        else:
            weighted = constant(self.values, w, dtype)[:, None] * rows_at(self._columns, w)
            zeros = xp.zeros((self.shape[0], w.shape[1]), dtype=dtype)
            found = with_rows_added(zeros, self.rows, weighted)
        return self._in_frames(found, dtype, adjoint=False)

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Return Qᴴ v: the frames' adjoints first, then that of S."""
        xp, dtype = namespace(v), working_dtype(v, self.dtype)
        moved = self._in_frames(v, dtype, adjoint=True)
        if is_numpy(v):
            return self._cast(self._adjoint_matrix, dtype) @ moved.astype(dtype)
        weights = constant(self._conjugates, v, dtype)[:, None]
        zeros = xp.zeros((self.shape[1], v.shape[1]), dtype=dtype)
        return with_rows_added(zeros, self._columns, weights * rows_at(self.rows, moved))

    def _in_frames(self, x: Array, dtype: np.dtype[Any], *, adjoint: bool) -> Array:
        shape = x.shape
        for slot, frame in enumerate(self._adjoint_frames if adjoint else self.frames):
            if frame is not None:
                matrix = constant(frame, x, dtype)
                before, after = prod(self.sizes[:slot]), prod(self.sizes[slot + 1 :]) * shape[1]
                x = (matrix @ x.reshape(before, self.sizes[slot], after)).reshape(shape)
        return x

    @cached_property
    def _adjoint_frames(self) -> Frames:
        return [None if frame is None else frame.conj().T for frame in self.frames]

    @cached_property
    def _conjugates(self) -> Inexact[np.ndarray, " m"]:
        """The complex conjugates of the values."""
        return self.values.conj()

    @cached_property
    def _columns(self) -> Int[np.ndarray, " m"]:
        """The column of each entry."""
        return np.repeat(np.arange(self.shape[1]), np.diff(self.starts))

    @cached_property
    def _matrix(self) -> Any:
        """S by rows."""
        from scipy.sparse import csc_array

        return csc_array((self.values, self.rows, self.starts), shape=self.shape).tocsr()

    @cached_property
    def _adjoint_matrix(self) -> Any:
        """Sᴴ by rows."""
        from scipy.sparse import csr_array

        shape = self.shape[::-1]
        return csr_array((self.values.conj(), self.rows, self.starts), shape=shape)

    @staticmethod
    def _cast(matrix: Any, dtype: np.dtype[Any]) -> Any:
        return matrix if matrix.dtype == dtype else matrix.astype(dtype)

    def sparse(self) -> Any:
        """Return Q; entries that are rounding errors of the frames are left out."""
        from scipy.sparse import csc_array, csr_array, eye_array, kron

        if all(frame is None for frame in self.frames):
            return csc_array((self.values, self.rows, self.starts), shape=self.shape)
        factors = [
            eye_array(size, format="csr")
            if frame is None
            else csr_array(np.where(np.abs(frame) > _ROUNDING, frame, 0))
            for size, frame in zip(self.sizes, self.frames, strict=True)
        ]
        product = reduce(lambda a, b: kron(a, b, format="csr"), factors)
        return csc_array(product @ self._matrix)

    @property
    def nbytes(self) -> int:
        """The bytes of the entries and of the frames, each frame counted once."""
        frames = {id(frame): frame.nbytes for frame in self.frames if frame is not None}
        own = self.rows.nbytes + self.starts.nbytes + self.values.nbytes
        return own + sum(frames.values())

    def orthonormality(self) -> float:
        """Return ∏(1 + εᵢ) − 1 for the Frobenius norms εᵢ of SᴴS − 1 and the frames' FᴴF − 1."""
        errors = {
            id(frame): float(np.linalg.norm(frame.conj().T @ frame - np.eye(len(frame))))
            for frame in self.frames
            if frame is not None
        }
        bounds = [errors[id(frame)] for frame in self.frames if frame is not None]
        return expm1(fsum(log1p(bound) for bound in (*bounds, self._gram_error())))

    def _gram_error(self) -> float:
        """Return ‖SᴴS − 1‖. For few entries in a row, without importing SciPy."""
        order = np.argsort(self.rows, kind="stable")
        rows, columns, values = self.rows[order], self._columns[order], self.values[order]
        most = int(np.unique(rows, return_counts=True)[1].max(initial=0))
        if most * len(rows) > _FEW_PAIRS:
            from scipy.sparse import eye_array

            gram = self._adjoint_matrix @ self._matrix - eye_array(self.shape[1], format="csr")
            return float(np.linalg.norm(gram.data))
        squares = np.bincount(columns, np.abs(values) ** 2, minlength=self.shape[1]) - 1
        total = float((squares**2).sum())
        places, products = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
        for step in range(1, most):  # pairs of entries in one row, whose columns increase
            k = np.flatnonzero(rows[step:] == rows[:-step])
            places.append(columns[k] * self.shape[1] + columns[k + step])
            products.append(values[k].conj() * values[k + step])
        _, at = np.unique(np.concatenate(places), return_inverse=True)
        pairs = np.concatenate(products)
        for part in (pairs.real, pairs.imag):
            total += 2 * float((np.bincount(at, part) ** 2).sum())
        return sqrt(total)

    def write(self, put: Put) -> dict[str, Any]:
        """Write the entries, the slots' sizes, and each frame once."""
        names: dict[int, str] = {}
        for frame in self.frames:
            if frame is not None and id(frame) not in names:
                names[id(frame)] = put("frame", frame)
        return {
            "kind": self.kind,
            "rows": put("rows", self.rows),
            "starts": put("starts", self.starts),
            "values": put("values", self.values),
            "sizes": list(self.sizes),
            "frames": [None if frame is None else names[id(frame)] for frame in self.frames],
        }

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> SparseStorage:
        rows, starts, values = (arrays[meta[name]] for name in ("rows", "starts", "values"))
        sizes = [read_count(size, "the size of a slot") for size in meta["sizes"]]
        frames = [None if name is None else arrays[name] for name in meta["frames"]]
        for array in (rows, starts):
            if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
                raise FormatError(f"rows and starts are integers, not {array.dtype}{array.shape}")
        if values.shape != rows.shape or values.dtype not in (np.float64, np.complex128):
            raise FormatError(
                f"the entries of a sparse basis are float64 or complex128, one per row index, not "
                f"{values.dtype}{values.shape}"
            )
        steps = np.diff(starts)
        if not len(starts) or starts[0] != 0 or starts[-1] != len(rows) or np.any(steps < 0):
            raise FormatError("the columns of a sparse basis do not divide its entries")
        inside = np.ones(len(rows), dtype=bool)
        inside[starts[:-1][steps > 0]] = False  # the first entries of columns
        if np.any((rows < 0) | (rows >= prod(sizes))) or np.any(inside[1:] & (np.diff(rows) <= 0)):
            raise FormatError("the row indices of a sparse basis do not increase in its rows")
        if not np.all(np.isfinite(values)):
            raise FormatError("the entries of a sparse basis are not finite")
        if len(frames) != len(sizes) or any(
            frame is not None
            and (frame.shape != (size, size) or frame.dtype not in (np.float64, np.complex128))
            for frame, size in zip(frames, sizes, strict=False)
        ):
            raise FormatError("the frames of a sparse basis are not one square matrix per slot")
        return cls(rows, starts, values, sizes, frames)
