"""Fractions N(t) / ∏ᵢ(1 − t^dᵢ) of polynomials with integer coefficients, lowest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations_with_replacement
from math import comb, gcd

_LARGEST = 60  # the largest d of a factor 1 − tᵈ that is tried
_TRIED = 20_000
"""The most denominators that are tried for a numerator without negative coefficients."""


def fraction(
    series: Sequence[int], factors: Mapping[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return N and d of a power series with the denominator ∏ₙ Φₙ^factors[n].

    `series` has the coefficients up to the degree of that denominator, which is at least that of
    the numerator. Common factors are cancelled. The denominator has as many factors as the order of
    the pole at 1, and the least degree for which N has no negative coefficient, as with the degrees
    of primary invariants. If none is found, it is the smallest one.
    """
    numerator, left = list(series), Counter(factors)
    for n, count in factors.items():
        for _ in range(count):
            numerator = multiplied(numerator, cyclotomic(n))[: len(series)]
    while len(numerator) > 1 and not numerator[-1]:
        numerator.pop()
    if numerator == [0]:
        return (0,), ()
    for n in sorted(left, reverse=True):
        while left[n]:
            divided = quotient(numerator, cyclotomic(n))
            if divided is None:
                break
            numerator, left[n] = divided, left[n] - 1
    left = +left
    for degrees in _denominators(left):
        whole = _completed(numerator, left, degrees)
        if min(whole) >= 0:
            return tuple(whole), degrees
    degrees = _smallest(left)
    return tuple(_completed(numerator, left, degrees)), degrees


def _denominators(factors: Counter[int]) -> Iterator[tuple[int, ...]]:
    """Yield the degrees d of products ∏ᵢ(1 − t^dᵢ) that the factors divide, low sums first."""
    count = factors[1]
    if not count:
        return
    largest = _LARGEST
    while comb(largest + count - 1, count) > _TRIED and largest > 1:
        largest -= 1
    candidates = (
        degrees
        for degrees in combinations_with_replacement(range(1, largest + 1), count)
        if all(sum(d % n == 0 for d in degrees) >= times for n, times in factors.items())
    )
    yield from sorted(candidates, key=lambda degrees: (sum(degrees), degrees))


def _smallest(factors: Counter[int]) -> tuple[int, ...]:
    """Return the degrees of a product that the factors divide, by completing the largest first."""
    left, degrees = Counter(factors), []
    while left:
        n = max(left)
        degrees.append(n)
        left = +Counter({d: times - (n % d == 0) for d, times in left.items()})
    return tuple(sorted(degrees))


def _completed(
    numerator: Sequence[int], factors: Counter[int], degrees: Sequence[int]
) -> list[int]:
    """Return the numerator over ∏ᵢ(1 − t^dᵢ) of one over the product of the factors."""
    found = list(numerator)
    for n in sorted({n for d in degrees for n in range(1, d + 1) if d % n == 0}):
        for _ in range(sum(d % n == 0 for d in degrees) - factors[n]):
            found = multiplied(found, cyclotomic(n))
    return found


@cache
def cyclotomic(n: int) -> tuple[int, ...]:
    """Return Φₙ(t), with the sign for which Φₙ(0) = 1, so that 1 − tⁿ is the product over d | n."""
    found = [1] + [0] * (n - 1) + [-1]
    for d in range(1, n):
        if n % d == 0:
            divided = quotient(found, cyclotomic(d))
            assert divided is not None
            found = divided
    return tuple(found)


def totient(n: int) -> int:
    """Return the degree of Φₙ."""
    return sum(gcd(n, k) == 1 for k in range(1, n + 1))


def multiplied(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """Return the product ab of two polynomials."""
    found = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        if x:
            for j, y in enumerate(b):
                found[i + j] += x * y
    return found


def quotient(a: Sequence[int], b: Sequence[int]) -> list[int] | None:
    """Return a / b for a polynomial b with b(0) = 1; None if b does not divide a."""
    rest, found = list(a), list[int]()
    for i in range(len(a) - len(b) + 1):
        found.append(rest[i])
        if rest[i]:
            for j, y in enumerate(b):
                rest[i + j] -= found[-1] * y
    return found if len(a) >= len(b) and not any(rest) else None
