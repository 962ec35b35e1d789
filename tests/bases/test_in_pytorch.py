"""Bases applied to tensors of PyTorch: as they are, with gradients, and transformed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.example_bases import BASES, basis_of, matrix_of, orthonormal
from intertwine.bases import Basis, Dense
from intertwine.groups import SO
from intertwine.reps import V

torch = pytest.importorskip("torch")
# PyTorch itself warns about a function that it uses for forward derivatives
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

each = pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
#: One of each kind, for transformations that take time.
SOME = (
    "sparse, in a complex frame",
    "dense, complex",
    "orbits, signed and partly vanishing",
    "patterns",
    "kronecker",
    "intertwiners",
    "combined, complex",
    "sum, without columns",
    "nested",
)
some = pytest.mark.parametrize("basis", [BASES[name] for name in SOME], ids=SOME)
rng = np.random.default_rng(3)


def normal(*shape: int, dtype: Any = np.float64) -> Any:
    """Normal entries, large enough to be different integers too."""
    return (3 * rng.standard_normal(shape)).astype(dtype)


def close(left: Any, right: Any, tolerance: float = 1e-13) -> None:
    """A tensor on the left, with the entries and dtype of the right."""
    assert isinstance(left, torch.Tensor)
    right = np.asarray(right)
    assert str(left.dtype) == f"torch.{right.dtype}"
    assert tuple(left.shape) == right.shape
    np.testing.assert_allclose(left.detach().numpy(), right, atol=tolerance, rtol=tolerance)


#: What is done with a basis, a vector of its coordinates, and one of its space.
ACTIONS: dict[str, Callable[[Basis, Any, Any], Any]] = {
    "Q @ w": lambda basis, w, v: basis @ w,
    "Q.H @ v": lambda basis, w, v: basis.H @ v,
    "Q.T @ v": lambda basis, w, v: basis.T @ v,
    "project": lambda basis, w, v: basis.project(v),
    "from the right": lambda basis, w, v: (v if v.ndim == 1 else v.T) @ basis,
    "torch.matmul": lambda basis, w, v: (
        torch.matmul(basis, w) if isinstance(w, torch.Tensor) else basis @ w
    ),
}


@each
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "int64"])
def test_tensors_of_pytorch_get_the_results_of_numpy(basis: Basis, dtype: str) -> None:
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    for columns in ((), (2,)):
        w, v = (normal(n, *columns, dtype=dtype) for n in reversed(basis.shape))
        for action in ACTIONS.values():
            found = action(basis, torch.tensor(w), torch.tensor(v))
            close(found, action(basis, w, v), tolerance)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_of_pytorch_is_computed_in_single(half: str) -> None:
    basis = BASES["dense"]
    found = basis @ torch.ones(basis.rank, dtype=getattr(torch, half))
    close(found, matrix_of(basis.storage).sum(axis=1).astype(np.float32), 1e-6)


@each
def test_the_matrix_is_the_same_in_pytorch_numpy_and_jax(basis: Basis) -> None:
    jnp = pytest.importorskip("jax.numpy")
    matrix = matrix_of(basis.storage)
    for found in (torch.as_tensor(basis), torch.asarray(basis), torch.from_dlpack(basis)):
        close(found, matrix)
    np.testing.assert_allclose(np.asarray(basis), matrix, atol=1e-13)
    np.testing.assert_allclose(np.from_dlpack(basis), matrix, atol=1e-13)
    np.testing.assert_allclose(np.asarray(jnp.asarray(basis)), matrix, atol=1e-6)
    if matrix.dtype == np.float64:
        close(torch.as_tensor(basis, dtype=torch.float32), matrix.astype(np.float32))


def test_the_matrix_of_a_large_basis_is_no_loop_over_rows_of_pytorch() -> None:
    basis = (V**7)(SO(3)).equivariant_basis()
    rows: list[Any] = []

    class Watched(Basis):
        def __getitem__(self, key: Any) -> Any:
            rows.append(key)
            return super().__getitem__(key)

    watched = Watched(basis.storage, basis.certificate)
    close(torch.as_tensor(watched), basis.dense())
    assert rows == []


@some
def test_transformations_of_pytorch(basis: Basis) -> None:
    matrix = matrix_of(basis.storage)
    projector = matrix @ matrix.conj().T
    w, v = normal(3, basis.rank), normal(3, len(basis))
    tensors = torch.tensor(w), torch.tensor(v)

    def energy(x: Any) -> Any:
        return (basis.H @ x).abs().square().sum() / 2

    vmap, grad, real = torch.func.vmap, torch.func.grad, projector.real
    close(vmap(lambda x: basis @ x)(tensors[0]), w @ matrix.T)
    close(vmap(basis.project)(tensors[1]), v @ projector.T)
    close(grad(energy)(tensors[1][0]), real @ v[0], 1e-12)
    close(vmap(grad(energy))(tensors[1]), v @ real.T, 1e-12)
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        close(jacobian(lambda x: (basis @ x).real)(tensors[0][0]), matrix.real)
    close(torch.func.hessian(energy)(tensors[1][0]), real, 1e-12)


@some
def test_first_and_second_gradients_of_pytorch(basis: Basis) -> None:
    if not basis.rank:
        return
    w = torch.tensor(normal(basis.rank), requires_grad=True)

    def cubes(x: Any) -> Any:
        return ((basis @ x).abs() ** 2 + (basis @ x).real ** 3).sum()

    assert torch.autograd.gradcheck(cubes, w)
    assert torch.autograd.gradgradcheck(cubes, w)


def test_a_gradient_reaches_a_parameter_of_pytorch_after_inference() -> None:
    basis = basis_of(Dense(orthonormal(4, 2)))
    with torch.inference_mode():
        basis @ torch.ones(2, dtype=torch.float32)  # which keeps a copy of the matrix
    weight = torch.nn.Parameter(torch.ones(2, dtype=torch.float32))
    (basis @ weight).sum().backward()
    np.testing.assert_allclose(weight.grad, matrix_of(basis.storage).sum(axis=0), atol=1e-6)


def test_a_matrix_that_cannot_be_written_to_is_used_by_pytorch() -> None:
    matrix = orthonormal(4, 2)
    matrix.flags.writeable = False
    basis, w = basis_of(Dense(matrix)), normal(2)
    close(basis @ torch.tensor(w), matrix @ w)
    close(basis.T @ (basis @ torch.tensor(w)), w)


@pytest.mark.parametrize("name", ["dense, complex", "orbits, signed", "kronecker", "nested"])
def test_arithmetic_with_tensors_of_pytorch_uses_the_matrix(name: str) -> None:
    basis = BASES[name]
    matrix, x = matrix_of(basis.storage), normal(*basis.shape)
    tensor = torch.tensor(x)
    close(basis - tensor, matrix - x)
    close(tensor - basis, x - matrix)
    close(2 * tensor + basis, 2 * x + matrix)
    close(torch.cat([tensor.to(torch.as_tensor(basis).dtype), basis]), np.concatenate([x, matrix]))
    close(torch.add(tensor, basis), x + matrix)


def test_a_sparse_tensor_of_pytorch_is_refused() -> None:
    basis = BASES["dense"]
    with pytest.raises(TypeError, match=r"torch.sparse_coo cannot be used here: convert it"):
        basis @ torch.eye(basis.rank).to_sparse()


def test_a_tensor_of_pytorch_of_another_size_is_refused() -> None:
    basis = BASES["dense"]
    with pytest.raises(ValueError, match="cannot be applied to an array of shape"):
        basis @ torch.ones(basis.rank + 1)
