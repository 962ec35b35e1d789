"""Sums of models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.example_networks import error, points
from intertwine.errors import InvalidRep, NotEquivariant
from intertwine.groups import SO
from intertwine.nn import EquivariantPolynomial, Linear, Parallel, bake, load, save
from intertwine.reps import Scalar, V


def example() -> Parallel:
    rep_in, rep_out = V(SO(3)) + Scalar, V(SO(3))
    squares = EquivariantPolynomial(rep_in, rep_out, degree=2)
    x = points(rep_in, 50)
    return Parallel(Linear(rep_in, rep_out), squares.fit(x, x[:, :3] * x[:, 3:]))


def test_it_is_the_sum_of_its_layers_and_equivariant() -> None:
    model = example()
    x = points(model.rep_in)
    first, second = model.layers
    np.testing.assert_allclose(model(x), first(x) + second(x), rtol=1e-6)
    np.testing.assert_allclose(second(x), x[:, :3] * x[:, 3:], rtol=1e-4, atol=1e-5)
    assert error(model, model.rep_in, model.rep_out) < 1e-5


def test_it_is_saved_and_baked(tmp_path: Path) -> None:
    model = example()
    x = points(model.rep_in)
    save(model, tmp_path)
    assert np.array_equal(load(tmp_path)(x), model(x))
    np.testing.assert_allclose(bake(model)(x), model(x), rtol=1e-5, atol=1e-6)


def test_layers_without_reps_or_with_different_reps_are_refused() -> None:
    layer = Linear(V, V, SO(3))
    with pytest.raises(InvalidRep, match="at least one layer"):
        Parallel()
    with pytest.raises(NotEquivariant, match="has no rep_in and rep_out: give layers with reps"):
        Parallel(layer, np.tanh)
    with pytest.raises(InvalidRep, match="give the same reps"):
        Parallel(layer, Linear(2 * V, V, SO(3)))
