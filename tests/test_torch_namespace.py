"""NumPy's functions for tensors of PyTorch, and when PyTorch is loaded."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from helpers.support import run_python
from intertwine.arrays import (
    constant,
    is_numpy,
    is_torch,
    namespace,
    with_entries,
    working_dtype,
)

torch = pytest.importorskip("torch")


def test_the_library_of_a_tensor_is_pytorch() -> None:
    tensor = torch.ones(2)
    assert is_torch(tensor)
    assert not is_numpy(tensor)
    assert not is_torch(np.ones(2))
    assert namespace(np.ones(2), tensor).sqrt is torch.sqrt


def test_pytorch_is_not_imported_to_find_out() -> None:
    program = """
    import sys
    import numpy as np
    from intertwine.groups import SO
    from intertwine.reps import V
    basis = (V**2)(SO(3)).equivariant_basis(store=False)
    basis @ np.ones(basis.rank)
    answer("torch" in sys.modules)
    """
    finished = run_python(program)
    assert finished.status == 0, finished.stderr
    assert finished.value is False


def test_arrays_of_jax_and_pytorch_are_not_combined() -> None:
    jnp = pytest.importorskip("jax.numpy")
    with pytest.raises(TypeError, match="arrays of JAX and of PyTorch cannot be combined"):
        namespace(torch.ones(2), jnp.ones(2))


@pytest.mark.parametrize("own", ["float64", "complex128"])
@pytest.mark.parametrize("name", ["float64", "float32", "float16", "int64", "bool", "complex64"])
def test_the_precision_of_pytorch_is_that_of_numpy(name: str, own: str) -> None:
    dtype = np.dtype(own)
    found = working_dtype(torch.zeros(1, dtype=getattr(torch, name)), dtype)
    assert str(found) == f"torch.{working_dtype(np.zeros(1, name), dtype)}"


def test_arrays_of_numpy_take_the_precision_of_tensors_of_pytorch() -> None:
    single, double = torch.ones(2, dtype=torch.float32), torch.ones(2, dtype=torch.float64)
    assert namespace(single).asarray(np.ones(2)).dtype == torch.float32
    assert namespace(single, double).asarray(np.ones(2)).dtype == torch.float64
    assert namespace(single).asarray(1j * np.ones(2)).dtype == torch.complex64
    assert namespace(single).asarray(np.arange(2)).dtype == torch.int64
    assert namespace(single).eye(2).dtype == torch.float32
    assert namespace(torch.arange(2)).zeros((2, 3)).dtype == torch.float64


@pytest.mark.parametrize(
    ("left", "right"),
    [("float32", "complex128"), ("int64", "float32"), ("float64", "float32"), ("bool", "int8")],
)
def test_products_of_pytorch_promote_their_factors_as_numpy_does(left: str, right: str) -> None:
    arrays = [np.arange(4).reshape(2, 2).astype(dtype) for dtype in (left, right)]
    tensors = [torch.tensor(array) for array in arrays]
    xp = namespace(*tensors)
    expected = np.matmul(*arrays)
    for found in (xp.matmul(*tensors), xp.einsum("ij,jk->ik", *tensors)):
        assert str(found.dtype) == f"torch.{expected.dtype}"
        np.testing.assert_array_equal(found.numpy(), expected)
    assert str(xp.result_type(*tensors)) == f"torch.{expected.dtype}"
    np.testing.assert_array_equal(xp.kron(*tensors).numpy(), np.kron(*arrays))


def test_the_functions_of_pytorch_have_the_results_of_numpy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((3, 3)), rng.standard_normal((3, 3)) + 1j
    given = torch.tensor(x), torch.tensor(y)
    xp = namespace(*given)
    pairs: list[tuple[Any, Any]] = [
        (xp.flip(given[0]), np.flip(x)),
        (
            xp.transpose(xp.asarray(rng_tensor := torch.ones(2, 3, 4)), (2, 0, 1)),
            np.ones((4, 2, 3)),
        ),
        (xp.moveaxis(rng_tensor, 0, 2), np.ones((3, 4, 2))),
        (xp.imag(given[0]), np.zeros((3, 3))),
        (xp.imag(given[1]), y.imag),
        (xp.conj(given[1]), y.conj()),
        (xp.tensordot(given[0], y, axes=1), x @ y),
        (xp.linalg.inv(given[0]), np.linalg.inv(x)),
        (xp.linalg.solve(given[1], x), np.linalg.solve(y, x)),
        (xp.concatenate([given[0], y]), np.concatenate([x, y])),
        (
            xp.block_diagonal([given[0], np.eye(1)]),
            np.block([[x, np.zeros((3, 1))], [np.zeros(3), 1]]),
        ),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-13)


def test_entries_of_a_tensor_of_pytorch_are_replaced_in_a_copy() -> None:
    zeros = torch.zeros(2, 2)
    places = np.array([0, 1]), np.array([1, 1])
    found = with_entries(zeros, places, torch.tensor([3.0, 4.0]))
    assert found.tolist() == [[0, 3], [0, 4]]
    assert not zeros.any()


def test_converted_constants_are_kept_by_pytorch_as_long_as_their_array() -> None:
    from intertwine import torch_namespace

    values, x = np.ones(5), torch.ones(1, dtype=torch.float32)
    gc.collect()  # arrays of other tests are not counted
    before = len(torch_namespace._kept)
    first = constant(values, x, torch.float32)
    assert constant(values, x, torch.float32) is first
    assert constant(values, x, torch.float64).data_ptr() == values.ctypes.data
    assert len(torch_namespace._kept) == before + 1
    del values
    gc.collect()
    assert len(torch_namespace._kept) == before


def test_a_kept_constant_is_not_one_of_a_transformation_of_pytorch() -> None:
    values = np.ones(3)

    def total(x: Any) -> Any:
        return (constant(values, x, torch.float32) * x).sum()

    x = torch.ones(3)
    assert torch.func.grad(total)(x).tolist() == [1, 1, 1]
    assert total(x) == 3
    assert torch.func.vmap(total)(torch.ones(2, 3)).tolist() == [3, 3]


def test_what_pytorch_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="PyTorch has no dtype str"):
        namespace(torch.ones(1)).asarray(np.array(["a"]))


def test_products_with_constants_are_not_rounded_under_autocast() -> None:
    x = torch.tensor([[1.0], [2.0**-12]])
    with torch.autocast("cpu", torch.bfloat16):
        found = namespace(x).matmul(np.ones((1, 2)), x)
    assert found.dtype == torch.float32
    assert found.item() == 1 + 2.0**-12


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_products_in_half_precision_are_summed_in_the_preferred_one(dtype: str) -> None:
    x = torch.ones(3000, 1, dtype=getattr(torch, dtype))
    found = namespace(x).matmul(x.T, x, preferred_element_type=torch.float32)
    assert found.dtype == torch.float32
    assert abs(found.item() - 3000) <= 8  # rounded once: bfloat16 has no 3000
