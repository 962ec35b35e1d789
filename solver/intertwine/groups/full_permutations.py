"""Groups of all permutations of coordinates, with or without all signs, and their orbits."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from intertwine.groups.group import Group
from intertwine.operators import Permutation, as_signed_permutation


@dataclass(frozen=True)
class AllPermutations:
    """All permutations of n coordinates, or all even ones; if `signed`, with all signs.

    Two tuples of at most `longest` indices are in one orbit if and only if they have equal indices
    in the same positions. (For all permutations this holds for any length.)
    """

    longest: int
    signed: bool


@lru_cache(maxsize=256)
def full_permutations_of(group: Group) -> AllPermutations | None:
    """Return the permutations in a group if its generators show that it contains all permutations
    or all even ones; else None.

    A transposition and its conjugates generate all permutations of the smallest block that contains
    it; so do 3-cycles for even permutations (Jordan 1870). If that block is all coordinates, the
    conjugates of one change of a single sign are all such changes.
    """
    if group.lie_generators or not group.d:
        return None
    moves = [as_signed_permutation(h) for h in group.group_generators]
    known = [move for move in moves if move is not None]
    if len(known) != len(moves):
        return None
    n = group.d
    signs = [move for move in known if move.signs is not None]
    flips = [
        move for move in signs if not _moved(move).size and np.count_nonzero(move.signs == -1) == 1
    ]
    if signs and not flips:
        return None
    for length, longest in ((2, n), (3, n - 2)):
        cycles = [_moved(move) for move in known if len(_moved(move)) == length]
        if cycles and _is_everything(cycles, known, n):
            return AllPermutations(max(longest, 1), bool(signs))
    return AllPermutations(n, bool(signs)) if n == 1 else None


def equality_patterns(
    kinds: Sequence[Hashable], numbers: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Yield the equality patterns of index tuples: partitions of the places into parts with equal
    indices. These are the orbits of all permutations of the indices.

    Only places of the same kind can have equal indices; `numbers` has, for each place, the number
    of indices of its kind. A pattern is a tuple with the part of each place, where parts are
    numbered by first appearance. If there is one kind, this is the pattern's first index tuple.
    Patterns are in lexicographic order.
    """

    def extend(parts: list[int], kind_of: list[Hashable]) -> Iterator[tuple[int, ...]]:
        place = len(parts)
        if place == len(kinds):
            yield tuple(parts)
            return
        kind = kinds[place]
        for part, other in enumerate(kind_of):
            if other == kind:
                yield from extend([*parts, part], kind_of)
        if kind_of.count(kind) < numbers[place]:
            yield from extend([*parts, len(kind_of)], [*kind_of, kind])

    yield from extend([], [])


def count_equality_patterns(length: int, number: int) -> int:
    """Return the number of patterns of tuples of one kind of index: a sum of Stirling numbers."""
    # the number of patterns of the indices so far, by the count of different indices
    patterns = [1] + [0] * min(length, number)
    for _ in range(length):
        patterns = [
            count * patterns[count] + (patterns[count - 1] if count else 0)
            for count in range(len(patterns))
        ]
    return sum(patterns)


def _moved(move: Permutation) -> np.ndarray:
    return np.flatnonzero(move.indices != np.arange(len(move.indices)))


def _is_everything(cycles: list[np.ndarray], moves: list[Permutation], n: int) -> bool:
    """Return whether the smallest block with these cycles is all n points (Atkinson 1975)."""
    root = list(range(n))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    joined: list[tuple[int, int]] = []

    def join(i: int, j: int) -> None:
        a, b = find(i), find(j)
        if a != b:
            root[a] = b
            joined.append((i, j))

    for cycle in cycles:
        for other in cycle[1:]:
            join(int(cycle[0]), int(other))
    tables = [move.indices.tolist() for move in moves]
    for i, j in joined:  # it grows
        if len(joined) == n - 1:
            break
        for table in tables:
            join(table[i], table[j])
    return len(joined) == n - 1
