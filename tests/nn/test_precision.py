"""Layers compute in the precision of their weights, in half precision too."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import precision_cases as cases
from intertwine import nn
from intertwine.errors import InvalidSetting
from intertwine.groups import SO, U
from intertwine.reps import V
from intertwine.training import fit, model_equivariance_error


def numbers(model: Any, dtype: str) -> Any:
    return jnp.ones((2, model.rep_in.size())).astype(dtype)


def result(model: Any, dtype: str) -> str:
    """The dtype of the images of vectors; nothing is compiled."""
    found: str = jax.eval_shape(lambda x: model(x), numbers(model, dtype)).dtype.name
    return found


@pytest.mark.parametrize("name", cases.LAYERS)
def test_results_have_the_precision_of_the_weights(name: str) -> None:
    cases.check_layer_with_weights(lambda dtype: cases.LAYERS[name](nn, dtype=dtype), result)


@pytest.mark.parametrize("name", cases.WITHOUT_WEIGHTS)
def test_layers_without_weights_keep_the_precision_of_x(name: str) -> None:
    cases.check_layer_without_weights(cases.WITHOUT_WEIGHTS[name](nn), result)


@pytest.mark.parametrize("name", [*cases.LAYERS, *cases.WITHOUT_WEIGHTS])
def test_x_of_eight_bits_is_refused(name: str) -> None:
    model = (cases.LAYERS | cases.WITHOUT_WEIGHTS)[name](nn)
    cases.check_eight_bits_are_refused(model, result)


@pytest.mark.parametrize("dtype", cases.UNIT)
@pytest.mark.parametrize("name", ["BiLinear", "EMLP", "EMLP, paper"])
def test_the_equivariance_error_is_a_few_roundings(name: str, dtype: str) -> None:
    model = cases.LAYERS[name](nn, dtype=dtype)
    error = cases.equivariance_error(
        model, lambda x: np.asarray(model(x.astype(np.float32)), np.float64)
    )
    assert 0 < error < cases.ROUNDINGS * cases.UNIT[dtype]


def test_half_precision_approximates_single_precision() -> None:
    exact, rounded = (cases.LAYERS["EMLP"](nn, dtype=dtype) for dtype in ("float32", "bfloat16"))
    x = np.random.default_rng(0).standard_normal((8, exact.rep_in.size())).astype(np.float32)
    y = np.asarray(exact(x))
    assert np.linalg.norm(np.asarray(rounded(x), np.float32) - y) < 0.02 * np.linalg.norm(y)


def test_a_trained_network_is_converted() -> None:
    model = cases.LAYERS["EMLP"](nn)
    half = jax.tree.map(lambda weight: weight.astype("bfloat16"), model)
    assert jax.tree.all(
        jax.tree.map(
            lambda one, other: bool((one == other).all()),
            half,
            cases.LAYERS["EMLP"](nn, dtype="bfloat16"),
        )
    )
    x = np.random.default_rng(0).standard_normal((20, half.rep_in.size()))
    assert 0 < model_equivariance_error(half, x) < cases.ROUNDINGS * cases.UNIT["bfloat16"]


def test_gradients_have_the_precision_of_the_weights() -> None:
    model = cases.LAYERS["EMLP"](nn, dtype="bfloat16")
    x = numbers(model, "float32")
    found = jax.jit(jax.grad(lambda model: (model(x).astype("float32") ** 2).sum()))(model)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(found)} == {"bfloat16"}
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(found))


def test_sums_are_not_rounded_term_by_term() -> None:
    """256 + 1 + 1 + … is 256 in bfloat16 if each sum is rounded."""
    layer = nn.Linear(1025, 1, SO(3), dtype="bfloat16")
    [name] = layer.weights
    layer.weights[name] = jnp.ones((1, 1025), "bfloat16")
    assert float(layer(np.array([256.0, *np.ones(1024)]))[0]) == 1280


def test_matrices_of_half_precision_are_not_rounded() -> None:
    layer = cases.LAYERS["Linear in irreps"](nn, dtype="bfloat16")
    W, b = layer.matrix()
    assert (W.dtype, b.dtype) == (np.float32, np.float32)


def test_data_are_standardized_before_they_are_rounded() -> None:
    layer = nn.Linear(1, 1, SO(3), dtype="bfloat16")
    model = nn.Standardize(layer, (1000.0, 1.0))
    assert model(np.array([1001.0])) == layer(np.array([1.0]))  # 1001 is 1000 in bfloat16


def test_half_precision_is_refused_in_training_baking_and_for_complex_groups() -> None:
    model = cases.LAYERS["Linear in irreps"](nn, dtype="bfloat16")
    data = np.ones((4, 8), np.float32), np.ones((4, 3), np.float32)
    with pytest.raises(InvalidSetting, match="weights are bfloat16, in which most steps"):
        fit(model, data, epochs=1)
    with pytest.raises(InvalidSetting, match="dense matrices rounded to it are not equivariant"):
        nn.bake(model)
    with pytest.raises(InvalidSetting, match="coefficients of polynomials are not rounded to"):
        nn.EquivariantPolynomial(V, V, SO(3), dtype="bfloat16")
    with pytest.raises(InvalidSetting, match="the group acts by complex numbers, so weights are"):
        nn.MLP(V, V, U(2), ch=8, dtype="float16")


def test_overflow_is_not_hidden() -> None:
    for dtype, is_finite in (("float16", False), ("bfloat16", True)):
        model = cases.LAYERS["EMLP"](nn, dtype=dtype)
        x = np.full(model.rep_in.size(), 1e5)
        assert bool(jnp.isfinite(model(x)).all()) == is_finite
