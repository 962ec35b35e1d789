"""Names of the irreps of a connected reductive group, by Dynkin labels and charges."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Num

from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.maximal_torus import UnclearWeights
from intertwine.irreps.names.scheme import Step
from intertwine.irreps.root_systems import RootSystem

_HERMITIAN = 1e-6  # relative
_LIST = r"\(\s*-?\d{1,3}(?:\s*,\s*-?\d{1,3}){0,31}\s*\)"
_CHARGES = rf"m\s*=\s*(?:±?-?\d{{1,3}}|±?{_LIST})"
_TERM = rf"{_LIST}(?:\s*{_CHARGES})?|{_CHARGES}"
_NAME = re.compile(rf"(2?)\s*({_TERM})(?:\s*\+\s*({_TERM}))?")

_Weight = tuple[int, ...]


class DynkinLabels:
    """Dynkin labels and charges of the highest weight (see `RootSystem`), such as (1, 0) of G₂.

    Charges follow as ``m=1`` or ``m=(1, 0)``; a torus has only charges. Over ℝ an irrep may be a
    sum: (1, 0)+(0, 1), m=±1, or 2(1), of twice the same. An irrep has no name if another order of
    the simple roots that V does not distinguish would change it: over ℂ, (3, 0) of SU(3) in its
    adjoint rep. For a compact group over ℝ, one term is enough to find a sum.
    """

    def __init__(self, roots: RootSystem, basis: Num[np.ndarray, "m d d"]) -> None:
        self._roots = roots
        self._basis = basis  # of the Lie algebra, in the coordinates of the images
        self._heights = roots.heights
        labels = [1] + [0] * (roots.rank - 1) if roots.rank else []
        charges = [0 if labels else 1] + [0] * (roots.charges - 1) if roots.charges else []
        self.example = self._term((*labels, *charges))

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep; None if it is ambiguous."""
        roots = self._roots
        cartan = images.combinations(self._basis, roots.elements)
        try:
            found = self._highest(cartan)
        except UnclearWeights:
            return None
        rows = list(map(tuple, found.tolist()))
        if len(rows) > (1 if images.is_complex else 2):
            return None
        return self._text(rows) if self._is_unique(rows) else None

    def _highest(self, cartan: Num[np.ndarray, "w n n"]) -> Int[np.ndarray, "k w"]:
        """Return the weights of the largest height, from the images of a Cartan subalgebra."""
        roots = self._roots
        size = 1 + float(np.abs(cartan).max(initial=0.0))
        crooked = np.abs(cartan - cartan.conj().swapaxes(1, 2)).max(initial=0.0)
        if roots.rank and crooked <= _HERMITIAN * size:
            level = np.tensordot(self._heights, cartan[: roots.rank], 1)
            values, vectors = np.linalg.eigh(level)
            top = vectors[:, values > values[-1] - 0.5]
            cartan = top.conj().T @ cartan @ top
        found = roots.joint_eigenvalues(cartan)
        heights = found[:, : roots.rank] @ self._heights
        highest: Int[np.ndarray, "k w"] = found[heights > heights.max() - 0.5]
        return highest

    def _is_unique(self, rows: Sequence[_Weight]) -> bool:
        """Return whether all orders that V does not distinguish give the same weights."""
        n = self._roots.rank
        others = (
            sorted(tuple(row[i] for i in order) + row[n:] for row in rows)
            for order in self._roots.orders
        )
        return all(other == sorted(rows) for other in others)

    def _text(self, rows: Sequence[_Weight]) -> str:
        ordered = sorted(rows, reverse=True)
        first = ordered[0]
        if len(ordered) == 1:
            return self._term(first)
        if ordered[0] == ordered[1]:
            return f"2{self._term(first)}"
        if not self._roots.rank and ordered[1] == tuple(-x for x in first):
            return self._term(first, "±")
        return "+".join(map(self._term, ordered))

    def _term(self, weight: _Weight, sign: str = "") -> str:
        n = self._roots.rank
        parts = [f"({', '.join(map(str, weight[:n]))})"] if n else []
        if len(weight) > n:
            inside = ", ".join(map(str, weight[n:]))
            parts.append(f"m={sign}{inside if len(weight) == n + 1 else f'({inside})'}")
        return " ".join(parts)

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        terms = [term for term in (match[2], match[3]) if term]
        known = [row for row in map(self._weight, terms) if row is not None]
        is_twice, is_signed = bool(match[1]), "±" in text
        is_single = len(terms) == 1 and not is_twice and not is_signed
        if len(known) < len(terms) or (is_complex and not is_single):
            return None
        if is_single:
            rows = known
            if not is_complex and self._roots.is_compact:
                rows = self._over_the_reals(known[0])
        elif is_signed:
            if self._roots.rank or is_twice or len(terms) > 1 or not any(known[0]):
                return None
            rows = [known[0], tuple(-x for x in known[0])]
        elif is_twice != (len(terms) == 1) or len(set(known)) < len(terms):
            return None
        else:
            rows = known * (1 + is_twice)
        return self._text(rows) if self._is_unique(rows) else None

    def _over_the_reals(self, weight: _Weight) -> list[_Weight]:
        """Return the highest weights of the real irrep of a compact group that contains one.

        The conjugate is the dual, whose highest weight is the dominant one of the orbit of −λ. An
        irrep equal to its dual is of type ℍ if ⟨λ, 2ρ^∨⟩ is odd (Bourbaki, *Lie* VIII, §7.5).
        """
        roots = self._roots
        dual = -np.array([weight], np.int64)
        while (below := np.flatnonzero(dual[0, : roots.rank] < 0)).size:
            dual = roots.reflected(dual, int(below[0]))
        other = tuple(dual[0].tolist())
        if other != weight:
            return [weight, other]
        twice = round(2 * float(np.dot(self._heights, weight[: roots.rank])))
        return [weight] * (1 + twice % 2)

    def _weight(self, text: str) -> _Weight | None:
        """Return the weight of a term; None if its numbers do not fit."""
        labels, _, charges = text.partition("m")
        numbers = [[int(x) for x in re.findall(r"-?\d+", part)] for part in (labels, charges)]
        fits = (len(numbers[0]), len(numbers[1])) == (self._roots.rank, self._roots.charges)
        if not fits or min(numbers[0], default=0) < 0:
            return None
        return tuple(numbers[0] + numbers[1])

    def step(self, name: str) -> Step | None:
        """Return None: irreps are searched in tensors."""
        return None
