"""Names of the irreps of a product of groups: the factors' names, such as l=1 ⊗ [2, 1].

An irrep of G₁ × G₂ over ℂ is λ₁ ⊗ λ₂, and the algebra that G₂ generates acts on it as all matrices
of λ₂'s size: one copy of λ₁ is an eigenspace of a generic Hermitian element. An irrep over ℝ is
named by the irreps over ℂ that it becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Complex, Inexact, Num

from intertwine.irreps.element_images import IrrepImages, PartImages
from intertwine.irreps.names.scheme import Scheme, Step

_APART = 1e-6  # relative: eigenvalues nearer than this are equal
_KEPT = 1e-8  # relative: an image this far outside of a subspace is rounding
_FACTORS = 6  # random combinations that are multiplied to a generic element
_TIMES, _PLUS = " ⊗ ", " ⊕ "

_Matrix = Num[np.ndarray, "_ _"]


@dataclass(frozen=True, eq=False)
class Factor:
    """A factor of a product: its scheme, its generators in the scheme's coordinates, and the map of
    its elements (or, if the second argument is True, of its Lie algebra) into the product.
    """

    scheme: Scheme
    lie: Sequence[_Matrix]
    elements: Sequence[_Matrix]
    lift: Callable[[_Matrix, bool], _Matrix]


class Products:
    """A direct product: ``l=1 ⊗ [2, 1]``, with a name of each factor.

    A factor's name with a + in it is in parentheses. Over ℝ, an irrep may become two over ℂ. If
    these differ in one factor, that factor's name is the one over ℝ, as in ``m=±1 ⊗ l=2``. Else a
    name has both: ``m=-1 ⊗ m=-1 ⊕ m=1 ⊗ m=1``.
    """

    def __init__(self, factors: Sequence[Factor]) -> None:
        self._factors = factors
        self.example = _joined([factor.scheme.example for factor in factors])

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep; None if a factor has none."""
        if images.is_complex:
            names = self._names(images)
            return None if names is None else _joined(names)
        found = [
            self._names(PartImages(images, lambda g, lie: g, (), half)) for half in _halves(images)
        ]
        known = [names for names in found if names is not None]
        return self._real_text(known) if len(known) == len(found) else None

    def _names(self, images: IrrepImages) -> list[str] | None:
        """Return the names of the factors of an irrep over ℂ."""
        parts = self._parts(images)
        if parts is None:
            return None
        found = [f.scheme.name(part) for f, part in zip(self._factors, parts, strict=True)]
        names = [name for name in found if name is not None]
        return names if len(names) == len(found) else None

    def _real_text(self, halves: Sequence[Sequence[str]]) -> str:
        """Return the name of an irrep over ℝ from those of the irreps over ℂ that it becomes."""
        real = [
            [
                factor.scheme.read(name, is_complex=False) or name
                for factor, name in zip(self._factors, half, strict=True)
            ]
            for half in halves
        ]
        different = sum(a != b for a, b in zip(halves[0], halves[-1], strict=True))
        if different <= 1 and real[0] == real[-1]:
            return self._real_joined(real[0])
        return _PLUS.join(sorted(map(_joined, halves)))

    def _real_joined(self, names: Sequence[str]) -> str:
        """Return the name of an irrep over ℝ from the names of its factors over ℝ.

        A factor of type ℍ is twice an irrep over ℂ, such as 2(2a). The product of two of them has
        type ℝ, and is 2a ⊗ 2a.
        """
        halves = [
            factor.scheme.read(name[1:], True) or factor.scheme.read(name[2:-1], True)
            if name.startswith("2(")
            else None
            for factor, name in zip(self._factors, names, strict=True)
        ]
        twice = [k for k, half in enumerate(halves) if half is not None]
        single = twice[len(twice) % 2 :]
        return _joined([(halves[k] or x) if k in single else x for k, x in enumerate(names)])

    def _parts(self, images: IrrepImages) -> list[IrrepImages] | None:
        """Return one copy of each factor's irrep over ℂ; None if they are not clearly found."""
        matrices = [self._matrices(images, factor) for factor in self._factors]
        found = list[IrrepImages]()
        for k, factor in enumerate(self._factors):
            others = [matrix for j, own in enumerate(matrices) if j != k for matrix in own]
            basis = _one_copy(others, matrices[k], images.dimension)
            if basis is None:
                return None
            found.append(PartImages(images, factor.lift, factor.elements, basis))
        is_whole = prod(part.dimension for part in found) == images.dimension
        return found if is_whole else None

    @staticmethod
    def _matrices(images: IrrepImages, factor: Factor) -> list[Num[np.ndarray, "n n"]]:
        own = [images.lie(factor.lift(a, True)) for a in factor.lie]
        return [*own, *(images.element(factor.lift(h, False)) for h in factor.elements)]

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        halves = text.split("⊕")
        if len(halves) == 1:
            names = self._factor_names(text, is_complex)
            joined = _joined if is_complex else self._real_joined
            return None if names is None else joined(names)
        found = [self._factor_names(half, is_complex=True) for half in halves]
        known = [names for names in found if names is not None]
        is_pair = len(known) == len(found) == 2 and known[0] != known[1]
        return self._real_text(known) if is_pair and not is_complex else None

    def _factor_names(self, text: str, is_complex: bool) -> list[str] | None:
        pieces = [piece.strip() for piece in text.replace("*", "⊗").split("⊗")]
        if len(pieces) != len(self._factors):
            return None
        names = []
        for piece, factor in zip(pieces, self._factors, strict=True):
            is_wrapped = "+" in piece and piece[0] == "(" and piece[-1] == ")"
            inner = factor.scheme.read(piece[1:-1].strip(), is_complex) if is_wrapped else None
            name = factor.scheme.read(piece, is_complex) if inner is None else inner
            if name is None:
                return None
            names.append(name)
        return names

    def step(self, name: str) -> Step | None:
        """Return None: irreps are searched in tensors."""
        return None


def _joined(names: Sequence[str]) -> str:
    return _TIMES.join(f"({name})" if "+" in name else name for name in names)


def _one_copy(
    others: Sequence[Num[np.ndarray, "n n"]], own: Sequence[Num[np.ndarray, "n n"]], n: int
) -> Inexact[np.ndarray, "n p"] | None:
    """Return an eigenspace of a generic Hermitian element of the algebra of some matrices.

    None unless the factor's own matrices keep it.
    """
    rng = np.random.default_rng(47)
    units = [matrix / np.linalg.norm(matrix, 2) for matrix in others if _is_clear(matrix)]
    element: Num[np.ndarray, "n n"] = np.eye(n)
    for _ in range(_FACTORS):
        # complex: with real coefficients, a group such as SU(2) generates the quaternions
        weights = rng.standard_normal(len(units) + 1) + 1j * rng.standard_normal(len(units) + 1)
        combined = weights[-1] * np.eye(n)
        for weight, matrix in zip(weights, units, strict=False):
            combined = combined + weight * matrix
        element = element @ combined
    values, vectors = np.linalg.eigh(element + element.conj().T)
    steps = np.flatnonzero(np.diff(values) > _APART * np.abs(values).max()) + 1
    sizes = np.diff([0, *steps, n])
    if np.any(sizes != sizes[0]):
        return None
    found: Inexact[np.ndarray, "n p"] = vectors[:, : sizes[0]].astype(complex)
    for matrix in own:
        moved = matrix @ found
        outside = moved - found @ (found.conj().T @ moved)
        if np.abs(outside).max() > _KEPT * max(1.0, float(np.abs(matrix).max())):
            return None
    return found


def _is_clear(matrix: Num[np.ndarray, "n n"]) -> bool:
    return bool(np.abs(matrix).max() > _KEPT)


def _halves(images: IrrepImages) -> list[Complex[np.ndarray, "n p"]]:
    """Return bases of irreps over ℂ that a real irrep becomes: one, or two for type ℂ or ℍ."""
    if images.type == "ℝ":
        return [np.eye(images.dimension, dtype=complex)]
    turn = images.endomorphisms[1]  # antisymmetric: its square is a negative multiple of 1
    values, vectors = np.linalg.eigh(1j * (turn - turn.T) / 2)
    return [vectors[:, values > 0], vectors[:, values < 0]]
