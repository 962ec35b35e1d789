"""Block-diagonal operators, whose blocks may repeat."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.operators import DirectSum, Permutation
from scipy.linalg import block_diag


def _matrix(n: int, seed: int) -> Any:
    return np.random.default_rng([n, seed]).standard_normal((n, n))


@laws
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=4), st.integers(0, 99))
def test_every_block_acts_on_its_own_coordinates(blocks: list[tuple[int, int]], seed: int) -> None:
    matrices = [(m, _matrix(n, seed)) for m, n in blocks]
    A = DirectSum(matrices)
    repeated = [matrix for m, matrix in matrices for _ in range(m)]
    expected = block_diag(*repeated) if repeated else np.zeros((0, 0))
    assert A.shape == expected.shape
    np.testing.assert_array_equal(A.dense(), expected)
    x = np.arange(2.0 * A.shape[1]).reshape(-1, 2)
    np.testing.assert_allclose(A @ x, expected @ x, atol=1e-10)
    np.testing.assert_allclose(np.asarray(A.H), expected.T)


def test_the_empty_sum_acts_on_nothing() -> None:
    A = DirectSum([])
    assert A.shape == (0, 0)
    assert (A @ np.zeros((0, 3))).shape == (0, 3)
    assert (A @ np.zeros(0)).shape == (0,)
    assert A.dense().shape == A.H.shape == (0, 0)


def test_blocks_may_be_rectangular() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.ones((3, 1))
    A = DirectSum([(2, a), (1, b)])
    expected = block_diag(a, a, b)
    np.testing.assert_array_equal(A.dense(), expected)
    np.testing.assert_allclose(A @ np.arange(7.0), expected @ np.arange(7.0))
    np.testing.assert_allclose(np.arange(7.0) @ A, np.arange(7.0) @ expected)


def test_many_copies_are_applied_without_their_matrix() -> None:
    A = DirectSum([(10**6, Permutation([1, 0]))])
    moved = A @ np.arange(2.0 * 10**6)
    np.testing.assert_array_equal(moved[:4], [1, 0, 3, 2])
    assert A.shape == (2 * 10**6, 2 * 10**6)


@pytest.mark.parametrize("x64", [False, True])
def test_traced_blocks_make_a_matrix_in_jaxs_own_precision(x64: bool) -> None:
    """Without a word about a precision that JAX does not have enabled."""
    a = _matrix(2, 0)
    with jax.enable_x64(x64):
        found = jax.vmap(lambda a: DirectSum([(2, a), (1, np.eye(1))]).dense())(
            jnp.asarray(np.stack([a, 2 * a]))
        )
    assert found.dtype == (np.float64 if x64 else np.float32)
    np.testing.assert_allclose(found[1], block_diag(2 * a, 2 * a, 1), atol=1e-6)


def test_traced_complex_blocks_stay_complex() -> None:
    found = jax.jit(lambda a: DirectSum([(1, a), (1, np.eye(1))]).dense())(jnp.eye(2) * 1j)
    assert found.dtype == np.complex64
    np.testing.assert_allclose(found, np.diag([1j, 1j, 1]))
