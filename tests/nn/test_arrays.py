"""Layers in JAX: batch axes, dtypes, and every transformation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_networks import double_precision, images, points
from intertwine.errors import InvalidRep
from intertwine.groups import SO, SU, S, SO13p
from intertwine.nn import (
    EMLP,
    MLP,
    BiLinear,
    EMLPBlock,
    GatedNonlinearity,
    Linear,
    Pointwise,
    Sequential,
    Standardize,
    bake,
)
from intertwine.reps import Scalar, T, V

HIDDEN = 4 * Scalar + 4 * V
LAYERS: dict[str, Callable[[], Any]] = {
    "Linear": lambda: Linear(2 * V, V, SO(3)),
    "BiLinear": lambda: BiLinear(2 * V, V + Scalar, SO(3)),
    "BiLinear, paper": lambda: BiLinear(2 * V, V + Scalar, SO(3), bilinear="paper"),
    "GatedNonlinearity": lambda: GatedNonlinearity(V, SO(3)),
    "Pointwise": lambda: Pointwise(V, "tanh", S(3)),
    "EMLPBlock": lambda: EMLPBlock(2 * V, V, SO(3)),
    "EMLP": lambda: EMLP(2 * V, V, SO(3), HIDDEN, 1),
    "EMLP, paper": lambda: EMLP(2 * V, V, SO(3), HIDDEN, 1, bilinear="paper"),
    "MLP": lambda: MLP(2 * V, V, SO(3), 8, 1),
    "Standardize": lambda: Standardize(Linear(2 * V, V, SO(3)), (0, 2, 0, 3)),
    "Sequential": lambda: Sequential(Linear(2 * V, V, SO(3)), Linear(V, T(2), SO(3))),
    "BakedNetwork": lambda: bake(EMLP(2 * V, V, SO(3), HIDDEN, 1)),
    "Dense": lambda: bake(Linear(2 * V, V, SO(3))),
}


@cache
def layer_of(name: str) -> Any:
    return LAYERS[name]()


each = pytest.mark.parametrize("name", LAYERS)


@each
@pytest.mark.sampled(4)
def test_any_batch_axes_and_numpy_float64_are_accepted(name: str) -> None:
    layer = layer_of(name)
    n, m = layer.rep_in.size(), layer.rep_out.size()
    x = np.random.default_rng(0).standard_normal((2, 1, 3, n))
    y = images(layer, x)
    assert (y.shape, y.dtype) == ((2, 1, 3, m), jnp.float32)
    np.testing.assert_allclose(images(layer, x[1, 0, 2]), y[1, 0, 2], rtol=1e-4, atol=1e-6)
    for batch in [(6,), (0,), (2, 0)]:
        shape = jax.eval_shape(lambda x: layer(x, training=True), np.ones((*batch, n))).shape
        assert shape == (*batch, m)


@each
def test_a_vector_of_another_size_is_refused(name: str) -> None:
    layer = layer_of(name)
    for x in (np.ones(layer.rep_in.size() + 1), np.ones((layer.rep_in.size(), 1, 1)), 1.0):
        with pytest.raises(InvalidRep, match=r"has size \d+"):
            layer(x)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["channelwise", "paper"])
def test_gradients_per_sample_and_second_derivatives(form: Any) -> None:
    with double_precision() as dtype:
        model = EMLP(2 * V, Scalar, SO13p(), 24, 1, bilinear=form, dtype=dtype)
        x = jnp.asarray(points(model.rep_in, 3))
        scalar = lambda v: model(v)[0]  # noqa: E731
        gradients = np.asarray(jax.jit(jax.vmap(jax.grad(scalar)))(x))
        hessian = np.asarray(jax.jit(jax.hessian(scalar))(x[0]))
        step = 1e-5 * jnp.eye(8)
        values = np.asarray(jax.jit(model)(jnp.concatenate([x[0] + step, x[0] - step])))[:, 0]
    np.testing.assert_allclose(gradients[0], (values[:8] - values[8:]) / 2e-5, atol=1e-8)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12 * np.abs(hessian).max())
    assert np.abs(hessian).max() > 1e-6


def test_a_batch_equals_vmap() -> None:
    model = layer_of("EMLP")
    x = jnp.asarray(points(model.rep_in, 3), jnp.float32)
    np.testing.assert_allclose(jax.jit(jax.vmap(model))(x), images(model, x), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["channelwise", "paper"])
def test_two_models_of_equal_arguments_are_compiled_once(form: Any) -> None:
    traced = []

    @eqx.filter_jit
    def apply(model: Any, x: Any) -> Any:
        traced.append(1)
        return model(x)

    for key in (0, 1):
        hidden = [4 * V + 4 * Scalar]
        apply(EMLP(2 * V, V, SO(3), hidden, 1, bilinear=form, key=key), jnp.ones(6))
    assert len(traced) == 1


def test_a_layer_is_a_function_that_jax_compiles() -> None:
    first, second = (Linear(V, V, SO(3), key=k) for k in (0, 1))
    x = np.ones(3, np.float32)
    np.testing.assert_allclose(jax.jit(first)(x), first(x), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(second)(x), second(x), rtol=1e-6)


@pytest.mark.slow
def test_real_and_complex_inputs_and_features_mix() -> None:
    unitary = EMLP(2 * V, V, SU(2), 8, 1)
    assert unitary(np.ones((2, 4))).dtype == jnp.complex64
    assert unitary(np.ones((2, 4), complex)).dtype == jnp.complex64
    real = Linear(V, V, SO(3))
    y = real(np.array([1, 2j, 1 + 1j]))
    np.testing.assert_allclose(y, real([1, 0, 1]) + 1j * real([0, 2, 1]), rtol=1e-6)


@pytest.mark.slow
def test_the_dtype_of_weights_determines_the_precision() -> None:
    with double_precision() as dtype:
        x = np.ones(6)
        assert EMLP(2 * V, V, SO(3), HIDDEN, 1, dtype=dtype)(x).dtype == jnp.float64
        assert layer_of("EMLP")(x).dtype == jnp.float32
        assert layer_of("Standardize")(x).dtype == jnp.float32
