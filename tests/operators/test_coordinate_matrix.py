"""A sparse matrix as an operator, for arrays of NumPy and of JAX."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.operators import CoordinateMatrix


def example() -> tuple[CoordinateMatrix, np.ndarray]:
    rows, columns = np.array([0, 2, 2, 0]), np.array([1, 0, 1, 1])
    values = np.array([1.0, -2.0, 0.5, 3.0])
    dense = np.array([[0.0, 4.0], [0.0, 0.0], [-2.0, 0.5]])  # repeated places add up
    return CoordinateMatrix((3, 2), rows, columns, values), dense


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128])
def test_it_acts_as_its_matrix(dtype: type) -> None:
    operator, dense = example()
    x = np.arange(6).reshape(2, 3).astype(dtype)
    assert (operator @ x).dtype == dtype
    np.testing.assert_allclose(operator @ x, dense @ x)
    np.testing.assert_allclose(operator.dense(), dense)
    for adjoint in (operator.H, operator.T, operator.transposed):
        np.testing.assert_allclose(adjoint.dense(), dense.T)
    np.testing.assert_allclose(operator @ x[:, 0], dense @ x[:, 0])


def test_it_acts_on_arrays_of_jax() -> None:
    import jax
    import jax.numpy as jnp

    operator, dense = example()
    x = jnp.arange(6.0).reshape(2, 3)
    found = jax.jit(lambda x: operator @ x)(x)
    assert found.dtype == x.dtype
    np.testing.assert_allclose(found, dense @ np.asarray(x))
