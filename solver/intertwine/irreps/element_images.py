"""Images of any group element, or element of the Lie algebra, under catalogued irreps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Num

from intertwine.arrays import Array, namespace
from intertwine.groups.lie_closure import real_rows
from intertwine.irreps.actions import Action
from intertwine.irreps.decomposer import Decomposer
from intertwine.operators import dense
from intertwine.reps.own_matrices import matrix_of
from intertwine.reps.syntax import Rep

_SAME = 1e-12  # a matrix this near to a generator has its image
_INSIDE = 1e-9  # a unit matrix this near to the span of the generators is in it


class IrrepImages:
    """The matrices of one catalogued irrep λ, in its canonical basis."""

    def __init__(self, decomposer: Decomposer, index: int) -> None:
        self._decomposer, self._index = decomposer, index
        entry = decomposer.catalogue.irreps[index]
        self.dimension, self.type = entry.dimension, entry.type
        self.is_complex = bool(np.iscomplexobj(entry.endomorphisms))

    @cached_property
    def _base(self) -> Action:
        return self._decomposer.base()

    def element(self, g: Num[np.ndarray, "d d"]) -> Num[np.ndarray, "n n"]:
        """Return λ(g)."""
        for h, image in zip(self._decomposer.group.group_generators, self.generators, strict=True):
            known = np.asarray(dense(h))
            if np.abs(known - g).max() <= _SAME * np.abs(known).max():
                return image
        return np.asarray(image_of(self._decomposer, self._index, g, False, {}))

    def lie(self, a: Num[np.ndarray, "d d"]) -> Num[np.ndarray, "n n"]:
        """Return dλ(A), from its coordinates in the basis of the Lie algebra.

        For a bracket of generators that is not in their span, it is computed through the origins.
        """
        base = self._base
        count = base.lie_count
        columns = base.matrices[:count].reshape(count, -1).T
        coordinates = np.linalg.lstsq(columns, a.ravel(), rcond=None)[0]
        if np.abs(columns @ coordinates - a.ravel()).max() > _INSIDE * np.abs(a).max():
            return np.asarray(image_of(self._decomposer, self._index, a, True, {}))
        own = self._decomposer.catalogue.irreps[self._index].rep.given.matrices[:count]
        found: Num[np.ndarray, "n n"] = np.tensordot(coordinates, own, (0, 0))
        return found

    def combinations(
        self, basis: Num[np.ndarray, "m d d"], coefficients: Num[np.ndarray, "w m"]
    ) -> Num[np.ndarray, "w n n"]:
        """Return Σⱼ cᵢⱼ dλ(Bⱼ) for real elements Bⱼ of the Lie algebra and complex cᵢⱼ.

        The elements may be brackets of generators that are not in the generators' span.
        """
        base = self._base.matrices[: self._base.lie_count]
        own = self._decomposer.catalogue.irreps[self._index].rep.given.matrices[: len(base)]
        rows, wanted = (real_rows(x.astype(np.result_type(base, basis))) for x in (base, basis))
        real = np.linalg.lstsq(rows.T, wanted.T, rcond=None)[0]
        if np.abs(rows.T @ real - wanted.T).max(initial=0.0) <= _INSIDE:
            return np.tensordot(coefficients @ real.T, own, 1)
        # generators in another frame may span the algebra over ℂ alone
        flat, elements = base.reshape(len(base), -1), np.tensordot(coefficients, basis, 1)
        both, _, rank, _ = np.linalg.lstsq(
            flat.T, elements.reshape(len(elements), -1).T, rcond=None
        )
        outside = flat.T @ both - elements.reshape(len(elements), -1).T
        if rank == len(base) and np.abs(outside).max(initial=0.0) <= _INSIDE:
            return np.tensordot(both.T, own, 1)
        images = [image_of(self._decomposer, self._index, b, True, {}) for b in basis]
        return np.tensordot(coefficients, np.array(images), 1)

    @property
    def endomorphisms(self) -> Num[np.ndarray, "e n n"]:
        """A basis of the commutant (see `Irreducible`)."""
        return self._decomposer.catalogue.irreps[self._index].endomorphisms

    @property
    def generators(self) -> list[Num[np.ndarray, "n n"]]:
        """λ(hᵢ) for the discrete generators, as given."""
        given = self._decomposer.catalogue.irreps[self._index].rep.given
        return list(given.matrices[given.lie_count :])


def image_of(
    decomposer: Decomposer, index: int, element: Array, lie: bool, known: dict[int, Array]
) -> Array:
    """Return the image of an element under a catalogued irrep, through the irrep's origins."""
    if index in known:
        return known[index]
    xp, entry = namespace(element), decomposer.catalogue.irreps[index]
    if entry.origin is None:
        image = xp.zeros((1, 1)) if lie else xp.ones((1, 1))
    else:
        inside, w = entry.origin.inside, xp.asarray(entry.origin.isometry)
        if isinstance(inside, Rep):
            whole = _whole_image(inside, element, lie)
            image = xp.matmul(xp.matmul(w.conj().T, whole), w)
        else:
            a, b = (image_of(decomposer, part, element, lie, known) for part in inside)
            image = xp.matmul(xp.matmul(w.conj().T, _product(a, b, lie)), w)
    known[index] = image
    return image


def _whole_image(rep: Rep, element: Any, lie: bool) -> Array:
    """Return ρ(element) or dρ(element). A NumPy element has a NumPy image, also under JAX reps."""
    if isinstance(element, np.ndarray):
        return matrix_of(rep, "drho" if lie else "rho", element)
    return rep.drho_dense(element) if lie else rep.rho_dense(element)


def _product(a: Array, b: Array, lie: bool) -> Array:
    xp = namespace(a)
    if not lie:
        return xp.kron(a, b)
    return xp.kron(a, xp.eye(b.shape[0])) + xp.kron(xp.eye(a.shape[0]), b)


class PartImages(IrrepImages):
    """The images of the elements of a part of a group, on an invariant subspace of an irrep.

    `lift` maps a matrix of the part to one of the whole group: an element, or one of the Lie
    algebra if its second argument is True. `basis` has the orthonormal vectors of the subspace.
    """

    def __init__(
        self,
        whole: IrrepImages,
        lift: Callable[[Num[np.ndarray, "e e"], bool], Num[np.ndarray, "d d"]],
        elements: Sequence[Num[np.ndarray, "e e"]],
        basis: Num[np.ndarray, "n p"] | None = None,
    ) -> None:
        self._whole, self._lift, self._elements = whole, lift, elements
        self._basis = np.eye(whole.dimension) if basis is None else basis
        self.dimension = self._basis.shape[1]
        self.type, self.is_complex = whole.type, whole.is_complex or np.iscomplexobj(self._basis)

    def _within(self, matrices: Num[np.ndarray, "... n n"]) -> Num[np.ndarray, "... p p"]:
        found: Num[np.ndarray, "... p p"] = self._basis.conj().T @ matrices @ self._basis
        return found

    def element(self, g: Num[np.ndarray, "e e"]) -> Num[np.ndarray, "p p"]:
        """Return λ(g)."""
        return self._within(self._whole.element(self._lift(g, False)))

    def lie(self, a: Num[np.ndarray, "e e"]) -> Num[np.ndarray, "p p"]:
        """Return dλ(A)."""
        return self._within(self._whole.lie(self._lift(a, True)))

    def combinations(
        self, basis: Num[np.ndarray, "m e e"], coefficients: Num[np.ndarray, "w m"]
    ) -> Num[np.ndarray, "w p p"]:
        """Return Σⱼ cᵢⱼ dλ(Bⱼ)."""
        lifted = np.array([self._lift(b, True) for b in basis])
        scale = np.linalg.norm(lifted, axis=(1, 2))
        found = self._whole.combinations(lifted / scale[:, None, None], coefficients * scale)
        return self._within(found)

    @property
    def endomorphisms(self) -> Num[np.ndarray, "e p p"]:
        """The commutant of the whole group, on the whole irrep."""
        return self._whole.endomorphisms

    @property
    def generators(self) -> list[Num[np.ndarray, "p p"]]:
        """λ(hᵢ) for the discrete generators of the part."""
        return [self.element(g) for g in self._elements]
