"""Layers and networks called as in a notebook: compiled once for each shape of their inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from intertwine.groups import SO, S
from intertwine.nn import EMLP, BiLinear, Linear, in_pieces
from intertwine.nn.layer import PIECE, compiled
from intertwine.reps import T, V

IN, OUT = (2 * V + 3)(SO(3)), (V + T(2))(SO(3))
MAKERS: dict[str, Callable[[], Any]] = {
    "EMLP": lambda: EMLP(IN, OUT, SO(3), ch=16),
    "Linear": lambda: Linear(IN, OUT),
    "BiLinear": lambda: BiLinear(IN, OUT),
    "EqualityMaps": lambda: Linear(T(2)(S(4)), (V + 1)(S(4))),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", MAKERS)
def test_one_program_for_each_shape(name: str, programs: list[str]) -> None:
    layer = MAKERS[name]()
    rng = np.random.default_rng(0)
    few, many = (rng.standard_normal((n, layer.rep_in.size())).astype("float32") for n in (3, 5))
    programs.clear()
    first = layer(few)
    count = len(programs)
    assert 1 <= count <= 3  # the layer, and at most the shape and scale of its output
    again = layer(few)
    assert len(programs) == count
    assert np.array_equal(first, again)
    layer(many)
    assert len(programs) <= 2 * count


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_traced_it_is_part_of_the_program_around_it(name: str) -> None:
    layer = MAKERS[name]()
    x = np.random.default_rng(0).standard_normal((3, layer.rep_in.size())).astype("float32")
    expected = layer(x)
    around = eqx.filter_jit(lambda layer, x: layer(x))(layer, x)
    assert np.allclose(around, expected, atol=1e-5)
    assert np.allclose(jax.vmap(layer)(x), expected, atol=1e-5)
    with jax.disable_jit():
        assert np.allclose(layer(x), expected, atol=1e-5)
    text = str(jax.make_jaxpr(layer)(x))
    assert "_compiled" not in text
    gradient = eqx.filter_grad(lambda layer: (layer(x) ** 2).sum())(layer)
    assert all(
        np.isfinite(leaf).all() for leaf in jax.tree.leaves(eqx.filter(gradient, eqx.is_array))
    )


def test_what_is_traced_is_called_as_it_is() -> None:
    kinds = []

    def function(x: Any) -> Any:
        kinds.append(isinstance(x, jax.core.Tracer))
        return 2 * x

    assert compiled(function, np.float32(1)) == 2
    assert jax.grad(lambda x: compiled(function, x))(1.0) == 2
    assert kinds == [True, True]


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE - 1])
def test_a_batch_in_pieces_is_the_batch(size: int) -> None:
    longest = 0

    def double(x: Any) -> Any:
        nonlocal longest
        longest = max(longest, len(x))
        return 2 * x[:, :3]

    x = np.random.default_rng(0).standard_normal((size, 4)).astype("float32")
    assert np.array_equal(in_pieces(double, x), 2 * x[:, :3])
    assert longest == min(size, PIECE)


@pytest.mark.parametrize("rows", [1, 2, 300])
@pytest.mark.slow
def test_rows_of_a_batch_are_as_if_alone(rows: int) -> None:
    network = MAKERS["EMLP"]()
    x = np.random.default_rng(0).standard_normal((rows, network.rep_in.size())).astype("float32")
    alone = jax.vmap(network)(x)
    assert np.allclose(network(x), alone, atol=1e-5)
    assert np.allclose(jax.jit(network)(x), alone, atol=1e-5)
    assert np.allclose(network(x[0]), alone[0], atol=1e-5)
