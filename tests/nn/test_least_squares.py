"""Least squares from a QR factorisation: ridges, leading columns, and forward selection."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intertwine.nn.least_squares import LeastSquares

#: Rows of a problem in pieces.
Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


def data(
    rows: int, columns: int, seed: int, *, constant: bool = True, is_complex: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Random columns of different sizes, the first constant or not, and two targets."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((rows, columns)) * 10.0 ** rng.uniform(-2, 2, columns) + 0.5
    y = rng.standard_normal((rows, 2))
    if is_complex:
        a, y = a + 1j * rng.standard_normal(a.shape), y + 1j * rng.standard_normal(y.shape)
    if constant:
        a[:, 0] = 1
    return a, y


def blocks(a: np.ndarray, y: np.ndarray, size: int) -> Blocks:
    for start in range(0, len(a), size):
        yield a[start : start + size], y[start : start + size]


@given(
    rows=st.integers(2, 40),
    columns=st.integers(1, 12),
    size=st.integers(1, 50),
    constant=st.booleans(),
    is_complex=st.booleans(),
    ridge=st.sampled_from([1e-6, 1e-2, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_solutions_satisfy_the_normal_equations_of_the_ridge(
    rows: int, columns: int, size: int, constant: bool, is_complex: bool, ridge: float, seed: int
) -> None:
    a, y = data(rows, columns, seed, constant=constant, is_complex=is_complex)
    problem = LeastSquares.of(blocks(a, y, size), constant)
    for width in {1, (columns + 1) // 2, columns}:
        w, own = problem.path(width).weights(ridge), a[:, :width]
        centred = own - own.mean(axis=0) if constant else own
        squares = np.mean(np.abs(centred) ** 2, axis=0)
        if constant:
            squares[0] = 0
        gradient = own.conj().T @ (own @ w - y) / rows + ridge * squares[:, None] * w
        size_of = np.sqrt(np.mean(np.abs(own) ** 2, axis=0))[:, None]
        assert np.abs(gradient / size_of).max() < 1e-9 * max(1, np.abs(y).max())
        error = np.mean(np.abs(own @ w - y) ** 2)
        assert problem.error(w) == pytest.approx(error, rel=1e-6, abs=1e-12)


def test_of_several_solutions_without_a_ridge_the_smallest_is_taken() -> None:
    a, y = data(5, 9, 0, constant=False)
    w = LeastSquares.of(blocks(a, y, 2), False).path(9).weights(0)
    scales = np.sqrt(np.mean(a**2, axis=0))
    expected = np.linalg.pinv(a / scales) @ y / scales[:, None]
    np.testing.assert_allclose(w, expected, rtol=1e-8, atol=1e-10)


def test_columns_of_zeros_and_equal_columns_have_finite_solutions() -> None:
    a, y = data(20, 6, 3)
    a[:, 2], a[:, 4] = 0, a[:, 3]
    problem = LeastSquares.of(blocks(a, y, 7), True)
    best = np.linalg.lstsq(a, y, rcond=None)[0]
    error = np.mean((a @ best - y) ** 2)
    assert problem.error(problem.path(6).weights(0)) == pytest.approx(error, rel=1e-9)
    *_, last = problem.forward(6, 10)
    assert np.isfinite(last).all()
    assert problem.error(last) == pytest.approx(error, rel=1e-9)


def test_forward_selection_finds_the_terms_of_a_sparse_target() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((30, 80))
    a[:, 0] = 1
    w = np.zeros((80, 2))
    w[[0, 7, 31, 64]] = rng.standard_normal((4, 2)) + 2
    *_, last = LeastSquares.of(blocks(a, a @ w, 11), True).forward(80, 20)
    np.testing.assert_allclose(last, w, atol=1e-10)


@given(seed=st.integers(0, 10**6), is_complex=st.booleans(), constant=st.booleans())
def test_each_term_lowers_the_error_most(seed: int, is_complex: bool, constant: bool) -> None:
    a, y = data(25, 8, seed, constant=constant, is_complex=is_complex)
    problem = LeastSquares.of(blocks(a, y, 25), constant)
    solutions = list(problem.forward(8, 8))
    assert len(solutions) == 8
    chosen: list[int] = []
    for w in solutions:
        [new] = {*np.flatnonzero(np.abs(w).max(axis=1))} - {*chosen}

        def error(terms: list[int]) -> float:
            best = np.linalg.lstsq(a[:, terms], y, rcond=None)[0]
            return float(np.mean(np.abs(a[:, terms] @ best - y) ** 2))

        others = [error([*chosen, j]) for j in range(8) if j not in chosen]
        if not (constant and not chosen):  # the constant comes first
            assert error([*chosen, new]) <= min(others) * (1 + 1e-9) + 1e-12
        chosen.append(int(new))
        assert problem.error(w) == pytest.approx(error(chosen), rel=1e-6, abs=1e-12)


@given(
    samples=st.integers(2, 8),
    group=st.integers(1, 3),
    columns=st.integers(1, 6),
    size=st.integers(1, 5),
    constant=st.booleans(),
    is_complex=st.booleans(),
    ridge=st.sampled_from([0.0, 1e-3, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_errors_without_a_sample_are_those_of_fits_without_it(
    samples: int,
    group: int,
    columns: int,
    size: int,
    constant: bool,
    is_complex: bool,
    ridge: float,
    seed: int,
) -> None:
    rows = samples * group
    a, y = data(rows, columns, seed, constant=constant, is_complex=is_complex)
    problem = LeastSquares.of(blocks(a, y, size * group), constant)
    path = problem.path(columns)
    found, again = path.left_out(blocks(a, y, size * group), [ridge, 1.0], group)
    centred = a - a.mean(axis=0) if constant else a
    weights = np.mean(np.abs(centred) ** 2, axis=0)
    if constant:
        weights[0] = 0
    penalty = np.diag(np.sqrt(ridge * rows * weights))
    assert found.shape == again.shape == y.shape
    for i in range(samples):
        own = np.arange(rows) // group == i
        rest = np.concatenate([a[~own], penalty])
        if np.linalg.matrix_rank(rest) < columns or np.linalg.cond(rest) > 1e6:
            continue  # the sample decides some coefficient alone, or nearly
        solution = np.linalg.lstsq(rest, np.concatenate([y[~own], np.zeros((columns, 2))]))[0]
        expected = a[own] @ solution - y[own]
        assert np.allclose(found[own], expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())


def test_a_sample_that_is_fitted_whatever_its_target_is_has_an_infinite_error() -> None:
    a, y = data(4, 6, 0)
    problem = LeastSquares.of(blocks(a, y, 4), True)
    free, damped = problem.path(6).left_out(blocks(a, y, 4), [0.0, 0.1])
    assert np.isinf(free).all()
    assert np.isfinite(damped).all()
