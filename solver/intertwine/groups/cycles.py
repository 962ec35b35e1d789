"""Permutations from their cycles, as values or as text."""

from __future__ import annotations

from collections.abc import Sequence
from reprlib import repr as shortened
from typing import Any

import numpy as np

from intertwine.errors import InvalidGroup
from intertwine.groups.generators import MAX_DIMENSION, refuse_large
from intertwine.integers import checked_integer, is_integer
from intertwine.operators import Permutation
from intertwine.scanner import Scanner

_Cycles = list[list[int]]


def permutations_of(cycles: Any, d: int | None) -> list[Permutation]:
    """Return the permutations h for `Group.from_permutations`: h eᵢ = eⱼ for a cycle (i, j, …).

    Raises `InvalidGroup` and `ParseError`.
    """
    given = _from_text(cycles) if isinstance(cycles, str) else _from_lists(cycles)
    points = [point for permutation in given for cycle in permutation for point in cycle]
    size = max(points, default=0) + 1
    if d is not None:
        size = checked_integer(d, "d, the number of coordinates,", 1, InvalidGroup)
    if size > MAX_DIMENSION or min(points, default=0) < 0 or max(points, default=0) >= size:
        raise InvalidGroup(
            f"the cycles have coordinates from {min(points, default=0):,} to "
            f"{max(points, default=0):,}, and d={size:,}: give coordinates from 0 to d − 1, and a "
            f"d of at most {MAX_DIMENSION:,}"
        )
    refuse_large(size * len(given), "the permutations")
    return [_permutation(permutation, size) for permutation in given]


def _permutation(cycles: _Cycles, size: int) -> Permutation:
    points = [point for cycle in cycles for point in cycle]
    if len(set(points)) < len(points):
        raise InvalidGroup(
            f"the cycles {shortened(cycles)} of a permutation have a coordinate twice: give "
            f"disjoint cycles, or several permutations"
        )
    indices = np.arange(size)
    for cycle in cycles:
        indices[cycle[1:] + cycle[:1]] = cycle
    return Permutation(indices)


def _from_lists(cycles: Any) -> list[_Cycles]:
    if not _is_list(cycles):
        raise InvalidGroup(
            f"permutations are lists of cycles, as in [[(0, 1, 2), (3, 4)]], or GAP's text, not "
            f"{shortened(cycles)}"
        )
    return [_checked(each) for each in cycles]


def _checked(permutation: Any) -> _Cycles:
    if not _is_list(permutation) or not all(_is_list(cycle) for cycle in permutation):
        raise InvalidGroup(
            f"a permutation is a list of cycles, as in [[(0, 1, 2), (3, 4)], [(0, 1)]] for two "
            f"permutations, not {shortened(permutation)}"
        )
    for point in (point for cycle in permutation for point in cycle):
        if not is_integer(point):
            raise InvalidGroup(f"a cycle consists of integers, not {point!r}")
    return [[int(point) for point in cycle] for cycle in permutation if len(cycle)]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)


def _from_text(text: str) -> list[_Cycles]:
    """permutations := permutation ("," permutation)*;  permutation := cycle+;
    cycle := "(" [INTEGER ("," INTEGER)*] ")", of points from 1 on.
    """
    scanner = Scanner(text, ("(", ")", ","))
    found: list[_Cycles] = []
    while not found or scanner.accept(","):
        cycles = [_cycle(scanner)]
        while scanner.sees("("):
            cycles.append(_cycle(scanner))
        found.append([cycle for cycle in cycles if cycle])
    scanner.expect_end("',' and another permutation, or the end of the text")
    return found


def _cycle(scanner: Scanner) -> list[int]:
    scanner.expect("(")
    cycle: list[int] = []
    while not scanner.accept(")"):
        if cycle:
            scanner.expect(",")
        point = scanner.expect_kind("integer", "a point from 1 on, or ')'")
        if not point.integer:
            scanner.fail("a point from 1 on", "", point.offset)
        cycle.append(point.integer - 1)
    return cycle
