"""The conjugacy classes of a finite group, and the powers and products of their elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from intertwine.errors import TooLarge
from intertwine.groups.element_tables import all_permutations, signed_points
from intertwine.groups.enumeration import Enumeration, enumerate_elements
from intertwine.groups.group import Group
from intertwine.operators import dense

MAX_ORDER = 4_000
"""The largest group whose classes are found: its multiplication table has 16 million entries."""
_SAME = 1e-9  # values nearer than this, relative to the largest, are equal
_APART = 1e-8  # values of two elements must differ by more than this
_SEEDS = 8  # random functionals that are tried


@dataclass(frozen=True, eq=False)
class ConjugacyClasses:
    """The classes C₀ = {1}, C₁, … of a finite group of n elements.

    They are ordered by the order of their elements, their size, and the first element's place in
    the enumeration. `of` has the class of each element, `representatives` its first element.
    `times[j, i]` is the element eᵢeⱼ, and `powers[r]` the classes of g⁰, g¹, … up to the order
    of g, for the representative g of class r.
    """

    enumeration: Enumeration
    of: Int[np.ndarray, " n"]
    representatives: Int[np.ndarray, " k"]
    sizes: Int[np.ndarray, " k"]
    times: Int[np.ndarray, "n n"]
    powers: tuple[Int[np.ndarray, " _"], ...]

    @property
    def count(self) -> int:
        """The number of classes."""
        return len(self.representatives)

    @property
    def orders(self) -> list[int]:
        """The order of the elements of each class."""
        return [len(powers) for powers in self.powers]

    @property
    def inverses(self) -> Int[np.ndarray, " k"]:
        """The class of the inverses of each class."""
        return np.array([powers[-1] for powers in self.powers])

    def combination(self, weights: Num[np.ndarray, " k"]) -> Num[np.ndarray, "k k"]:
        """Return the matrix of multiplication by the class sum Σ wᵣCᵣ.

        Its entry (s, t) sums wᵣ over all x in Cᵣ and y in Cₛ with xy = z, for the representative z
        of class t.
        """
        n, k = len(self.of), self.count
        found = np.zeros((k, k), dtype=np.complex128)
        inverse = np.empty(n, dtype=np.int64)
        rows, columns = np.nonzero(self.times == 0)
        inverse[rows] = columns
        of_elements = weights[self.of]
        for t, z in enumerate(self.representatives):
            y = self.of[self.times[z][inverse]]  # the class of x⁻¹z, for each x
            found.real[:, t] = np.bincount(y, of_elements.real, k)
            found.imag[:, t] = np.bincount(y, of_elements.imag, k)
        return found


def conjugacy_classes(group: Group) -> ConjugacyClasses | None:
    """Return the classes of the finite group that the discrete generators generate.

    None if it has a Lie algebra, or is not enumerated (see `intertwine.groups.enumeration`).
    Raises `TooLarge` for more than 4,000 elements.
    """
    if any(np.any(np.asarray(dense(a))) for a in group.lie_generators):
        return None
    found = enumerate_elements(group)
    if found is None:
        return None
    if found.order > MAX_ORDER:
        raise TooLarge(
            f"{group!r} has {found.order:,} elements: classes of at most {MAX_ORDER:,} are found"
        )
    right = _right_multiplications(group, found)
    if right is None:
        return None
    n = found.order
    times = np.empty((n, n), dtype=np.int32)
    times[0] = np.arange(n)
    for j in range(1, n):
        times[j] = right[found.letters[j]][times[found.parents[j]]]
    return _classes(found, times)


def _classes(found: Enumeration, times: Int[np.ndarray, "n n"]) -> ConjugacyClasses:
    n, here = found.order, np.arange(found.order)
    labels = here.copy()
    moves = []
    for place in {found.places[k] for k in found.generators}:
        left = times[:, place]  # h eᵢ
        inverse = np.empty(n, dtype=np.int64)
        inverse[left] = here
        moves.append(inverse[times[place]])  # h⁻¹ eᵢ h
    while True:
        before = labels.copy()
        for move in moves:
            labels = np.minimum(labels, labels[move])
            np.minimum.at(labels, move, labels.copy())
        labels = labels[labels]
        if np.array_equal(before, labels):
            break
    first, of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    powers = []
    for g in first:
        elements, power = [0], int(g)
        while power:
            elements.append(power)
            power = int(times[g, power])
        powers.append(np.array(elements))
    order = sorted(range(len(first)), key=lambda r: (len(powers[r]), sizes[r], first[r]))
    place_of = np.empty(len(first), dtype=np.int64)
    place_of[order] = np.arange(len(first))
    of = place_of[of]
    return ConjugacyClasses(
        found, of, first[order], sizes[order], times, tuple(of[powers[r]] for r in order)
    )


def _right_multiplications(group: Group, found: Enumeration) -> list[Int[np.ndarray, " n"]] | None:
    """Return, for each discrete generator h, the element eᵢh for each i; None if ambiguous.

    Elements are recognised by a random linear functional of their matrices.
    """
    generators = group.group_generators
    permutations = all_permutations(generators)
    if permutations is not None:
        points = [signed_points(p) for p in permutations]
        m = 2 * group.d
        rows = found.permuted(np.stack(points)) if points else np.arange(m)[None]
        moved = [h[rows] for h in points]
        every = [rows, *moved]
        for seed in range(_SEEDS):
            rng = np.random.default_rng((31, seed))
            weights, heights = rng.standard_normal((2, m))
            values = [heights[block] @ weights for block in every]
            if (places := _matched(values)) is not None:
                return places
        return None
    elements = found.elements
    every = [elements, *(elements @ np.asarray(dense(h)) for h in generators)]
    for seed in range(_SEEDS):
        functional = np.random.default_rng((32, seed)).standard_normal((2, group.d, group.d))
        values = [
            np.real(np.einsum("nij,ij->n", block, functional[0] - 1j * functional[1]))
            for block in every
        ]
        if (places := _matched(values)) is not None:
            return places
    return None


def _matched(values: list[Float[np.ndarray, " n"]]) -> list[Int[np.ndarray, " n"]] | None:
    """Return, for each array after the first, the places of its values in the first."""
    order = np.argsort(values[0])
    known = values[0][order]
    scale = 1 + float(np.abs(known).max(initial=0.0))
    if len(known) > 1 and not np.diff(known).min() > _APART * scale:
        return None
    places = []
    for moved in values[1:]:
        at = np.clip(np.searchsorted(known, moved - _APART / 2 * scale), 0, len(known) - 1)
        if not np.abs(known[at] - moved).max() <= _SAME * scale:
            return None
        place = order[at]
        if len(np.unique(place)) != len(place):
            return None
        places.append(place)
    return places
