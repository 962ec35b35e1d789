"""Fractions of polynomials over products of 1 − t^d."""

from __future__ import annotations

from math import prod

import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.polynomials.rational_functions import (
    cyclotomic,
    fraction,
    multiplied,
    quotient,
    totient,
)


def series(numerator: list[int], degrees: list[int], length: int) -> list[int]:
    """The power series of a fraction, by recursion."""
    found = [*numerator, *([0] * length)][:length]
    for d in degrees:
        for k in range(d, length):
            found[k] += found[k - d]
    return found


@pytest.mark.parametrize("n", range(1, 31))
def test_cyclotomic_polynomials_multiply_to_one_minus_t_to_the_n(n: int) -> None:
    found: list[int] = [1]
    for d in range(1, n + 1):
        if n % d == 0:
            found = multiplied(found, cyclotomic(d))
    assert found == [1] + [0] * (n - 1) + [-1]
    assert totient(n) == len(cyclotomic(n)) - 1


@laws
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=5),
    st.lists(st.integers(-3, 3), max_size=4).map(lambda a: [1, *a]),
)
def test_quotients_undo_products(a: list[int], b: list[int]) -> None:
    assert quotient(multiplied(a, b), b) == a
    if any(b[1:]):
        assert quotient([*multiplied(a, b), 1], b) is None or prod(b) == 0


@laws
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
)
def test_a_fraction_has_the_series_that_it_was_made_from(
    numerator: list[int], degrees: list[int]
) -> None:
    factors: dict[int, int] = {}
    for d in degrees:
        for n in range(1, d + 1):
            if d % n == 0:
                factors[n] = factors.get(n, 0) + 1
    size = sum(degrees) + len(numerator) + 1
    found, over = fraction(series(numerator, degrees, size), factors)
    assert series(list(found), list(over), 40) == series(numerator, degrees, 40)
    assert not any(numerator) or min(found) >= 0
