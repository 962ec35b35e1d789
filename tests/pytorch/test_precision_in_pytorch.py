"""Modules compute in the precision of their weights, as the layers of JAX do."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from helpers import precision_cases as cases
from intertwine.errors import InvalidSetting
from intertwine.groups import SO, U
from intertwine.reps import V

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


def made(name: str, dtype: str = "float32") -> Any:
    return cases.LAYERS[name](modules, dtype=getattr(torch, dtype))


def result(model: Any, dtype: str) -> str:
    """The dtype of the images of vectors."""
    x = torch.ones(2, model.rep_in.size()).to(getattr(torch, dtype))
    return str(model(x).dtype).removeprefix("torch.")


def images(model: Any, x: Any) -> Any:
    with torch.no_grad():
        return model(torch.from_numpy(x).float()).double().numpy()


@pytest.mark.parametrize("name", cases.LAYERS)
def test_results_have_the_precision_of_the_weights(name: str) -> None:
    cases.check_layer_with_weights(lambda dtype: made(name, dtype), result)


@pytest.mark.parametrize("name", cases.WITHOUT_WEIGHTS)
def test_layers_without_weights_keep_the_precision_of_x(name: str) -> None:
    cases.check_layer_without_weights(cases.WITHOUT_WEIGHTS[name](modules), result)


@pytest.mark.parametrize("name", [*cases.LAYERS, *cases.WITHOUT_WEIGHTS])
def test_x_of_eight_bits_is_refused(name: str) -> None:
    model = (cases.LAYERS | cases.WITHOUT_WEIGHTS)[name](modules)
    cases.check_eight_bits_are_refused(model, result)


def test_weights_of_other_dtypes_are_refused() -> None:
    for dtype in (torch.int32, torch.float8_e4m3fn):
        with pytest.raises(InvalidSetting, match="give one of these as dtype="):
            modules.Linear(V, V, SO(3), dtype=dtype)
    with pytest.raises(InvalidSetting, match="the group acts by complex numbers, so weights are"):
        modules.MLP(V, V, U(2), ch=8, dtype=torch.float16)


def test_weights_that_were_converted_to_other_dtypes_are_refused() -> None:
    for group, dtype in ((SO(3), torch.float8_e4m3fn), (U(2), torch.complex32)):
        with warnings.catch_warnings(action="ignore"):  # PyTorch warns of complex modules
            layer = modules.Linear(V, V, group).to(dtype)
        with pytest.raises(InvalidSetting, match="the weights were converted to"):
            layer(torch.ones(3 if group == SO(3) else 2))


@pytest.mark.parametrize("dtype", cases.UNIT)
@pytest.mark.parametrize("name", ["Linear in irreps", "BiLinear", "EMLP", "EMLP, paper"])
def test_the_equivariance_error_is_a_few_roundings(name: str, dtype: str) -> None:
    model = made(name, dtype)
    error = cases.equivariance_error(model, lambda x: images(model, x))
    assert 0 < error < cases.ROUNDINGS * cases.UNIT[dtype]


@pytest.mark.parametrize("name", ["EMLP", "EMLP, paper"])
def test_autocast_rounds_no_constants(name: str) -> None:
    model = made(name)

    def call(x: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return images(model, x)

    assert 0 < cases.equivariance_error(model, call) < cases.ROUNDINGS * cases.UNIT["bfloat16"]
    with torch.autocast("cpu", torch.bfloat16):
        assert result(model, "bfloat16") == "float32"


def test_gradients_have_the_precision_of_the_weights() -> None:
    for name in ("EMLP", "EMLP, paper", "Linear by patterns"):
        model = made(name, "bfloat16")
        model(torch.ones(2, model.rep_in.size())).float().square().sum().backward()
        used = [weight for weight in model.parameters() if weight.grad is not None]
        assert used
        assert all(weight.grad.dtype == torch.bfloat16 for weight in used)
        assert all(torch.isfinite(weight.grad).all() for weight in used)


def test_half_precision_is_compiled() -> None:
    model = made("EMLP", "bfloat16")
    x = torch.randn(4, model.rep_in.size())
    exact = images(model, x.numpy())
    program = torch.export.export(model, (x,)).module()
    assert torch.allclose(program(x).double(), torch.from_numpy(exact), atol=0.02)


def test_sums_are_not_rounded_term_by_term() -> None:
    """256 + 1 + 1 + … is 256 in bfloat16 if each sum is rounded."""
    layer = modules.Linear(1025, 1, SO(3), dtype=torch.bfloat16)
    with torch.no_grad():
        [weight] = layer.weights.values()
        weight.fill_(1)
    assert layer(torch.tensor([256.0, *[1.0] * 1024])).item() == 1280


def test_matrices_of_half_precision_are_not_rounded() -> None:
    W, b = made("Linear in irreps", "bfloat16").matrix()
    assert (W.dtype, b.dtype) == (torch.float32, torch.float32)


def test_data_are_standardized_before_they_are_rounded() -> None:
    layer = modules.Linear(1, 1, SO(3))
    model = modules.Standardize(layer, (1001.0, 1.0)).to(torch.bfloat16)
    assert model.shift_in.item() == 1001  # 1000 in bfloat16
    assert torch.equal(model(torch.tensor([1002.0])), layer(torch.tensor([1.0])))
    assert model.double().shift_in.dtype == torch.float64


def test_overflow_is_not_hidden() -> None:
    for dtype, is_finite in (("float16", False), ("bfloat16", True)):
        model = made("EMLP", dtype)
        x = torch.full((1, model.rep_in.size()), 1e5)
        assert bool(torch.isfinite(model(x)).all()) == is_finite
