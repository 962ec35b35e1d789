"""Operators of and on tensors of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.arrays import namespace
from intertwine.operators import (
    CoordinateMatrix,
    DirectSum,
    Kronecker,
    KroneckerSum,
    LinearOperator,
    Permutation,
    Product,
)

torch = pytest.importorskip("torch")

rng = np.random.default_rng(5)
A, B, C = rng.standard_normal((3, 3)), rng.standard_normal((2, 2)), rng.standard_normal((2, 2))
COMPLEX = B + 1j * C
SIGNED = Permutation([2, 0, 1], [1, -1, 1])
SPARSE = CoordinateMatrix((3, 3), np.array([0, 1, 1]), np.array([2, 0, 1]), np.array([3.0, -1, 2]))

#: How to build operators of two matrices and two operators, in either library.
BUILT: dict[str, Any] = {
    "a permutation": lambda a, b: SIGNED,
    "a sparse matrix": lambda a, b: SPARSE,
    "a product": lambda a, b: Product(Kronecker([a, b]), Kronecker([a, b]).H),
    "a Kronecker product": lambda a, b: Kronecker([a, SIGNED, b]),
    "a Kronecker sum": lambda a, b: KroneckerSum([a, b, a]),
    "a direct sum": lambda a, b: DirectSum([(2, a), (1, b), (1, SPARSE), (1, np.eye(1))]),
    "a transpose": lambda a, b: Kronecker([a, b]).T,
}


@pytest.mark.parametrize("build", BUILT.values(), ids=BUILT.keys())
@pytest.mark.parametrize("second", [B, COMPLEX], ids=["real", "complex"])
def test_operators_of_tensors_of_pytorch(build: Any, second: Any) -> None:
    operator: LinearOperator = build(A, second)
    of_tensors: LinearOperator = build(torch.tensor(A), torch.tensor(second))
    assert of_tensors.dtype == operator.dtype
    x = rng.standard_normal((2, operator.shape[1], 3))
    matrix = np.asarray(operator)
    for given in (operator, of_tensors):
        np.testing.assert_allclose((given @ torch.tensor(x)).numpy(), matrix @ x, atol=1e-12)
        np.testing.assert_allclose((given.H @ torch.tensor(x[0])).numpy(), matrix.conj().T @ x[0])
        left = torch.tensor(x[0]).T @ given
        np.testing.assert_allclose(left.numpy(), x[0].T @ matrix, atol=1e-12)
        np.testing.assert_allclose(torch.as_tensor(given).numpy(), matrix, atol=1e-12)
        np.testing.assert_allclose(np.asarray(given), matrix, atol=1e-12)


def test_integers_of_pytorch_stay_integers_where_numpys_do() -> None:
    x = np.arange(3)
    found = SIGNED @ torch.tensor(x)
    assert found.dtype == torch.int64
    assert found.tolist() == (SIGNED @ x).tolist()
    assert (SPARSE @ torch.tensor(x)).dtype == torch.float64


def test_matrices_of_numpy_take_the_precision_of_a_vector_of_pytorch() -> None:
    for operator in (Kronecker([A, B]), KroneckerSum([A, B]), DirectSum([(1, A), (2, B)])):
        x = torch.ones(operator.shape[1], dtype=torch.float32)
        assert (operator @ x).dtype == torch.float32
    assert (Kronecker([A, COMPLEX]) @ torch.ones(6)).dtype == torch.complex64


def test_the_matrix_of_an_operator_of_pytorch_keeps_its_gradient() -> None:
    a = torch.tensor(A, requires_grad=True)
    operator = Kronecker([a, B])
    operator.dense().sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), np.full((3, 3), B.sum()))
    with pytest.raises(BufferError, match="require gradient"):
        torch.as_tensor(operator)


def test_functions_of_pytorch_and_numpy_take_the_matrix_of_an_operator() -> None:
    operator, matrix = Kronecker([A, B]), np.kron(A, B)
    x = rng.standard_normal(matrix.shape)
    pairs = [
        (torch.abs(operator), np.abs(matrix)),
        (torch.linalg.norm(operator, dim=0), np.linalg.norm(matrix, axis=0)),
        (torch.tensor(x) - operator, x - matrix),
        (operator * torch.tensor(x), matrix * x),
        (torch.tensor(x).abs() ** operator, np.abs(x) ** matrix),
        (np.power(operator, torch.full((6, 6), 2.0).double()), matrix**2),
        (np.equal(operator, torch.tensor(matrix)), matrix == matrix),
        (torch.matmul(torch.tensor(x), operator), x @ matrix),
        (torch.matmul(operator, torch.tensor(x)), matrix @ x),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(np.asarray(found), expected, atol=1e-12)
    with pytest.raises(AttributeError, match="PyTorch has no function arctan2_of_none"):
        _ = namespace(torch.tensor(x)).arctan2_of_none


def test_a_copy_of_the_matrix_is_made_where_pytorch_or_numpy_ask_for_it() -> None:
    operator = Kronecker([A])
    copied = np.array(operator)
    copied[:] = 0
    assert np.any(A)
    assert np.asarray(operator, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="is computed: leave out copy=False"):
        np.asarray(operator, copy=False)
