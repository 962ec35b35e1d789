"""The canonical basis of an irrep, computed from any basis."""

from __future__ import annotations

import numpy as np
from jaxtyping import Inexact

from intertwine.irreps.actions import MatrixRep, adjoint, norm
from intertwine.irreps.words import Words


def canonical_basis(
    rep: MatrixRep, endomorphisms: Inexact[np.ndarray, "e d d"], words: Words, level: int
) -> tuple[Inexact[np.ndarray, "d d"], Inexact[np.ndarray, "e d d"]]:
    """Return a unitary q such that ``rep.restrict(q)`` depends only on the irrep's class, and the
    endomorphisms in that basis.

    The eigenspaces of a fixed Hermitian word have dimension e, the number of endomorphisms: a
    line over ℝ, ℂ or ℍ each. The first vector of the first is free up to a unit of that field;
    a second word maps it into all the others, and fixes the order of the imaginary units.
    """
    d, e = rep.size, len(endomorphisms)
    if d == 1:
        return np.eye(d, dtype=endomorphisms.dtype), endomorphisms
    spaces = np.linalg.eigh(words.hermitian(rep, level))[1].reshape(d, -1, e)
    carry, second = words.phasing(rep, level)
    first = spaces[:, 0, 0]
    if e > 1:
        endomorphisms = _imaginary_units(endomorphisms, first, (carry, second))
    columns = [np.stack([unit @ first for unit in endomorphisms], axis=1)]
    for j in range(1, spaces.shape[1]):
        space = spaces[:, j]
        u, _, vh = np.linalg.svd(adjoint(space) @ carry @ columns[0])
        columns.append(space @ (u @ vh))
    q = np.concatenate(columns, axis=1)
    return q, adjoint(q) @ endomorphisms @ q


def _imaginary_units(
    endomorphisms: Inexact[np.ndarray, "e d d"],
    first: Inexact[np.ndarray, " d"],
    words: tuple[Inexact[np.ndarray, "d d"], ...],
) -> Inexact[np.ndarray, "e d d"]:
    """Return 1, I (and J, K = IJ): two words map the first eigenvector to I and J."""
    d, e = len(first), len(endomorphisms)
    units: list[Inexact[np.ndarray, "d d"]] = []
    for word in words[: 1 if e == 2 else 2]:
        along = sum((x @ first) @ (word @ first) * x for x in endomorphisms[1:])
        for unit in units:
            along = along - np.vdot(unit, along) / d * unit
        units.append(along * (np.sqrt(d) / norm(along)))
    if e == 4:
        units.append(units[0] @ units[1])
    return np.array([endomorphisms[0], *units])
