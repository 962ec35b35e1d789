"""For each irrep a basis in which products with others have few terms.

The canonical basis of a catalogue is as good as a random one; that of V, or of pairs of coordinates
in V ⊗ V, leaves most Clebsch–Gordan coefficients zero. The basis does not change what a network
computes, but how much it computes.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import MethodNotApplicable
from intertwine.groups import Group
from intertwine.irreps import Irrep, clebsch_gordan, decompose
from intertwine.reps import Rep, V

_LEVELS = 3
_LARGEST = 300
"""The largest size of products that are searched for irreps."""
_TIE = 1e-6

_Found = dict[str, tuple[Irrep, Inexact[np.ndarray, "_ _"]]]


def sparse_basis_of(irrep: Irrep) -> Inexact[np.ndarray, "d d"]:
    """Return a unitary R, whose columns are the new basis vectors in the coordinates of the
    catalogue.

    λ is searched for in V and V*, then in products of what was found with those, always in the same
    order: the basis depends only on the group. An irrep that is not found keeps its own basis.
    """
    bases = _bases_of(irrep.G, irrep.is_over_complex_numbers)
    for level in range(_LEVELS):
        found = bases.level(level)
        if irrep.name in found:
            return found[irrep.name][1]
    return np.eye(irrep.size())


@lru_cache(maxsize=64)
def _bases_of(group: Group, is_complex: bool) -> _Bases:
    return _Bases(group, is_complex)


class _Bases:
    """Bases by the irreps' names: of V and V*, then of products with those, level by level. Each
    level is computed on first use. Thread-safe.
    """

    def __init__(self, group: Group, is_complex: bool) -> None:
        first: _Found = {}
        for rep in (V(group), V(group).T):
            for irrep, maps in _in_base(rep):
                if irrep.is_over_complex_numbers == is_complex and irrep.name not in first:
                    first[irrep.name] = irrep, _pivoted(maps)
        self._levels = [first]
        self._lock = threading.Lock()

    def level(self, k: int) -> _Found:
        """Return the irreps of V and V* (0), or of products of those of k − 1 with them, that are
        not on a lower level.
        """
        with self._lock:
            while len(self._levels) <= k:
                self._levels.append(self._next())
            return self._levels[k]

    def _next(self) -> _Found:
        known = set().union(*self._levels)
        new: _Found = {}
        for a, in_a in sorted(self._levels[-1].values(), key=_order):
            for b, in_b in sorted(self._levels[0].values(), key=_order):
                if a.size() * b.size() > _LARGEST:
                    continue
                for c, maps in sorted(clebsch_gordan(a, b).items(), key=lambda m: m[0].name):
                    if c.name not in known and c.name not in new:
                        one = np.einsum("ai,bj,abc->ijc", in_a.conj(), in_b.conj(), maps[:, :, 0])
                        new[c.name] = c, _pivoted(one.reshape(-1, c.size()))
        return new


def _order(found: tuple[Irrep, Inexact[np.ndarray, "_ _"]]) -> tuple[int, str]:
    return found[0].size(), found[0].name


def _in_base(rep: Rep) -> list[tuple[Irrep, Inexact[np.ndarray, "n d"]]]:
    """Return the irreps of V with isometries; [] if V is not recognised as a sum of irreps."""
    try:
        found = decompose(rep)
    except MethodNotApplicable:
        return []
    u, at, parts = found.matrix(), 0, []
    for irrep, m in found.multiplicities.items():
        parts.append((irrep, u[:, at : at + irrep.size()]))
        at += m * irrep.size()
    return parts


def _pivoted(isometry: Inexact[np.ndarray, "n d"]) -> Inexact[np.ndarray, "d d"]:
    """Return R such that WR has few entries: Gram–Schmidt of the longest columns of the projector
    WWᴴ, the first among equals.
    """
    w, d = isometry, isometry.shape[1]
    left, chosen = w.conj().T.copy(), np.zeros((d, d), dtype=w.dtype)
    for j in range(d):
        lengths = np.linalg.norm(left, axis=0)
        column = left[:, np.argmax(lengths >= lengths.max() - _TIE)]
        for _ in range(2):
            column = column - chosen[:, :j] @ (chosen[:, :j].conj().T @ column)
        chosen[:, j] = column / np.linalg.norm(column)
        left = left - np.outer(chosen[:, j], chosen[:, j].conj() @ left)
    return chosen
