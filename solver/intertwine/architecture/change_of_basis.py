"""Changes of basis between a rep's own coordinates and those of its irreps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.by_content import ByContent, cleaned
from intertwine.architecture.components import as_copies, from_copies
from intertwine.architecture.features import Features, turned
from intertwine.arrays import Array
from intertwine.irreps import Decomposition


@dataclass(frozen=True, eq=False)
class DenseChange(ByContent):
    """A change of basis by one matrix, ordered by irrep, component, copy; and its inverse."""

    into: Inexact[np.ndarray, "n n"]
    out: Inexact[np.ndarray, "n n"]

    def in_order(self, places: Int[np.ndarray, " n"]) -> DenseChange:
        """Return the change of basis with the coordinates of irreps in another order."""
        return DenseChange(self.into[places], self.out[:, places])


@dataclass(frozen=True, eq=False)
class StepwiseChange(ByContent):
    """A change of basis slot by slot, then within each irrep to its sparse basis."""

    decomposition: Decomposition
    bases: Mapping[str, Inexact[np.ndarray, "_ _"]]

    def enter(self, x: Inexact[Array, "n b"]) -> Features:
        """Return vectors as features in irreps."""
        return {
            irrep.name: turned(self.bases[irrep.name].conj().T, from_copies(copies))
            for irrep, copies in self.decomposition.to_irreps(x).items()
        }

    def leave(self, whole: Features) -> Inexact[Array, "n b"]:
        """Return features in all irreps as vectors."""
        parts = {
            irrep: as_copies(turned(self.bases[irrep.name], whole[irrep.name]))
            for irrep in self.decomposition.multiplicities
        }
        image: Inexact[Array, "n b"] = self.decomposition.from_irreps(parts)
        return image

    def dense(self) -> DenseChange:
        """Return the same change of basis as one matrix."""
        matrix, parts, at = self.decomposition.matrix(), [], 0
        for irrep, m in self.decomposition.multiplicities.items():
            d = irrep.size()
            own = matrix[:, at : at + m * d].reshape(-1, m, d) @ self.bases[irrep.name]
            parts.append(own.transpose(0, 2, 1).reshape(-1, m * d))
            at += m * d
        out = np.concatenate(parts, axis=1) if parts else np.zeros((0, 0))
        return DenseChange(cleaned(np.linalg.inv(out)), cleaned(out))
