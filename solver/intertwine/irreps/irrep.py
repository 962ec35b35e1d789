"""An irrep: generator matrices in a canonical basis, and what commutes with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.irreps.actions import MatrixRep

_TYPES = {1: "ℝ", 2: "ℂ", 4: "ℍ"}
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Irrep:
    """An irreducible rep in its canonical basis (DESIGN §5.5).

    `endomorphisms` of shape (e, d, d) are a basis E of what commutes with it, E₀ = 1 and
    tr(EᵢᴴEⱼ) = d δᵢⱼ; over ℝ, e is 1, 2 or 4. `index` is its place in its catalogue.
    """

    index: int
    rep: MatrixRep
    endomorphisms: Inexact[np.ndarray, "e d d"]
    fingerprint: Float[np.ndarray, " f"]

    @property
    def dimension(self) -> int:
        """d."""
        return self.rep.size

    @property
    def type(self) -> str:
        """ℝ, ℂ or ℍ: what its endomorphisms are (over ℂ always ℂ)."""
        if np.iscomplexobj(self.endomorphisms):
            return "ℂ"
        return _TYPES[len(self.endomorphisms)]

    @cached_property
    def name(self) -> str:
        """Its dimension, and a digest of its word traces: the same whenever it is found."""
        rounded = np.round(self.fingerprint, _DIGITS) + 0.0  # no negative zeros
        return f"{self.dimension}-{hashlib.sha256(rounded.tobytes()).hexdigest()[:4]}"

    def __repr__(self) -> str:
        return f"<Irrep {self.name} of dimension {self.dimension}, type {self.type}>"


#: Isometric equivariant maps from each irrep (by index): arrays of shape (n, copies, d).
Isometries = dict[int, Inexact[np.ndarray, "_ _ _"]]
