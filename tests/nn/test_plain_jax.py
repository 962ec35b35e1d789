"""Networks as two functions, `init` and `apply`, as docs/flax-and-haiku.md writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.groups import SO, S
from intertwine.nn import EMLP, BiLinear, Linear
from intertwine.reps import V

MAKERS: dict[str, Callable[[Any], Any]] = {
    "Linear": lambda key: Linear(2 * V, V, SO(3), key=key),
    "patterns": lambda key: Linear(V**2, V, S(5), key=key),
    "BiLinear": lambda key: BiLinear(2 * V, V**2, SO(3), key=key),
    "EMLP": lambda key: EMLP(2 * V, V, SO(3), ch=12, num_layers=1, key=key),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_a_network_is_a_pure_function_of_its_weights(make: Callable[[Any], Any]) -> None:
    _, static = eqx.partition(make(0), eqx.is_inexact_array)
    assert not any(map(eqx.is_array, jax.tree.leaves(static)))

    def init(key: Any) -> Any:
        return eqx.filter(make(key), eqx.is_inexact_array)

    def apply(weights: Any, x: Any) -> Any:
        return eqx.combine(weights, static)(x)

    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(jax.random.key(1), (5, make(0).rep_in.size()))
    found = jax.jit(jax.vmap(apply, (0, None)))(jax.vmap(init)(keys), x)
    assert np.allclose(found, jnp.stack([make(key)(x) for key in keys]), atol=1e-5)


def test_a_linear_layer_is_a_pure_function_of_its_maps() -> None:
    layer = Linear(2 * V, V**2, SO(3))
    x = jax.random.normal(jax.random.key(0), (5, 6))
    found = jax.jit(layer.maps.apply)(layer.weights, layer.bias, x)
    assert np.allclose(found, layer(x), atol=1e-6)
