"""A stabilizer chain of a permutation group, whose elements carry their images along.

The randomised algorithm of Schreier and Sims (Holt, Eick and O'Brien, *Handbook of Computational
Group Theory*, 2005, §4.4), for the group D of the pairs (g, φ(g)) that pairs of generators
generate. D is the graph of a homomorphism exactly when no pair (1, x) with x ≠ 1 is in it. Sifting
a uniformly random element of D by fixed transversals leaves a uniformly random element of the
kernel {(1, x)}, so that each of `_TRIALS` random elements shows a nontrivial one with probability
at least 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int

from intertwine.groups.element_tables import signed_points
from intertwine.operators import Permutation

_TRIALS = 40  # random elements that must sift to the identity in a row
_BURN_IN = 60  # steps of product replacement before its elements are used
_SLOTS = 10  # elements that product replacement works on
_WORK = 1e9
"""The most work on a chain, in moved entries: about a second."""
_CALL, _STEP = 5_000, 200  # the work of a call of NumPy and of a step in Python, in entries


class Images(Protocol):
    """How images are multiplied. `work` is the cost of a product, in entries."""

    work: float

    def product(self, a: Any, b: Any) -> Any:
        """Return ab."""

    def inverse(self, a: Any) -> Any:
        """Return a⁻¹."""

    def is_one(self, a: Any) -> bool:
        """Return whether a is the identity."""


@dataclass(frozen=True, eq=False)
class Pair:
    """An element as a permutation of the points ±eᵢ, i ↦ points[i], and its image."""

    points: Int[np.ndarray, " m"]
    image: Any


@dataclass(eq=False)
class _Level:
    """The orbit of a base point under the pairs that fix the base points before it."""

    point: int
    generators: list[tuple[Pair, Pair]] = field(default_factory=list)
    tree: dict[int, tuple[int, int]] = field(default_factory=dict)
    inverses: dict[int, Pair] = field(default_factory=dict)


class KernelFound(Exception):
    """The identity of the group has an image that is not 1."""


class StabilizerChain:
    """The chain of the group of pairs (hₖ, xₖ). Use `StabilizerChain.of`."""

    def __init__(self, one: Pair, images: Images) -> None:
        self._one, self._images = one, images
        self._here = np.arange(len(one.points))
        self._levels: list[_Level] = []
        self._work = 0.0

    @classmethod
    def of(
        cls, generators: Sequence[Permutation], images: Sequence[Any], one: Any, rules: Images
    ) -> StabilizerChain | None:
        """Return the chain of permutations with their images; None if it takes too long.

        Raises `KernelFound` if the images are not those of a homomorphism.
        """
        points = [signed_points(h) for h in generators]
        chain = cls(Pair(np.arange(len(points[0])), one), rules)
        pairs = [Pair(p, image) for p, image in zip(points, images, strict=True)]
        return chain if chain._complete(pairs) else None

    @property
    def order(self) -> int:
        """The order of the group of permutations."""
        found = 1
        for level in self._levels:
            found *= len(level.tree)
        return found

    def image(self, element: Permutation) -> Any | None:
        """Return the image of a permutation; None if it is not in the group."""
        rest, _ = self._sift(Pair(signed_points(element), self._one.image))
        return self._images.inverse(rest.image) if self._is_here(rest) else None

    def _complete(self, pairs: Sequence[Pair]) -> bool:
        for pair in pairs:
            self._enter(pair)
            if self._work > _WORK:
                return False
        in_a_row = 0
        for pair in self._random(pairs):
            if self._work > _WORK:
                return False
            in_a_row = 0 if self._enter(pair) else in_a_row + 1
            if in_a_row == _TRIALS:
                break
        return True

    def _enter(self, pair: Pair) -> bool:
        """Sift an element, and return whether the chain has grown by what is left."""
        rest, depth = self._sift(pair)
        if self._is_here(rest):
            if not self._images.is_one(rest.image):
                raise KernelFound
            return False
        if depth == len(self._levels):
            point = int(np.flatnonzero(rest.points != self._here)[0])
            self._levels.append(_Level(point, tree={point: (-1, -1)}))
        both = rest, self._inverse(rest)
        for level in self._levels[: depth + 1]:
            level.generators.append(both)
            self._grow(level)
        return True

    def _grow(self, level: _Level) -> None:
        """Extend an orbit by its newest generator."""
        last = len(level.generators) - 1
        new = []
        for point in list(level.tree):
            moved = int(level.generators[last][0].points[point])
            if moved not in level.tree:
                level.tree[moved] = point, last
                new.append(moved)
        for point in new:  # grows as it is walked
            for k, (generator, _) in enumerate(level.generators):
                moved = int(generator.points[point])
                if moved not in level.tree:
                    level.tree[moved] = point, k
                    new.append(moved)
        self._work += _STEP * (len(level.tree) + len(new) * len(level.generators))

    def _sift(self, pair: Pair) -> tuple[Pair, int]:
        """Return what is left of an element, and the level at which it was left."""
        for depth, level in enumerate(self._levels):
            point = int(pair.points[level.point])
            if point not in level.tree:
                return pair, depth
            if point != level.point:
                pair = self._product(pair, self._back(level, point))
        return pair, len(self._levels)

    def _back(self, level: _Level, point: int) -> Pair:
        """Return the element of the transversal that takes a point to the level's base point."""
        path = []
        while point != level.point and point not in level.inverses:
            path.append(point)
            point = level.tree[point][0]
        found = level.inverses.get(point, self._one)
        for end in reversed(path):
            inverse = level.generators[level.tree[end][1]][1]
            found = inverse if found is self._one else self._product(inverse, found)
            level.inverses[end] = found
        return found

    def _random(self, pairs: Sequence[Pair]) -> Any:
        """Yield random elements: product replacement with an accumulator (Leedham-Green)."""
        rng = np.random.default_rng(20210419)
        slots = [pairs[i % len(pairs)] for i in range(max(_SLOTS, len(pairs)))]
        total, step = self._one, 0
        while True:
            i, j = (int(k) for k in rng.choice(len(slots), 2, replace=False))
            other = slots[j] if rng.integers(2) else self._inverse(slots[j])
            is_left = rng.integers(2)
            a, b = (other, slots[i]) if is_left else (slots[i], other)
            slots[i] = self._product(a, b)
            total = self._product(total, slots[i])
            step += 1
            if step > _BURN_IN:
                yield total

    def _product(self, a: Pair, b: Pair) -> Pair:
        self._work += _CALL + len(a.points) + self._images.work
        return Pair(b.points[a.points], self._images.product(a.image, b.image))

    def _inverse(self, a: Pair) -> Pair:
        self._work += _CALL + len(a.points) + self._images.work
        back = np.empty_like(a.points)
        back[a.points] = self._here
        return Pair(back, self._images.inverse(a.image))

    def _is_here(self, pair: Pair) -> bool:
        return bool(np.array_equal(pair.points, self._here))


class PermutationImages:
    """Images that are signed permutations, as points; exact."""

    def __init__(self, size: int) -> None:
        self.work, self._here = float(2 * size), np.arange(2 * size)

    def product(self, a: Any, b: Any) -> Any:
        """Return ab."""
        return b[a]

    def inverse(self, a: Any) -> Any:
        """Return a⁻¹."""
        back = np.empty_like(a)
        back[a] = self._here
        return back

    def is_one(self, a: Any) -> bool:
        """Return whether a is the identity."""
        return bool(np.array_equal(a, self._here))


class MatrixImages:
    """Images that are matrices, equal up to rounding."""

    def __init__(self, size: int, tolerance: float) -> None:
        self.work, self._one = float(size) ** 3 / 4, np.eye(size)
        self._tolerance = tolerance

    def product(self, a: Any, b: Any) -> Any:
        """Return ab."""
        return a @ b

    def inverse(self, a: Any) -> Any:
        """Return a⁻¹."""
        return np.linalg.inv(a)

    def is_one(self, a: Any) -> bool:
        """Return whether a is the identity."""
        return bool(np.all(np.abs(a - self._one) <= self._tolerance))
