"""An irrep as a catalogue has it: matrices in a canonical basis, and where it was found."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.irreps.actions import MatrixRep
from intertwine.reps.syntax import Rep

_TYPES = {1: "ℝ", 2: "ℂ", 4: "ℍ"}
_DIGITS = 6
_NAME_LENGTH = 6


@dataclass(frozen=True, eq=False)
class Origin:
    """Where an irrep was found: an isometry of shape (n, d) into an atom, or into the product of
    two irreps found before. Through it every group element acts on the irrep.
    """

    inside: Rep | tuple[int, int]
    isometry: Inexact[np.ndarray, "n d"]


@dataclass(frozen=True, eq=False)
class Irreducible:
    """An irreducible rep in its canonical basis (DESIGN §5.5).

    `endomorphisms` of shape (e, d, d) are a basis E of what commutes with it, E₀ = 1 and
    tr(EᵢᴴEⱼ) = d δᵢⱼ; over ℝ, e is 1, 2 or 4. `index` is its place in its catalogue. The trivial
    irrep has no origin.
    """

    index: int
    origin: Origin | None
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
        """W (Wc over ℂ), its dimension, and a digest of its word traces: the same whenever and
        wherever it is found.
        """
        rounded = np.round(self.fingerprint, _DIGITS) + 0.0  # no negative zeros
        digest = hashlib.sha256(rounded.tobytes()).hexdigest()[:_NAME_LENGTH]
        field = "c" if np.iscomplexobj(self.endomorphisms) else ""
        return f"W{field}{self.dimension}_{digest}"

    def __repr__(self) -> str:
        return f"<irrep {self.name} of type {self.type}>"


#: Isometric equivariant maps from each irrep (by index): arrays of shape (n, copies, d).
Isometries = dict[int, Inexact[np.ndarray, "_ _ _"]]
