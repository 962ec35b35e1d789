"""Comparing a matrix with a product on random vectors: an upper bound on the largest error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.operators import Permutation
from intertwine.operators.product_comparison import (
    PRODUCTS_UP_TO,
    bound_on_difference,
    has_orthonormal_rows,
)

LARGE = PRODUCTS_UP_TO + 7


def orthogonal(n: int, seed: int = 0, *, is_complex: bool = False) -> Any:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((n, n))
    return np.linalg.qr(matrix + 1j * rng.standard_normal((n, n)) if is_complex else matrix)[0]


LEFT, RIGHT = orthogonal(LARGE, 1), orthogonal(LARGE, 2)
PRODUCT = LEFT @ RIGHT


@laws
@given(
    st.integers(0, 10**6),
    st.sampled_from([1e-12, 1e-9, 1e-3, 1.0]),
    st.booleans(),
    st.booleans(),
)
def test_the_bound_is_at_least_the_largest_error(
    seed: int, error: float, is_complex: bool, is_everywhere: bool
) -> None:
    rng = np.random.default_rng(seed)
    unit, wrong = (1j if is_complex else 1.0), PRODUCT + (0j if is_complex else 0.0)
    if is_everywhere:
        wrong = wrong + error * unit * rng.uniform(-1, 1, wrong.shape)
    else:
        wrong[rng.integers(LARGE), rng.integers(LARGE)] += error * unit
    largest = np.abs(wrong - PRODUCT).max()
    bound = bound_on_difference(wrong, (LEFT, RIGHT))
    assert largest <= bound <= 15 * largest * np.sqrt(LARGE)


@pytest.mark.parametrize("n", [1, 5, PRODUCTS_UP_TO])
def test_the_bound_of_small_matrices_is_exact(n: int) -> None:
    rng = np.random.default_rng(n)
    matrix, left, right = rng.standard_normal((3, n, n))
    assert bound_on_difference(matrix, (left, right)) == np.abs(matrix - left @ right).max()


@pytest.mark.parametrize("n", [4, LARGE])
def test_the_bound_of_an_exact_product_is_rounding(n: int) -> None:
    left, right = orthogonal(n, 1), orthogonal(n, 2)
    assert bound_on_difference(left @ right, (left, right)) < 1e-12


@pytest.mark.parametrize("n", [4, LARGE])
def test_entries_that_are_not_finite_have_no_bound(n: int) -> None:
    matrix = np.eye(n)
    matrix[2, 1] = np.nan
    assert not bound_on_difference(matrix, (np.eye(n), np.eye(n))) <= 1e300


@pytest.mark.parametrize("n", [4, LARGE])
def test_a_factor_may_be_a_permutation(n: int) -> None:
    move, matrix = Permutation(np.roll(np.arange(n), 1)), orthogonal(n)
    assert bound_on_difference(np.asarray(move) @ matrix, (move, matrix)) < 1e-12
    assert bound_on_difference(matrix, (move, matrix)) > 1e-3


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("n", [4, LARGE])
def test_orthonormal_rows(n: int, is_complex: bool) -> None:
    matrix = orthogonal(n, 3, is_complex=is_complex)
    assert has_orthonormal_rows(matrix, 1e-11)
    for error in (1e-10, 1e-6, 1.0):
        wrong = matrix.copy()
        wrong[1] *= 1 + error
        assert not has_orthonormal_rows(wrong, 1e-11)
    slightly = matrix.copy()
    slightly[1] *= 1 + 4e-12  # twice this: below the tolerance, above what the vectors can show
    assert has_orthonormal_rows(slightly, 1e-11)
