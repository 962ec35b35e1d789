"""Which groups permute coordinates in all ways, by their generators."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from intertwine.groups import SO, Cube, D, Group, S, Z
from intertwine.groups.full_permutations import (
    AllPermutations,
    count_equality_patterns,
    equality_patterns,
    full_permutations_of,
)
from intertwine.reps import V


def cycle(n: int, *places: int) -> Any:
    """The permutation that takes each place to the next."""
    indices = np.arange(n)
    indices[list(places)] = np.roll(places, 1)
    return np.eye(n)[indices]


def flip(n: int, *places: int) -> Any:
    """The change of some signs."""
    return np.diag([-1.0 if i in places else 1.0 for i in range(n)])


def of(*generators: Any) -> Group:
    """The group that they generate."""
    return Group(discrete_generators=generators)


@pytest.mark.parametrize(
    ("group", "longest", "signed"),
    [
        (S(1), 1, False),
        (S(2), 2, False),
        (S(7), 7, False),
        (S(200), 200, False),
        (of(cycle(6, *range(6)), cycle(6, 2, 3)), 6, False),
        (of(*(cycle(5, 0, 1, k) for k in (2, 3, 4))), 3, False),
        (of(cycle(7, *range(7)), cycle(7, 0, 1, 2)), 5, False),
        (of(cycle(4, *range(4)), cycle(4, 0, 1), flip(4, 2)), 4, True),
        (of(cycle(5, *range(5)), cycle(5, 0, 1) @ flip(5, 3), flip(5, 0)), 5, True),
        (D(4), 2, True),
    ],
    ids=repr,
)
def test_those_that_do(group: Group, longest: int, signed: bool) -> None:
    assert full_permutations_of(group) == AllPermutations(longest, signed)
    for length in range(1, 5):  # what it says of tuples is what the orbits say
        known = length <= longest or longest == group.d
        if known and group.d**length <= 5000:
            assert (V**length)(group).equivariant_basis(store=False).rank == _parts(
                length, group.d, signed
            )


def _parts(length: int, most: int, signed: bool) -> int:
    """Partitions of so many places into at most so many parts, even ones if signed."""

    def count(sizes: tuple[int, ...], left: int) -> int:
        if not left:
            return int(not signed or all(size % 2 == 0 for size in sizes))
        grown = sum(
            count((*sizes[:k], sizes[k] + 1, *sizes[k + 1 :]), left - 1) for k in range(len(sizes))
        )
        return grown + (count((*sizes, 1), left - 1) if len(sizes) < most else 0)

    return count((), length)


@pytest.mark.parametrize(
    "group",
    [
        Z(5),
        D(5),
        Cube(),
        SO(3),
        S(3) * S(2),
        of(cycle(4, 0, 1), cycle(4, 2, 3)),
        of(cycle(4, 0, 1), cycle(4, 0, 2) @ cycle(4, 1, 3)),  # blocks of two are moved as wholes
        of(cycle(4, *range(4)), cycle(4, 0, 1), flip(4, 0, 1)),  # signs change in pairs only
        of(cycle(4, *range(4)), -cycle(4, 0, 1)),
        Group(lie_algebra=np.zeros((1, 2, 2))),
    ],
    ids=repr,
)
def test_those_that_do_not_or_do_not_show_it(group: Group) -> None:
    assert full_permutations_of(group) is None


@pytest.mark.slow
@pytest.mark.parametrize(("length", "number"), [(0, 3), (1, 1), (3, 2), (4, 4), (5, 3), (6, 9)])
def test_patterns_of_equal_indices_are_those_of_all_tuples(length: int, number: int) -> None:
    tuples = itertools.product(range(number), repeat=length)
    seen = dict.fromkeys(tuple(list(dict.fromkeys(t)).index(i) for i in t) for t in tuples)
    found = list(equality_patterns(["a"] * length, [number] * length))
    assert found == list(seen)  # in the order of the first tuple of each
    assert count_equality_patterns(length, number) == len(found)


def test_indices_of_different_kinds_are_never_equal() -> None:
    found = list(equality_patterns("aba", [2, 1, 2]))
    assert found == [(0, 1, 0), (0, 1, 2)]


def test_the_numbers_of_patterns_are_bell_numbers() -> None:
    assert [count_equality_patterns(k, 20) for k in range(9)] == [
        1,
        1,
        2,
        5,
        15,
        52,
        203,
        877,
        4140,
    ]
