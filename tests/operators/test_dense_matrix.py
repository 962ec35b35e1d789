"""Matrices as operators, inverses of operators, and SciPy's names of their products."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.operators import (
    DenseMatrix,
    DirectSum,
    Kronecker,
    LinearOperator,
    Permutation,
    Product,
    as_operator,
    identity_permutation,
)
from scipy.sparse import csr_array
from scipy.sparse.linalg import aslinearoperator, cg

NUMBERS = np.random.default_rng(0)
SQUARE = NUMBERS.standard_normal((3, 3))
COMPLEX = SQUARE + 1j * NUMBERS.standard_normal((3, 3))
TURN = Permutation([1, 2, 0], [1, -1, 1])


@pytest.mark.parametrize("matrix", [SQUARE, COMPLEX, SQUARE[:2], jnp.asarray(SQUARE)])
def test_a_matrix_and_its_operator_act_alike(matrix: Any) -> None:
    operator, x = DenseMatrix(matrix), np.arange(3.0)
    np.testing.assert_allclose(operator @ x, matrix @ x, rtol=1e-6)
    np.testing.assert_allclose(operator.H.dense(), matrix.conj().T)
    np.testing.assert_allclose(operator.T.dense(), matrix.T)
    assert operator.dense() is matrix


def test_operators_are_kept_and_arrays_wrapped() -> None:
    assert as_operator(TURN) is TURN
    np.testing.assert_array_equal(as_operator(csr_array(SQUARE)), SQUARE)
    np.testing.assert_array_equal(identity_permutation(4), np.eye(4))
    with pytest.raises(ValueError, match="two dimensions, and the array 1"):
        as_operator(np.ones(3))


@pytest.mark.parametrize(
    "operator",
    [
        DenseMatrix(SQUARE),
        DenseMatrix(COMPLEX),
        TURN,
        Kronecker([SQUARE, TURN, COMPLEX]),
        DirectSum([(2, SQUARE), (1, TURN)]),
        Product(DenseMatrix(SQUARE), TURN),
    ],
    ids=["real", "complex", "permutation", "Kronecker", "direct sum", "product"],
)
def test_the_inverse_transpose_is_that_of_the_matrix(operator: LinearOperator) -> None:
    dual = operator.invT()
    assert isinstance(dual, LinearOperator)
    np.testing.assert_allclose(dual.T @ operator.dense(), np.eye(len(operator.dense())), atol=1e-12)


def test_the_inverse_of_factors_stays_in_factors() -> None:
    found = Kronecker([TURN, SQUARE]).invT()
    assert found.factors[0] is TURN
    assert DirectSum([(2, TURN)]).invT().blocks == ((2, TURN),)


def test_products_have_the_names_of_numpy_and_scipy() -> None:
    operator, x, X = DenseMatrix(COMPLEX), np.arange(3.0), np.arange(6.0).reshape(3, 2)
    for apply, argument in ((operator.dot, X), (operator.matvec, x), (operator.matmat, X)):
        np.testing.assert_allclose(apply(argument), COMPLEX @ argument)
    for apply, argument in ((operator.rmatvec, x), (operator.rmatmat, X)):
        np.testing.assert_allclose(apply(argument), COMPLEX.conj().T @ argument)
    np.testing.assert_allclose(operator.dot(TURN).dense(), COMPLEX @ TURN.dense())


def test_scipys_solvers_take_an_operator() -> None:
    positive = Kronecker([SQUARE @ SQUARE.T + np.eye(3), np.eye(2)])
    solution, failed = cg(aslinearoperator(positive), np.arange(6.0), rtol=1e-10)
    assert not failed
    np.testing.assert_allclose(positive @ solution, np.arange(6.0), atol=1e-8)


def test_a_matrix_of_jax_is_differentiable() -> None:
    def size(matrix: Any) -> Any:
        return (DenseMatrix(matrix) @ jnp.ones(3)).sum()

    np.testing.assert_allclose(jax.grad(size)(jnp.asarray(SQUARE)), np.ones((3, 3)))
