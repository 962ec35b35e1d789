"""Orbits of index tuples under signed permutations of the slots, by stabilisers.

Two tuples with the first index a are in one orbit exactly when the stabiliser of a moves the rest
of one to the rest of the other. So the labels of all tuples follow from those of the rests, found
once for each orbit of first indices, without a graph of all tuples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np
from jaxtyping import Int

from intertwine.bases.orbits import moved_labels
from intertwine.operators import Permutation

_DRAWN = 12
"""The random elements drawn of a stabiliser; `_joined` corrects labels if they are too few."""
_POOL, _STEPS = 16, 32
"""The elements whose products are the random ones, and the steps before the first of these."""


class TooManyOrbits(Exception):
    """The first slots have so many orbits that a graph of all tuples is faster."""


@dataclass(frozen=True)
class _Move:
    """A signed permutation of the indices in each slot, with one more sign for the whole.

    For an invariant f, f(i, j, …) = ±f(p(i), q(j), …).
    """

    indices: tuple[Int[np.ndarray, " _"], ...]
    signs: tuple[Int[np.ndarray, " _"] | None, ...]
    sign: int = 1

    @classmethod
    def of(cls, slots: Sequence[Permutation]) -> _Move:
        """Return a generator as a move."""
        return cls(tuple(slot.indices for slot in slots), tuple(slot.signs for slot in slots))

    @property
    def is_trivial(self) -> bool:
        """Whether it moves nothing, and changes no sign."""
        return (
            self.sign == 1
            and all(np.array_equal(p, np.arange(len(p))) for p in self.indices)
            and all(signs is None or bool(np.all(signs == 1)) for signs in self.signs)
        )

    def then(self, other: _Move) -> _Move:
        """Return the move that is this one, and then the other."""
        return _Move(
            tuple(q[p] for p, q in zip(self.indices, other.indices, strict=True)),
            tuple(map(_signs_then, self.signs, other.signs, self.indices)),
            self.sign * other.sign,
        )

    def of_rest(self, point: int) -> _Move:
        """Return the move of the other slots, with the sign at an index of the first slot."""
        signs = self.signs[0]
        sign = self.sign if signs is None else self.sign * int(signs[point])
        return _Move(self.indices[1:], self.signs[1:], sign)

    def pull(self, labels: Int[np.ndarray, " *n"]) -> Int[np.ndarray, " *n"]:
        """Return the labels of all tuples from those of their images."""
        moved = labels
        for axis, (indices, signs) in enumerate(zip(self.indices, self.signs, strict=True)):
            moved = np.take(moved, indices, axis=axis)
            if signs is not None:
                moved *= np.expand_dims(signs, tuple(range(1, moved.ndim - axis)))
        return np.asarray(moved if self.sign == 1 else -moved)


def _signs_then(
    first: Int[np.ndarray, " n"] | None,
    second: Int[np.ndarray, " n"] | None,
    indices: Int[np.ndarray, " n"],
) -> Int[np.ndarray, " n"] | None:
    if second is None:
        return first
    moved: Int[np.ndarray, " n"] = second[indices]
    return moved if first is None else first * moved


def signed_labels(
    generators: Sequence[Sequence[Permutation]],
    sizes: Sequence[int],
    most_calls: int,
) -> Int[np.ndarray, " *n"]:
    """Return ±(orbit + 1) for each tuple of indices, and 0 where every invariant vanishes.

    Orbits are numbered by first appearance, where their sign is +. The same generators give the
    same labels. Raises `TooManyOrbits` after `most_calls` stabilisers.
    """
    chain = _Chain(np.random.default_rng(0), most_calls, prod(sizes))
    labels = chain.labels([_Move.of(slots) for slots in generators], tuple(sizes))
    return _joined(labels, generators)


class _Chain:
    """Labels by a chain of stabilisers."""

    def __init__(self, rng: np.random.Generator, most_calls: int, size: int) -> None:
        self._rng, self._calls_left = rng, most_calls
        self._dtype = np.int32 if size < 2**31 - 1 else np.int64

    def labels(self, moves: Sequence[_Move], sizes: tuple[int, ...]) -> Int[np.ndarray, " *n"]:
        """Return labels that are equal, up to signs, only within an orbit of the group of moves.

        Where the drawn elements generate the stabilisers, each orbit has one label.
        """
        moves = [move for move in moves if not move.is_trivial]
        if not moves:
            return np.arange(1, prod(sizes) + 1, dtype=self._dtype).reshape(sizes)
        if not sizes:
            return np.zeros((), dtype=self._dtype)  # a move changes the sign of its only tuple
        if self._calls_left <= 0:
            raise TooManyOrbits
        self._calls_left -= 1
        found = np.zeros(sizes, dtype=self._dtype)
        count, seen = 0, np.zeros(sizes[0], dtype=bool)
        inverses = [np.argsort(move.indices[0]) for move in moves]
        for point in range(sizes[0]):
            if seen[point]:
                continue
            ways = _ways_to(point, moves, inverses)
            seen[list(ways)] = True
            rest = self.labels(self._stabiliser(point, moves, ways), sizes[1:])
            found[point] = rest + np.sign(rest) * count
            count += int(rest.max(initial=0))
            for other, move in ways.items():
                if move is not None:
                    image = int(move.indices[0][other])
                    found[other] = move.of_rest(other).pull(found[image, ...])
        return found

    def _stabiliser(
        self, point: int, moves: Sequence[_Move], ways: dict[int, _Move | None]
    ) -> list[_Move]:
        """Return elements of the stabiliser of a point, as moves of the other slots.

        The elements are random, and nearly always generate it.
        """
        if len(ways) == 1:
            return [move.of_rest(point) for move in moves]
        found = []
        for move in self._drawn(moves):
            at = int(move.indices[0][point])
            while (way := ways[at]) is not None:
                at, move = int(way.indices[0][at]), move.then(way)
            found.append(move.of_rest(point))
        return found

    def _drawn(self, moves: Sequence[_Move]) -> Iterator[_Move]:
        """Yield random elements of the group, by product replacement (Celler et al. 1995)."""
        pool = list(moves)
        if len(pool) > _POOL:
            pool = [self._subproduct(moves) for _ in range(_POOL)]
        pool += [pool[k % len(pool)] for k in range(_POOL - len(pool))]
        first = self._rng.integers(0, _POOL, _STEPS + _DRAWN)
        second = (first + self._rng.integers(1, _POOL, _STEPS + _DRAWN)) % _POOL
        drawn = pool[0]
        for step, (i, j) in enumerate(zip(first, second, strict=True)):
            pool[i] = pool[i].then(pool[j])
            drawn = drawn.then(pool[i])
            if step >= _STEPS:
                yield drawn

    def _subproduct(self, moves: Sequence[_Move]) -> _Move:
        """Return the product of some of the moves in random order (Babai 1991).

        It is outside a given proper subgroup of their group at least every second time.
        """
        chosen = [moves[k] for k in self._rng.permutation(len(moves)) if self._rng.random() < 0.5]
        return reduce(_Move.then, chosen) if chosen else moves[0]


def _ways_to(
    point: int, moves: Sequence[_Move], inverses: Sequence[Int[np.ndarray, " n"]]
) -> dict[int, _Move | None]:
    """Return the orbit of a point: for each of its points a move that brings it nearer.

    Each point comes after the one to which it is moved.
    """
    ways: dict[int, _Move | None] = {point: None}
    ahead = deque([point])
    while ahead:
        at = ahead.popleft()
        for move, inverse in zip(moves, inverses, strict=True):
            before = int(inverse[at])
            if before not in ways:
                ways[before] = move
                ahead.append(before)
    return ways


def _joined(
    labels: Int[np.ndarray, " *n"], generators: Sequence[Sequence[Permutation]]
) -> Int[np.ndarray, " *n"]:
    """Return labels that every generator keeps: labels that it moves to each other are merged.

    So labels that are finer than the orbits become those of the orbits.
    """
    count = int(labels.max(initial=0))
    pairs = [
        np.unique(np.stack([own[differ], other[differ]]), axis=1)
        for slots in generators
        for own, other in moved_labels(labels, slots)
        if (differ := own != other).any()
    ]
    if not pairs:
        return labels
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # nodes: 0 for what vanishes, 1 … count for the labels, and those after them for their negatives
    own, other = np.concatenate([pair.astype(np.int64) for pair in pairs], axis=1)
    own, other = np.concatenate([own, -own]), np.concatenate([other, -other])
    nodes = [np.where(values < 0, count - values, values) for values in (own, other)]
    size = 2 * count + 1
    graph = coo_array((np.ones(len(own), dtype=np.int8), tuple(nodes)), shape=(size, size))
    of = connected_components(graph, directed=False)[1]
    positive, negative = of[1 : count + 1], of[count + 1 :]
    vanishes = (positive == negative) | (positive == of[0]) | (negative == of[0])
    # labels are numbered by first appearance, so that the first of those joined has the sign +
    renamed = np.zeros(count + 1, dtype=np.int64)
    known: dict[int, int] = {}
    for label in np.flatnonzero(~vanishes) + 1:
        node, opposite = int(positive[label - 1]), int(negative[label - 1])
        if node not in known:
            number = len(known) // 2 + 1
            known[node], known[opposite] = number, -number
        renamed[label] = known[node]
    table = np.concatenate([renamed, -renamed[:0:-1]]).astype(labels.dtype)
    joined: Int[np.ndarray, " *n"] = table[labels]  # a negative label counts from the end
    return joined
