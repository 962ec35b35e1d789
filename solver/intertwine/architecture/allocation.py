"""The hidden rep of a network of a given width."""

from __future__ import annotations

from math import comb

from intertwine.groups import Group
from intertwine.integers import checked_integer
from intertwine.reps import Rep, T
from intertwine.reps.syntax import direct_sum

_HIGHEST_ALONE = 3  # for d = 1: tensors of odd and even rank, and of some charges


def uniform_rep(ch: int, group: Group) -> Rep:
    """Return a rep of size `ch` whose channels are spread evenly over tensor ranks.

    The heuristic of Finzi, Welling and Wilson (2021, §6). As long as channels are left, tensors of
    rank 0, 1, …, r get equal numbers of channels, where r is the largest rank for which (r + 1)dʳ
    channels are left (at most 3 for d = 1). Those of rank r are divided over T(p, r − p) like
    binomial coefficients; leftovers go to the largest remainders, so that the rep is always the
    same. Raises `InvalidSetting` unless `ch` is an integer from 0 on.
    """
    counts: dict[int, int] = {}
    left, d = checked_integer(ch, "a number of channels"), group.d
    while left > 0:
        rank = _largest_rank(left, d)
        for r in range(rank + 1):
            counts[r] = counts.get(r, 0) + d ** (rank - r)
        left -= (rank + 1) * d**rank
    return direct_sum(
        [(n, T(p, r - p)(group)) for r, count in counts.items() for p, n in _split(count, r) if n]
    )


def _largest_rank(channels: int, d: int) -> int:
    """Return the largest r with (r + 1)dʳ ≤ channels."""
    rank = 0
    while (rank + 2) * d ** (rank + 1) <= channels and (d > 1 or rank < _HIGHEST_ALONE):
        rank += 1
    return rank


def _split(count: int, rank: int) -> list[tuple[int, int]]:
    """Return how many of `count` tensors are T(p, rank − p), for each p."""
    whole = [divmod(count * comb(rank, p), 2**rank) for p in range(rank + 1)]
    numbers = [quotient for quotient, _ in whole]
    order = sorted(range(rank + 1), key=lambda p: (-whole[p][1], -p))
    for p in order[: count - sum(numbers)]:
        numbers[p] += 1
    return list(enumerate(numbers))
