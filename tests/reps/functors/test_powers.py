"""Powers of matrices: against the full tensors, against each other, and exactly on integers."""

from __future__ import annotations

from functools import reduce
from itertools import combinations, combinations_with_replacement
from math import comb

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.operators import Permutation
from intertwine.reps import Alt, Rep, Sym, V
from intertwine.reps.functors.powers import (
    alternating_power,
    determinant,
    index_tuples,
    power_derivative,
    power_of_permutation,
    symmetric_power,
)
from intertwine.reps.functors.tensor_powers import Power

CASES = [(n, k, strict) for strict in (False, True) for n in (1, 2, 3, 4) for k in (2, 3, 4)]


def power(matrix: np.ndarray, k: int, strict: bool) -> np.ndarray:
    return (alternating_power if strict else symmetric_power)(matrix, k)


def embedding(n: int, k: int, strict: bool) -> np.ndarray:
    rep: Rep = Alt(k, V) if strict else Sym(k, V)
    assert isinstance(rep, Power)
    return np.asarray(rep.subspace_of(n).embedding.dense())


@pytest.mark.parametrize(("n", "k", "strict"), CASES)
def test_a_power_is_the_restriction_of_the_full_tensors(n: int, k: int, strict: bool) -> None:
    matrix = np.random.default_rng(n + k).standard_normal((n, n)) * (1 + 1j)
    e = embedding(n, k, strict)
    np.testing.assert_allclose(e.T @ e, np.eye(e.shape[1]), atol=1e-14)
    full = reduce(np.kron, [matrix] * k)
    np.testing.assert_allclose(full @ e, e @ power(matrix, k, strict), atol=1e-11)


@pytest.mark.parametrize(("n", "k", "strict"), CASES)
def test_a_derivative_is_the_restriction_of_the_kronecker_sum(n: int, k: int, strict: bool) -> None:
    matrix, e = np.random.default_rng(n + k).standard_normal((n, n)), embedding(n, k, strict)
    full = sum(np.kron(np.kron(np.eye(n**i), matrix), np.eye(n ** (k - 1 - i))) for i in range(k))
    np.testing.assert_allclose(
        e.T @ full @ e, power_derivative(matrix, k, strict=strict), atol=1e-13
    )


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("n", "k"), [(1, 3), (3, 2), (5, 3), (6, 6), (4, 0)])
def test_tuples_are_in_lexicographic_order(n: int, k: int, strict: bool) -> None:
    kind = combinations if strict else combinations_with_replacement
    expected = list(kind(range(n), k))
    table = index_tuples(n, k, strict)
    assert [tuple(row) for row in table.tuples.tolist()] == expected
    assert table.count == len(expected)
    assert table.rank(table.tuples).tolist() == list(range(len(expected)))


@laws
@given(data=st.data(), strict=st.booleans(), n=st.integers(2, 4), k=st.integers(2, 4))
def test_integer_matrices_have_exact_powers(
    data: st.DataObject, strict: bool, n: int, k: int
) -> None:
    entries = st.lists(st.integers(-9, 9), min_size=n * n, max_size=n * n)
    a, b = (np.array(data.draw(entries), dtype=float).reshape(n, n) for _ in range(2))
    if strict:
        np.testing.assert_array_equal(power(a, k, True) @ power(b, k, True), power(a @ b, k, True))
        return
    sizes = index_tuples(n, k, False).rearrangements
    coefficients = power(a, k, False) * np.sqrt(sizes / sizes[:, None])
    np.testing.assert_allclose(coefficients, np.rint(coefficients), rtol=1e-15, atol=1e-10)


def test_a_large_power_needs_no_full_tensors_and_stays_orthogonal() -> None:
    q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    large = symmetric_power(q, 20)  # of 3.5e9 coordinates in the full tensors
    assert large.shape == (231, 231)
    np.testing.assert_allclose(large @ large.T, np.eye(231), atol=1e-13)
    np.testing.assert_allclose(large[0], np.array([_monomial(t, q[0]) for t in _tuples(20)]))


def _tuples(k: int) -> np.ndarray:
    return index_tuples(3, k, False).counts


def _monomial(counts: np.ndarray, x: np.ndarray) -> float:
    """The coefficient of (x₁e₁ + x₂e₂ + x₃e₃)ᵏ at a monomial, in the orthonormal basis."""
    a, b, c = counts.tolist()
    return float(np.sqrt(comb(a + b + c, a) * comb(b + c, b)) * np.prod(x**counts))


@pytest.mark.parametrize("k", [13, 15, 16])
def test_large_minors_by_complements_are_multiplicative(k: int) -> None:
    rng = np.random.default_rng(k)
    a, b = (np.linalg.qr(rng.standard_normal((16, 16)))[0] for _ in range(2))
    np.testing.assert_allclose(
        alternating_power(a, k) @ alternating_power(b, k), alternating_power(a @ b, k), atol=1e-13
    )


def test_complements_agree_with_expansion(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.random.default_rng(2).standard_normal((5, 5))
    expanded = [alternating_power(matrix, k) for k in range(1, 6)]
    monkeypatch.setattr("intertwine.reps.functors.powers._MINORS_UP_TO", 1)
    for k, expected in enumerate(expanded, 1):
        np.testing.assert_allclose(alternating_power(matrix, k), expected, atol=1e-12)


def test_determinants_of_integers_are_exact() -> None:
    assert determinant(np.array([[13.0, 8.0], [8.0, 5.0]])) == 1
    assert determinant(np.zeros((0, 0))) == 1


@laws
@given(data=st.data(), strict=st.booleans(), n=st.integers(1, 5), k=st.integers(1, 4))
def test_signed_permutations_have_signed_permutations_as_powers(
    data: st.DataObject, strict: bool, n: int, k: int
) -> None:
    indices = data.draw(st.permutations(range(n)))
    signs = data.draw(st.lists(st.sampled_from([1, -1]), min_size=n, max_size=n))
    move = Permutation(np.array(indices), np.array(signs))
    if strict and k > n:
        return
    found = power_of_permutation(move, k, strict=strict)
    np.testing.assert_allclose(found.dense(), power(np.asarray(move.dense()), k, strict))
