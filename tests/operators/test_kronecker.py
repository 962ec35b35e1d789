"""How a group element, and an element of its Lie algebra, act on a tensor product."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.operators import Kronecker, KroneckerSum, Permutation
from scipy.linalg import expm


def _matrices(sizes: list[int], seed: int) -> list[Any]:
    rng = np.random.default_rng([*sizes, seed])
    return [rng.standard_normal((n, n)) for n in sizes]


_sizes = st.lists(st.integers(1, 3), min_size=1, max_size=4)
_seeds = st.integers(0, 99)


@laws
@given(_sizes, _seeds)
def test_the_product_acts_on_a_product_of_vectors_factor_by_factor(
    sizes: list[int], seed: int
) -> None:
    matrices = _matrices(sizes, seed)
    vectors = [matrix[:, 0] for matrix in _matrices(sizes, seed + 1)]
    whole, moved = np.ones(1), np.ones(1)
    for matrix, vector in zip(matrices, vectors, strict=True):
        whole, moved = np.kron(whole, vector), np.kron(moved, matrix @ vector)
    np.testing.assert_allclose(Kronecker(matrices) @ whole, moved, atol=1e-10)


@laws
@given(_sizes, _seeds)
def test_products_multiply_factor_by_factor(sizes: list[int], seed: int) -> None:
    left, right = _matrices(sizes, seed), _matrices(sizes, seed + 1)
    product = Kronecker(left) @ Kronecker(right)
    expected = Kronecker([a @ b for a, b in zip(left, right, strict=True)])
    np.testing.assert_allclose(np.asarray(product), np.asarray(expected), atol=1e-9)


@laws
@given(_sizes, _seeds)
def test_the_sum_is_the_generator_of_the_product(sizes: list[int], seed: int) -> None:
    """exp(A ⊕ B) = exp A ⊗ exp B."""
    matrices = [matrix / 4 for matrix in _matrices(sizes, seed)]
    left = expm(np.asarray(KroneckerSum(matrices)))
    right = np.asarray(Kronecker([expm(matrix) for matrix in matrices]))
    np.testing.assert_allclose(left, right, atol=1e-9)


@laws
@given(_sizes, _seeds)
def test_the_sum_follows_the_product_rule(sizes: list[int], seed: int) -> None:
    """[A, B] factor by factor is the bracket of the sums."""
    left, right = _matrices(sizes, seed), _matrices(sizes, seed + 1)
    a, b = np.asarray(KroneckerSum(left)), np.asarray(KroneckerSum(right))
    bracket = KroneckerSum([x @ y - y @ x for x, y in zip(left, right, strict=True)])
    np.testing.assert_allclose(a @ b - b @ a, np.asarray(bracket), atol=1e-9)


def test_permutations_of_factors_permute_half_a_million_coordinates() -> None:
    """Applied slot by slot: the matrix would take two terabytes."""
    shift = Permutation([1, 2, 0])
    A = Kronecker([shift] * 12)
    x = np.arange(3.0**12)
    moved = A @ x
    for axis in range(12):
        x = np.roll(x.reshape((3,) * 12), -1, axis=axis)
    np.testing.assert_array_equal(moved, x.ravel())
    assert A.shape == (3**12, 3**12)


def test_factors_may_be_traced_by_jax() -> None:
    a, b = _matrices([2, 3], 0)
    x = np.arange(6.0)
    with jax.enable_x64(True):
        for kind in (Kronecker, KroneckerSum):
            found = jax.jit(lambda a, kind=kind: kind([a, b]) @ x)(a)
            np.testing.assert_allclose(found, kind([a, b]) @ x, atol=1e-12)
            matrix = jax.jit(lambda a, kind=kind: kind([a, b]).dense())(a)
            np.testing.assert_allclose(matrix, kind([a, b]).dense(), atol=1e-12)
    found = jax.vmap(lambda a: Kronecker([a, Permutation([1, 0])]).dense())(np.stack([a, a]))
    np.testing.assert_allclose(found[1], np.kron(a, np.eye(2)[[1, 0]]), atol=1e-6)
