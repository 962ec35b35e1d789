"""Layers inside modules of Flax and of Haiku, as docs/flax-and-haiku.md writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.documents import ROOT, definitions
from intertwine.groups import SO, S
from intertwine.nn import EMLP, Linear, load, save
from intertwine.reps import Scalar, V

nnx = pytest.importorskip("flax.nnx")
hk = pytest.importorskip("haiku")

PAGE = definitions(ROOT / "docs" / "flax-and-haiku.md")
LAYERS: dict[str, Callable[[], Any]] = {
    "EMLP": lambda: EMLP(2 * V, V + Scalar, SO(3), ch=12, num_layers=2),
    "Linear": lambda: Linear(2 * V, V**2, S(4)),
}


@pytest.fixture(params=LAYERS.values(), ids=LAYERS.keys())
def layer(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def x(layer: Any) -> Any:
    return jax.random.normal(jax.random.key(0), (5, layer.rep_in.size()))


def named(tree: Any) -> dict[str, Any]:
    """The arrays of a tree by name."""
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): each for path, each in found}


def weights_of(layer: Any) -> dict[str, Any]:
    return named(eqx.filter(layer, eqx.is_inexact_array))


def gradient_of(layer: Any, x: Any) -> dict[str, Any]:
    return named(eqx.filter_grad(lambda model: jnp.square(model(x)).sum())(layer))


def require_close(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert found.keys() == wanted.keys() != set()
    for name, values in wanted.items():
        assert np.allclose(found[name], values, rtol=1e-5, atol=1e-5), name


def of_nnx(state: Any) -> dict[str, Any]:
    """The parameters in a state of the page's module."""
    flat = nnx.to_flat_state(state)
    assert all(isinstance(each, nnx.Param) for _, each in flat)
    return {"/".join(map(str, path[1:])): each[...] for path, each in flat}


def test_weights_are_parameters_of_nnx(layer: Any, x: Any) -> None:
    model = PAGE["Equivariant"](layer)
    require_close(of_nnx(nnx.state(model)), weights_of(layer))
    assert np.allclose(nnx.jit(model)(x), layer(x), atol=1e-5)
    gradient = nnx.jit(nnx.grad(lambda model: jnp.square(model(x)).sum()))(model)
    require_close(of_nnx(gradient), gradient_of(layer, x))


def test_modules_of_nnx_are_split_and_copied(layer: Any, x: Any) -> None:
    model = PAGE["Equivariant"](layer)
    definition, state = nnx.split(model)
    assert not nnx.merge(definition, jax.tree.map(jnp.zeros_like, state))(x).any()
    assert jnp.array_equal(nnx.clone(model)(x), layer(x))


def test_an_optimizer_of_nnx_trains_a_layer_that_can_be_saved(
    layer: Any, x: Any, tmp_path: Path
) -> None:
    import optax

    model = PAGE["Equivariant"](layer)
    optimizer = nnx.Optimizer(model, optax.sgd(1e-3), wrt=nnx.Param)
    optimizer.update(model, nnx.grad(lambda model: jnp.square(model(x)).sum())(model))
    gradient = gradient_of(layer, x)
    stepped = {name: w - 1e-3 * gradient[name] for name, w in weights_of(layer).items()}
    require_close(weights_of(model.layer), stepped)
    save(model.layer, tmp_path / "model")
    assert jnp.array_equal(load(tmp_path / "model")(x), model(x))


def test_an_ensemble_in_nnx_has_the_members_that_are_built_alone() -> None:
    def linear(key: Any) -> Any:
        return Linear(2 * V, V, SO(3), key=key)

    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(jax.random.key(1), (5, 6))
    models = nnx.vmap(lambda key: PAGE["Equivariant"](linear(key)))(keys)
    found = nnx.vmap(lambda model, x: model(x), in_axes=(0, None))(models, x)
    assert np.allclose(found, jnp.stack([linear(key)(x) for key in keys]), atol=1e-5)


def test_weights_are_parameters_of_haiku(layer: Any, x: Any) -> None:
    module = PAGE["EquivariantHaiku"]
    model = hk.without_apply_rng(hk.transform(lambda x: module(layer, "layer")(x)))
    parameters = model.init(jax.random.key(0), x)
    require_close(parameters["layer"], weights_of(layer))
    assert np.allclose(jax.jit(model.apply)(parameters, x), layer(x), atol=1e-5)
    gradient = jax.grad(lambda values: jnp.square(model.apply(values, x)).sum())(parameters)
    require_close(gradient["layer"], gradient_of(layer, x))
