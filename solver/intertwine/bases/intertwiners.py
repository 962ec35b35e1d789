"""A basis of the maps between two decomposed reps, by Schur's lemma."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Inexact, Num, Shaped

from intertwine.arrays import constant, namespace, working_dtype
from intertwine.bases.storage import Put, Storage, read_count
from intertwine.bases.transform import Transform
from intertwine.errors import FormatError

_ROUNDING = 1e-14  # entries below are zeros of the basis


class Intertwiners(Storage):
    """The invariants of ρ_A ⊗ ρ_B, as maps ρ_B* → ρ_A (Schur): Σ_λ U_A (w_λ ⊗ E) U_B*ᴴ / √d_λ.

    `left` decomposes ρ_A, `right` ρ_B*, and `endomorphisms[λ]` of shape (e, d, d) span the
    commutant of λ. Coordinates are ordered by irrep, copy in A, copy in B*, endomorphism.
    """

    kind = "intertwiners"

    def __init__(
        self,
        left: Transform,
        right: Transform,
        endomorphisms: Mapping[int, Inexact[np.ndarray, "_ _ _"]],
    ) -> None:
        self.endomorphisms = dict(sorted(endomorphisms.items()))
        self.left, self.right = left, right
        self._blocks = [
            (irrep, left.multiplicities[irrep], right.multiplicities[irrep], *units.shape[:2])
            for irrep, units in self.endomorphisms.items()
        ]
        rank = sum(a * b * e for _, a, b, e, _ in self._blocks)
        self.shape = (left.size * right.size, rank)
        parts = [*left.arrays, *right.arrays, *self.endomorphisms.values()]
        self.dtype = np.result_type(np.float64, *(part.dtype for part in parts))

    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Return Q w: coordinates become maps of irreps, and these become maps of the reps."""
        xp, dtype, k = namespace(w), working_dtype(w, self.dtype), w.shape[1]
        if not self.shape[1]:
            return xp.zeros((self.shape[0], k), dtype=dtype)
        rows, at, m = {}, 0, self.right.size
        for irrep, a, b, e, d in self._blocks:
            part = w[at : at + a * b * e].reshape(a, b, e, k)
            at += a * b * e
            part = xp.transpose(part, (0, 3, 2, 1)).reshape(a * k, e * b)
            units = constant(self._units[irrep], w, dtype)  # e, b, d, m
            mapped = (part @ units.reshape(e * b, d * m)).reshape(a, k, d, m)
            rows[irrep] = xp.transpose(mapped, (0, 2, 3, 1)).reshape(a, d, m * k)
        return self.left.backward(rows, m * k).reshape(self.shape[0], k)

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Qᴴ v."""
        xp, dtype, k = namespace(v), working_dtype(v, self.dtype), v.shape[1]
        if not self.shape[1]:
            return xp.zeros((0, k), dtype=dtype)
        found, m = [], self.right.size
        rows = self.left.forward(v.reshape(self.left.size, m * k))
        for irrep, a, b, e, d in self._blocks:
            units = constant(self._units[irrep], v, dtype).reshape(e * b, d * m)
            part = xp.transpose(rows[irrep].reshape(a, d, m, k), (0, 3, 1, 2))
            coordinates = (part.reshape(a * k, d * m) @ units.conj().T).reshape(a, k, e, b)
            found.append(xp.transpose(coordinates, (0, 3, 2, 1)).reshape(a * b * e, k))
        return xp.concatenate(found)

    @cached_property
    def _units(self) -> dict[int, Inexact[np.ndarray, "_ _ _ _"]]:
        """E U_B*ᴴ / √d for each irrep: the right side as matrices, whose size is the square root of
        Q's.
        """
        right = self.right.forward(np.eye(self.right.size, dtype=self.dtype))
        return {
            irrep: np.matmul(units[:, None], right[irrep]) / np.sqrt(units.shape[1])
            for irrep, units in self.endomorphisms.items()
        }

    def sparse(self) -> Any:
        """Return Q without entries that are rounding errors."""
        from scipy.sparse import csc_array, hstack

        blocks = [
            csc_array(np.where(np.abs(block) > _ROUNDING, block, 0)) for block in self.columns()
        ]
        return csc_array(hstack(blocks, format="csc")) if blocks else csc_array(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the steps and endomorphisms."""
        parts = [*self.left.arrays, *self.right.arrays, *self.endomorphisms.values()]
        return sum({id(part): part.nbytes for part in parts}.values())

    def write(self, put: Put) -> dict[str, Any]:
        """Write both decompositions (equal arrays once), and the endomorphisms."""
        names: dict[int, str] = {}

        def once(meaning: str, array: Shaped[np.ndarray, "..."]) -> str:
            if id(array) not in names:  # both sides may share steps
                names[id(array)] = put(meaning, array)
            return names[id(array)]

        return {
            "kind": self.kind,
            "left": self.left.write(once),
            "right": None if self.right is self.left else self.right.write(once),
            "endomorphisms": [
                [irrep, put("endomorphisms", units)] for irrep, units in self.endomorphisms.items()
            ],
        }

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Intertwiners:
        left = Transform.read(meta["left"], arrays)
        right = left if meta["right"] is None else Transform.read(meta["right"], arrays)
        endomorphisms = {}
        for irrep, name in meta["endomorphisms"]:
            units = arrays[name]
            dimensions = {t.dimensions.get(read_count(irrep, "an irrep")) for t in (left, right)}
            present = irrep in left.multiplicities and irrep in right.multiplicities
            if not present or units.ndim != 3 or {units.shape[1], units.shape[2]} != dimensions:
                raise FormatError(f"the endomorphisms of irrep {irrep} do not have its shape")
            endomorphisms[irrep] = units
        return cls(left, right, endomorphisms)
