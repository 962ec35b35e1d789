"""Changes of basis to irreps for tensors of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.groups import SO, SU, S
from intertwine.irreps import clebsch_gordan, decompose, e3nn_frame
from intertwine.irreps.irrep import irrep_named
from intertwine.reps import Rep, Sym, V

torch = pytest.importorskip("torch")

REPS = {
    "tensors": (V**2 + Sym(2, V))(SO(3)),
    "of permutations": (V**2)(S(3)),
    "complex": (V * V.T + V)(SU(2)),
}


@pytest.mark.parametrize("rep", REPS.values(), ids=REPS.keys())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_decomposition_of_tensors_of_pytorch(rep: Rep, dtype: str) -> None:
    parts = decompose(rep)
    tolerance = 1e-13 if dtype == "float64" else 1e-5
    x = np.random.default_rng(0).standard_normal((rep.size(), 2)).astype(dtype)
    found, expected = parts.to_irreps(torch.tensor(x)), parts.to_irreps(x)
    assert found.keys() == expected.keys()
    for irrep, block in found.items():
        assert str(block.dtype) == f"torch.{expected[irrep].dtype}"
        np.testing.assert_allclose(block.numpy(), expected[irrep], atol=tolerance)
    back = parts.from_irreps(found)
    np.testing.assert_allclose(back.numpy(), x, atol=10 * tolerance)


def test_gradients_and_vmap_of_pytorch_through_a_decomposition() -> None:
    parts = decompose((V**2)(SO(3)), gauge="e3nn")
    x = torch.tensor(np.random.default_rng(0).standard_normal((3, 9, 1)))

    def norms(x: Any) -> Any:
        return torch.stack([block.square().sum() for block in parts.to_irreps(x).values()]).sum()

    gradient = torch.func.vmap(torch.func.grad(norms))(x)
    np.testing.assert_allclose(gradient.numpy(), 2 * x.numpy(), atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_coordinates_of_e3nn_for_tensors_of_pytorch(dtype: str) -> None:
    frame = e3nn_frame((V**2)(SO(3)))
    x = np.arange(18).reshape(2, 9).astype(dtype)
    found, expected = frame.to_e3nn(torch.tensor(x)), frame.to_e3nn(x)
    assert str(found.dtype) == f"torch.{expected.dtype}"
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(frame.from_e3nn(found).numpy(), x, atol=1e-5)


def test_clebsch_gordan_maps_are_equivariant_in_pytorch() -> None:
    one = irrep_named("l=1", SO(3))
    g = SO(3).sample()
    D = one.rho_dense(torch.tensor(g))
    for irrep, maps in clebsch_gordan(one, one).items():
        C = torch.as_tensor(maps)
        image = irrep.rho_dense(torch.tensor(g))
        moved = torch.einsum("abmc,ax,by->xymc", C, D, D)
        turned = torch.einsum("xymd,cd->xymc", C, image)
        np.testing.assert_allclose(moved.numpy(), turned.numpy(), atol=1e-12)
