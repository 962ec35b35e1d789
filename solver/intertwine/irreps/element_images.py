"""Images of any group element, or element of the Lie algebra, under catalogued irreps."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Num

from intertwine.arrays import Array, namespace
from intertwine.irreps.actions import Action
from intertwine.irreps.decomposer import Decomposer
from intertwine.reps.own_matrices import matrix_of
from intertwine.reps.syntax import Rep


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
        return np.asarray(image_of(self._decomposer, self._index, g, False, {}))

    def lie(self, a: Num[np.ndarray, "d d"]) -> Num[np.ndarray, "n n"]:
        """Return dλ(A), from its coordinates in the basis of the Lie algebra."""
        base = self._base
        count = base.lie_count
        columns = base.matrices[:count].reshape(count, -1).T
        coordinates = np.linalg.lstsq(columns, a.ravel(), rcond=None)[0]
        own = self._decomposer.catalogue.irreps[self._index].rep.given.matrices[:count]
        found: Num[np.ndarray, "n n"] = np.tensordot(coordinates, own, (0, 0))
        return found

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
            image = w.conj().T @ whole @ w
        else:
            a, b = (image_of(decomposer, part, element, lie, known) for part in inside)
            image = w.conj().T @ _product(a, b, lie) @ w
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
