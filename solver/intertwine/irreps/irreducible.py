"""An irrep in a catalogue: matrices in a canonical basis, and its origin."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.irreps.actions import MatrixRep
from intertwine.reps.syntax import Rep

_TYPES = {1: "ℝ", 2: "ℂ", 4: "ℍ"}
IRREP_NAME = re.compile(r"W(c?)([1-9]\d{0,5})_[0-9a-f]{6,}")
_DIGITS = 6
"""Decimals of the traces in a name. Traces are 0 or generic: structure puts none at a boundary of
rounding."""
_LARGE, _SIGNIFICANT = 1e6, 10
"""For larger traces, this many digits in total: six decimals would be rounding errors."""
_SHORT, _LONGER = 6, 12


@dataclass(frozen=True, eq=False)
class Origin:
    """The origin of an irrep: an isometry of shape (n, d) into an atom, or into the product of two
    irreps found before. It defines the action of every group element on the irrep.
    """

    inside: Rep | tuple[int, int]
    isometry: Inexact[np.ndarray, "n d"]


@dataclass(frozen=True, eq=False)
class Irreducible:
    """An irreducible rep in its canonical basis (docs/how-it-works.md).

    `endomorphisms` of shape (e, d, d) are a basis E of its commutant, with E₀ = 1 and
    tr(EᵢᴴEⱼ) = d δᵢⱼ; over ℝ, e is 1, 2 or 4. `index` is its place in its catalogue. The trivial
    irrep has no origin. `name` is W (Wc over ℂ), the dimension, and a digest of word traces: the
    same in every process.
    """

    index: int
    name: str
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
        """ℝ, ℂ or ℍ: the algebra of its endomorphisms (over ℂ always ℂ)."""
        if np.iscomplexobj(self.endomorphisms):
            return "ℂ"
        return _TYPES[len(self.endomorphisms)]

    def __repr__(self) -> str:
        return f"<irrep {self.name} of type {self.type}>"


def name_of(
    rep: MatrixRep,
    is_complex: bool,
    fingerprint: Float[np.ndarray, " f"],
    more: Callable[[], Float[np.ndarray, " g"]],
    taken: Collection[str],
) -> str:
    """Return a name for a new irrep that is not in `taken`.

    It has six digits of a digest of the traces; if another irrep has that name, six more, of a
    digest of further traces, until the name is free.
    """
    field = "c" if is_complex else ""
    name = f"W{field}{rep.size}_{_digest(fingerprint)[:_SHORT]}"
    if name not in taken:
        return name
    digits, length = _digest(more()), _LONGER - _SHORT
    while f"{name}{digits[:length]}" in taken:
        digits, length = digits + hashlib.sha256(digits.encode()).hexdigest(), length + _SHORT
    return f"{name}{digits[:length]}"


def _digest(traces: Float[np.ndarray, " f"]) -> str:
    largest, digits = float(np.abs(traces).max(initial=0.0)), _DIGITS
    if largest >= _LARGE:
        digits = _SIGNIFICANT - 1 - int(np.floor(np.log10(largest)))
    rounded = np.round(traces, digits) + 0.0  # no negative zeros
    return hashlib.sha256(rounded.tobytes()).hexdigest()


#: Isometric equivariant maps from each irrep (by index): arrays of shape (n, copies, d).
Isometries = dict[int, Inexact[np.ndarray, "_ _ _"]]
