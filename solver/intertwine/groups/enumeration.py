"""All elements of the finite group that a group's discrete generators generate, as words.

Whole cosets are added, as in Dimino's algorithm (Butler, *Fundamental Algorithms for
Permutation Groups*, 1991): a known subgroup H is multiplied as one array.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from jaxtyping import Int, Num

from intertwine.groups.element_tables import (
    MAX_ENTRIES,
    ElementTable,
    MatrixTable,
    PermutationTable,
    all_permutations,
    signed_points,
)
from intertwine.groups.group import Group
from intertwine.operators import dense

_KEPT = 16
"""The number of groups whose words are cached, of at most 0.5 MB each."""
_HOMOMORPHISM = 1e-6
"""The tolerance for a rep's image of a redundant generator as the product of the others', relative
to its largest entry. User-defined reps are checked with the same tolerance."""


@dataclass(frozen=True, eq=False)
class Enumeration:
    """The elements e₀ = 1, e₁, … of a finite group, as words in its discrete generators.

    For i > 0, eᵢ = e_{parents[i]} · h_{letters[i]}, with parents[i] < i; `letters` are
    indices of the group's discrete generators as given; only those in `generators` occur. `places`
    has the element that each given generator is. The first element has parent and letter −1.
    """

    group: Group
    parents: Int[np.ndarray, " n"]
    letters: Int[np.ndarray, " n"]
    generators: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def order(self) -> int:
        """The number of elements."""
        return len(self.parents)

    @property
    def elements(self) -> Num[np.ndarray, "n d d"]:
        """The elements as matrices. They are computed on every access."""
        return self.images([np.asarray(dense(h)) for h in self.group.group_generators])

    def images(self, generators: Sequence[Num[np.ndarray, "m m"]]) -> Num[np.ndarray, "n m m"]:
        """Return ρ(eᵢ) for all elements, from ρ(hₖ) for the discrete generators as given."""
        if not generators:
            return np.eye(self.group.d)[None]
        stack = np.stack(generators).astype(np.result_type(*generators, np.float64))
        found = np.empty((self.order, *stack.shape[1:]), dtype=stack.dtype)
        found[0] = np.eye(stack.shape[1])
        for level in self._levels:
            found[level] = found[self.parents[level]] @ stack[self.letters[level]]
        return found

    def character(self, generators: Sequence[Any], power: int = 1) -> Num[np.ndarray, " n"] | None:
        """Return tr ρ(eᵢ)ᵐ for all elements, where m ≥ 1 is the `power`.

        `generators` has ρ(hₖ) for the discrete generators as given. Each is a matrix or a
        permutation; permutations give integers. None if ρ(hₖ) of a redundant
        generator differs from its product of the others by more than 1e-6 of its largest entry:
        then ρ is not a representation.
        """
        permutations, places = all_permutations(generators), list(self.places)
        if permutations:
            points = np.stack([signed_points(p) for p in permutations])
            moved = self.permuted(points)
            if not np.array_equal(moved[places], points):
                return None
            n, raised = points.shape[1] // 2, moved
            for _ in range(power - 1):
                raised = np.take_along_axis(raised, moved, axis=1)
            first, here = raised[:, :n], np.arange(n)
            found: Num[np.ndarray, " n"] = (first == here).sum(axis=1) - (first == here + n).sum(
                axis=1
            )
            return found
        if not generators:
            return np.array([float(self.group.d)])
        matrices = list(map(_matrix, generators))
        images = self.images(matrices)
        for place, matrix in zip(places, matrices, strict=True):
            size = np.abs(matrix).max(initial=1.0)
            if not np.abs(images[place] - matrix).max(initial=0.0) <= _HOMOMORPHISM * size:
                return None
        images = np.linalg.matrix_power(images, power)
        character: Num[np.ndarray, " n"] = np.trace(images, axis1=1, axis2=2)
        return character

    def permuted(self, points: Int[np.ndarray, "k m"]) -> Int[np.ndarray, "n m"]:
        """Return all elements as permutations of points, from those of the generators as given."""
        found = np.empty((self.order, points.shape[1]), dtype=np.int64)
        found[0] = np.arange(points.shape[1])
        for level in self._levels:
            letters = points[self.letters[level]]
            found[level] = np.take_along_axis(letters, found[self.parents[level]], axis=1)
        return found

    @cached_property
    def _levels(self) -> list[Int[np.ndarray, " _"]]:
        """The elements after the first, grouped by the length of their words."""
        depths = np.zeros(self.order, dtype=np.int64)
        for i, parent in enumerate(self.parents.tolist()):
            depths[i] = depths[parent] + 1 if i else 0
        order = np.argsort(depths, kind="stable")
        return np.split(order, np.cumsum(np.bincount(depths))[:-1])[1:]


@lru_cache(_KEPT)
def enumerate_elements(group: Group) -> Enumeration | None:
    """Enumerate the finite group that the discrete generators generate, ignoring the Lie algebra.

    None if it is infinite, larger than `MAX_ORDER` or `MAX_ENTRIES` of `element_tables`, or
    not clearly finite in floating point.
    """
    generators = group.group_generators
    permutations = all_permutations(generators)
    if permutations is None and group.d**2 > MAX_ENTRIES:
        return None
    table: ElementTable | None
    if permutations is not None:
        table = PermutationTable(group.d, permutations)
    else:
        table = MatrixTable.of([np.asarray(dense(h)) for h in generators])
    if table is None:
        return None
    words = _grow(table, range(len(generators)))
    if words is None:
        return None
    if len(words.generators) < len(generators):
        words = _pruned(words, table)
    places = []
    for k in range(len(generators)):
        place = words.table.find(table.generator(k))
        if place is None or place < 0:
            return None
        places.append(place)
    if not words.table.is_distinct():
        return None
    return Enumeration(
        group, np.array(words.parents), np.array(words.letters), words.generators, tuple(places)
    )


def independent_generators(group: Group) -> tuple[int, ...] | None:
    """Return indices of a few discrete generators that generate the same group as all of them.

    Each is outside the group generated by the ones before it, so at most log₂ of the order
    remain: identities, duplicates and products of others are dropped. None if the group is not
    enumerated (see `enumerate_elements`).
    """
    found = enumerate_elements(group)
    return None if found is None else found.generators


@dataclass
class _Words:
    table: ElementTable
    parents: list[int]
    letters: list[int]
    generators: tuple[int, ...]


def _grow(table: ElementTable, candidates: Iterable[int]) -> _Words | None:
    """Enumerate the group of some generators of a table; None past its limit or if ambiguous."""
    parents, letters, chosen = [-1], [-1], list[int]()
    for k in candidates:
        place = table.find(table.generator(k))
        if place is None:
            return None
        if place >= 0:
            continue
        order = len(parents)
        if 2 * order > table.limit:  # by Lagrange at least
            return None
        chosen.append(k)
        if order == 1:
            powers = table.powers(k)
            if powers is None or not table.append(powers[1:]):
                return None
            parents += range(len(powers) - 1)
            letters += [k] * (len(powers) - 1)
            continue
        starts = [0]
        for start in starts:  # grows as it is walked
            for letter in chosen:
                place = table.find(table.times(start, start + 1, letter)[0])
                if place is None or (place < 0 and len(parents) + order > table.limit):
                    return None
                if place >= 0:
                    continue
                starts.append(len(parents))
                if not table.append(table.times(start, start + order, letter)):
                    return None
                parents += range(start, start + order)
                letters += [letter] * order
    return _Words(table, parents, letters, tuple(chosen))


def _pruned(words: _Words, table: ElementTable) -> _Words:
    """Drop generators that later ones generate, and return the words in the remaining ones."""
    for k in words.generators:
        fewer = [other for other in words.generators if other != k]
        found = _grow(table.fresh(), fewer) if fewer else None
        if found is not None and len(found.parents) == len(words.parents):
            words = found
    return words


def _matrix(generator: Any) -> Num[np.ndarray, "m m"]:
    matrix: Num[np.ndarray, "m m"] = np.asarray(dense(generator))
    return matrix
