"""Weights of linear layers in e3nn's form: y = Wx block by block, in e3nn's coordinates."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import SO, SU, O, S
from intertwine.irreps import Irrep, e3nn_frame
from intertwine.nn import Linear, linear_from_e3nn, linear_to_e3nn
from intertwine.reps import Rep, V, parse


@cache
def layer_of(name: str) -> Linear:
    reps: dict[str, tuple[Rep, Rep]] = {
        "irreps": (parse("3x1o+2x0e")(O(3)), parse("1x0e+2x1o+1x1e")(O(3))),
        "tensors": ((2 * V + V**2)(O(3)), (V**2 + V)(O(3))),
        "rotations": ((V**2 + 1)(SO(3)), (2 * V + Irrep("l=2"))(SO(3))),
    }
    return Linear(*reps[name], key=1)


each = pytest.mark.parametrize("name", ["irreps", "tensors", "rotations"])


@pytest.mark.sampled(3)
@each
def test_paths_compute_the_layer(name: str) -> None:
    layer = layer_of(name)
    layer = linear_from_e3nn(layer, linear_to_e3nn(layer).paths, {})
    weights = linear_to_e3nn(layer)
    into, out = e3nn_frame(layer.rep_in), e3nn_frame(layer.rep_out)
    assert (weights.irreps_in, weights.irreps_out) == (into.irreps, out.irreps)
    x = np.random.default_rng(0).standard_normal(layer.rep_in.size())
    blocks, at = [], 0
    for count, degree, _ in into.blocks:
        size = count * (2 * degree + 1)
        blocks.append(x[at : at + size].reshape(count, -1))
        at += size
    found = [np.zeros((count, 2 * degree + 1)) for count, degree, _ in out.blocks]
    for (i, o), weight in weights.paths.items():
        found[o] += weight.T @ blocks[i]
    y = np.concatenate([block.ravel() for block in found])
    image = np.asarray(layer(into.from_e3nn(x).astype(np.float32)))
    np.testing.assert_allclose(out.to_e3nn(image), y, atol=1e-5)


@pytest.mark.sampled(3)
@each
def test_weights_return_unchanged(name: str) -> None:
    layer = layer_of(name)
    weights = linear_to_e3nn(layer)
    rng = np.random.default_rng(1)
    biases = {o: rng.standard_normal(bias.shape) for o, bias in weights.biases.items()}
    found = linear_from_e3nn(layer, weights.paths, biases)
    np.testing.assert_allclose(found.matrix()[0], layer.matrix()[0], atol=1e-5)
    again = linear_to_e3nn(found)
    for path, weight in weights.paths.items():
        np.testing.assert_allclose(again.paths[path], weight, atol=1e-5)
    for o, bias in biases.items():
        np.testing.assert_allclose(again.biases[o], bias, atol=1e-5)


def test_normalized_weights_have_the_fan_in_of_each_block() -> None:
    weights = linear_to_e3nn(layer_of("tensors"))
    assert (weights.irreps_in, weights.irreps_out) == (
        "2x1o+1x0e+1x1e+1x2e",
        "1x0e+1x1e+1x2e+1x1o",
    )
    assert {path: weight.shape for path, weight in weights.paths.items()} == {
        (0, 3): (2, 1),
        (1, 0): (1, 1),
        (2, 1): (1, 1),
        (3, 2): (1, 1),
    }
    np.testing.assert_allclose(weights.normalized[0, 3], weights.paths[0, 3] * np.sqrt(2))
    np.testing.assert_allclose(weights.normalized[1, 0], weights.paths[1, 0])


def test_other_layers_and_weights_are_refused() -> None:
    layer = layer_of("irreps")
    with pytest.raises(InvalidRep, match="no path from block 0 of 3x1o\\+2x0e to block 0 of 1x0e"):
        linear_from_e3nn(layer, {(0, 0): np.ones((3, 1))})
    with pytest.raises(InvalidRep, match="no path from block 5"):
        linear_from_e3nn(layer, {(5, 0): np.ones((3, 1))})
    with pytest.raises(InvalidRep, match="have the shape \\(1, 3\\), not \\(3, 2\\)"):
        linear_from_e3nn(layer, {(0, 1): np.ones((1, 3))})
    with pytest.raises(InvalidRep, match=r"block 1 of .* has no bias"):
        linear_from_e3nn(layer, {}, {1: np.ones(6)})
    with pytest.raises(MethodNotApplicable, match="e3nn has irreps of SO"):
        linear_to_e3nn(Linear(V, V, S(3)))
    with pytest.raises(MethodNotApplicable, match="real irreps of rotations"):
        linear_to_e3nn(Linear(Irrep("j=1", SU(2)), Irrep("j=1", SU(2))))
