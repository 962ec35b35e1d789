"""Random elements of the groups of some reps."""

from __future__ import annotations

from intertwine.reps import Rep
from intertwine.reps.syntax import Element, groups_of


def elements_of(reps: tuple[Rep, ...], count: int, seed: int) -> list[Element]:
    """`count` elements for `rho`: for reps of several groups, one of each group."""
    groups = tuple(dict.fromkeys(group for rep in reps for group in groups_of(rep)))
    drawn = {group: group.samples(count, seed) for group in groups}
    return [{group: drawn[group][i] for group in groups} for i in range(count)]
