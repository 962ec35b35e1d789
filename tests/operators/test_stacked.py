"""Operators above one another, and differences of operators."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.operators import DenseMatrix, Difference, Permutation, Stacked, identity_permutation

NUMBERS = np.random.default_rng(1)
WIDE = NUMBERS.standard_normal((2, 3)) + 1j * NUMBERS.standard_normal((2, 3))
TURN = Permutation([1, 2, 0])
MATRIX = np.concatenate([WIDE, TURN.dense(), np.zeros((0, 3))])


@pytest.mark.parametrize("shape", [(3,), (3, 2), (4, 3, 2)])
def test_stacked_operators_act_like_the_stacked_matrix(shape: tuple[int, ...]) -> None:
    operator, x = Stacked([WIDE, TURN, np.zeros((0, 3))]), NUMBERS.standard_normal(shape)
    assert operator.shape == (5, 3)
    np.testing.assert_array_equal(operator.dense(), MATRIX)
    np.testing.assert_allclose(operator @ x, MATRIX @ x)
    np.testing.assert_allclose(operator.H.dense(), MATRIX.conj().T)
    np.testing.assert_allclose(operator.H.H.dense(), MATRIX)
    assert isinstance(operator @ jnp.asarray(x), jnp.ndarray)


def test_a_difference_acts_without_its_matrix() -> None:
    operator = Difference(TURN, identity_permutation(3))
    np.testing.assert_array_equal(operator.dense(), TURN.dense() - np.eye(3))
    np.testing.assert_array_equal(operator.T.dense(), TURN.dense().T - np.eye(3))
    np.testing.assert_array_equal(operator @ np.ones(3), np.zeros(3))


def test_operators_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[\(2, 3\), \(4, 4\)\] cannot be stacked"):
        Stacked([WIDE, identity_permutation(4)])
    with pytest.raises(ValueError, match="give at least one"):
        Stacked([])
    with pytest.raises(ValueError, match="their shapes differ"):
        Difference(TURN, DenseMatrix(WIDE))
