"""Characters of functors: polynomials in the power sums p_m(g) = χ(g^m) of the part's character.

For Symᵏ it is the cycle index Σ p_μ/z_μ over the partitions μ of k, for Λᵏ the same with the signs
of permutations of cycle type μ, for S_λ with their characters χ^λ(μ), and for a symmetry of indices
the mean over its group (Macdonald, *Symmetric Functions and Hall Polynomials*, 1995, §I.7).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import factorial, prod

from intertwine.reps.functors.conjugates import Conjugate
from intertwine.reps.functors.determinants import Determinant
from intertwine.reps.functors.functor import Functor
from intertwine.reps.functors.index_symmetry import IndexSymmetric
from intertwine.reps.functors.tensor_powers import Power
from intertwine.reps.functors.young import SchurFunctor

MAX_DEGREE = 16
"""The largest degree of a polynomial in power sums: there are 231 partitions of 16."""

#: Cycle lengths, the longest first.
Partition = tuple[int, ...]


def in_power_sums(rep: Functor, size: int) -> Mapping[Partition, Fraction] | None:
    """Return the character of a functor of a part of this size, in power sums of the part's.

    These are coefficients of the products p_μ = p_{μ₁} p_{μ₂} ⋯. None if the degree is over
    `MAX_DEGREE`, or the functor is a conjugate.
    """
    if isinstance(rep, IndexSymmetric) and rep.degree <= MAX_DEGREE:
        return rep.cycle_index
    if isinstance(rep, Conjugate):
        return None
    shape: Partition | None = None
    if isinstance(rep, Determinant):
        shape = (1,) * size
    elif isinstance(rep, Power):
        shape = (1,) * rep.k if rep.strict else (rep.k,)
    elif isinstance(rep, SchurFunctor):
        shape = rep.partition
    return None if shape is None or sum(shape) > MAX_DEGREE else schur_polynomial(shape)


@lru_cache(256)
def schur_polynomial(shape: Partition) -> Mapping[Partition, Fraction]:
    """Return s_λ = Σ χ^λ(μ) p_μ/z_μ as coefficients of p_μ."""
    found = {}
    for cycles in partitions(sum(shape)):
        value = symmetric_group_character(shape, cycles)
        if value:
            found[cycles] = Fraction(value, _centraliser(cycles))
    return found


@lru_cache(65536)
def symmetric_group_character(shape: Partition, cycles: Partition) -> int:
    """Return χ^λ(μ), the character of the irrep λ of a symmetric group at cycle type μ.

    It is computed by the rule of Murnaghan and Nakayama: rim hooks are removed from the diagram.
    """
    if not cycles:
        return 1
    length, rest = cycles[0], cycles[1:]
    rows = len(shape)
    # first column hook lengths: removing a rim hook of some length subtracts it from one of them
    beta = [row + rows - 1 - i for i, row in enumerate(shape)]
    total = 0
    for i, value in enumerate(beta):
        moved = value - length
        if moved < 0 or moved in beta:
            continue
        height = sum(moved < other < value for other in beta)
        new = sorted([*beta[:i], *beta[i + 1 :], moved], reverse=True)
        smaller = tuple(b - (rows - 1 - j) for j, b in enumerate(new))
        total += (-1) ** height * symmetric_group_character(
            tuple(row for row in smaller if row), rest
        )
    return total


def partitions(n: int, largest: int | None = None, rows: int | None = None) -> Iterator[Partition]:
    """Yield the partitions of n, into at most `rows` parts of at most `largest`."""
    if n == 0:
        yield ()
        return
    if rows == 0:
        return
    fewer = None if rows is None else rows - 1
    for first in range(n if largest is None else min(n, largest), 0, -1):
        for rest in partitions(n - first, first, fewer):
            yield (first, *rest)


def _centraliser(cycles: Partition) -> int:
    """Return z_μ, the number of permutations that commute with one of cycle type μ."""
    return prod(length**count * factorial(count) for length, count in Counter(cycles).items())
