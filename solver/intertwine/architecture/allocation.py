"""The hidden rep of a network of a given width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import comb, prod

from intertwine.groups import Group
from intertwine.integers import checked_integer
from intertwine.reps import Rep, T
from intertwine.reps.syntax import direct_sum, tensor

_HIGHEST_ALONE = 3  # for d = 1: tensors of odd and even rank, and of some charges

#: The rank of a tensor in the V of each group.
Ranks = tuple[int, ...]


def uniform_rep(ch: int, group: Group | Sequence[Group]) -> Rep:
    """Return a rep of size `ch` whose channels are spread evenly over tensor ranks.

    The heuristic of Finzi, Welling and Wilson (2021, §6). As long as channels are left, tensors of
    rank 0, 1, …, r get equal numbers of channels, where r is the largest rank for which (r + 1)dʳ
    channels are left (at most 3 for d = 1). Those of rank r are divided over T(p, r − p) like
    binomial coefficients; leftovers go to the largest remainders, so that the rep is always the
    same. For several groups, tensors are products of the V of each: all of a total rank of at most
    r get equal numbers of channels, up to rounding. Raises `InvalidSetting` unless `ch` is an
    integer from 0 on.
    """
    groups = (group,) if isinstance(group, Group) else tuple(group)
    dimensions = [one.d for one in groups]
    counts: dict[Ranks, int] = {}
    left = checked_integer(ch, "a number of channels")
    while left > 0:
        sizes = _affordable(left, dimensions)
        share = max(sizes.values())
        for ranks, size in sizes.items():
            counts[ranks] = counts.get(ranks, 0) + share // size
            left -= share // size * size
    return direct_sum(
        [
            (n, tensor([T(p, r - p)(G) for p, r, G in zip(upper, ranks, groups, strict=True)]))
            for ranks, count in counts.items()
            for upper, n in _split_each(count, ranks)
        ]
    )


def _affordable(channels: int, dimensions: Sequence[int]) -> dict[Ranks, int]:
    """Return the sizes of all tensors up to the highest total rank at which there are enough
    channels for as many of each as the largest has.
    """
    found = {(0,) * len(dimensions): 1}
    rank = 0
    while True:
        rank += 1
        higher = found | {ranks: _size(ranks, dimensions) for ranks in _ranks(rank, dimensions)}
        if higher == found or len(higher) * max(higher.values()) > channels:
            return found
        found = higher


def _ranks(total: int, dimensions: Sequence[int]) -> list[Ranks]:
    """Return the ranks of a total, those of the first groups first."""
    each = [range(total, -1, -1) if d > 1 else range(_HIGHEST_ALONE, -1, -1) for d in dimensions]
    return [ranks for ranks in product(*each) if sum(ranks) == total]


def _size(ranks: Ranks, dimensions: Sequence[int]) -> int:
    return prod(d**r for d, r in zip(dimensions, ranks, strict=True))


def _split_each(count: int, ranks: Ranks) -> Iterator[tuple[Ranks, int]]:
    """Yield how many of `count` tensors are T(p, r − p) of each group, for each p of each group."""
    if not ranks:
        yield (), count
        return
    for p, n in _split(count, ranks[0]):
        if n:
            yield from (((p, *others), m) for others, m in _split_each(n, ranks[1:]))


def _split(count: int, rank: int) -> list[tuple[int, int]]:
    """Return how many of `count` tensors are T(p, rank − p), for each p."""
    whole = [divmod(count * comb(rank, p), 2**rank) for p in range(rank + 1)]
    numbers = [quotient for quotient, _ in whole]
    order = sorted(range(rank + 1), key=lambda p: (-whole[p][1], -p))
    for p in order[: count - sum(numbers)]:
        numbers[p] += 1
    return list(enumerate(numbers))
