"""Baked models compute the same functions, as plain matrices."""

from __future__ import annotations

import warnings
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers.example_networks import CASES, IN_IRREPS, images, moved, points
from intertwine.errors import InvalidRep, ReachWarning
from intertwine.groups import SO, S, U
from intertwine.nn import (
    EMLP,
    MLP,
    BakedNetwork,
    Dense,
    EMLPBlock,
    Linear,
    Pointwise,
    Sequential,
    Standardize,
    bake,
)
from intertwine.reps import Rep, Scalar, V

MANY = ("SO(2), of complex type", "SU(2)", "S(4)")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [n if n in MANY else pytest.param(n, marks=pytest.mark.slow) for n in IN_IRREPS],
)
def test_a_baked_network_computes_the_same_function(name: str) -> None:
    case = CASES[name]
    model = moved(EMLP(case.rep_in, case.rep_out, case.group, case.hidden, 2, channels=3))
    baked = bake(model)
    assert isinstance(baked, BakedNetwork)
    assert (baked.rep_in, baked.rep_out) == (model.rep_in, model.rep_out)
    assert_same(baked, model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: EMLP(2 * V, V, SO(3), 4 * V + 4 * Scalar, 1, bilinear="paper"),
        lambda: EMLPBlock(2 * V, V, SO(3)),
        lambda: Standardize(EMLP(2 * V, V, SO(3), 16, 1), (0, 2, 0, 3)),
        lambda: Sequential(Linear(2 * V, V, S(3)), Pointwise(V, "relu", S(3))),
        lambda: MLP(V, V + Scalar, U(2), 8, 1),
        lambda: EMLP(2 * V, V, SO(3), 24, 0),
    ],
    ids=["the paper's", "a block", "standardized", "one after another", "plain", "no layers"],
)
def test_models_with_linear_layers_compute_the_same_function(make: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReachWarning)  # without layers it is linear
        model = moved(make())
    assert_same(bake(model), model)


def assert_same(baked: Any, model: Any) -> None:
    x = points(model.rep_in, 6)
    y = images(model, x)
    np.testing.assert_allclose(images(baked, x), y, atol=1e-5 * np.abs(y).max())


def test_a_linear_layer_becomes_dense() -> None:
    layer = Linear(V + Scalar, V + Scalar, SO(3))
    baked = bake(layer)
    assert isinstance(baked, Dense)
    np.testing.assert_array_equal(baked.matrix, layer.matrix()[0])


def test_models_without_reps_are_refused() -> None:
    for wrong, name in (
        (5, "builtins.int"),
        (eqx.nn.Linear(3, 3, key=jax.random.key(0)), "equinox.nn._linear.Linear"),
    ):
        with pytest.raises(InvalidRep) as caught:
            bake(wrong)
        assert str(caught.value) == (
            f"{name} has no rep_in and rep_out: give a layer with reps to bake"
        )


def test_a_custom_layer_is_not_changed() -> None:
    class Doubled(eqx.Module):
        rep_in: Rep = V(SO(3))
        rep_out: Rep = V(SO(3))

        def __call__(self, x: Any, training: bool = False) -> Any:
            return 2 * x

    first, second = bake(Sequential(Linear(V, V, SO(3)), Doubled())).layers
    assert isinstance(first, Dense)
    assert isinstance(second, Doubled)
