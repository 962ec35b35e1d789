"""Sequences of layers, and functions of every coordinate."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.example_networks import SIGNED
from intertwine.errors import InvalidRep, InvalidSetting, NotEquivariant
from intertwine.groups import SO, O, S, Z
from intertwine.nn import Linear, Pointwise, Sequential
from intertwine.reps import Scalar, T, V


class TestSequential:
    def test_layers_are_applied_in_order(self) -> None:
        first, second = Linear(2 * V, V, SO(3)), Linear(V, T(2), SO(3))
        both = Sequential(first, second)
        x = np.ones((2, 6))
        np.testing.assert_array_equal(both(x), second(first(x)))
        assert (both.rep_in, both.rep_out) == (first.rep_in, second.rep_out)
        assert len(both) == 2
        assert both[1] is second
        assert both.hidden == "V(SO(3))"

    def test_reps_must_fit(self) -> None:
        with pytest.raises(InvalidRep) as caught:
            Sequential(Linear(V, V, SO(3)), Linear(V, V, O(3)))
        assert str(caught.value) == (
            "Linear(V(SO(3)) → V(SO(3))) gives V(SO(3)), and Linear(V(O(3)) → V(O(3))) takes "
            "V(O(3))"
        )
        with pytest.raises(InvalidRep, match=r"^a Sequential needs at least one layer$"):
            Sequential()

    def test_a_function_that_would_break_equivariance_is_refused(self) -> None:
        with pytest.raises(NotEquivariant, match="take GatedNonlinearity, or Pointwise if"):
            Sequential(Linear(V, V, SO(3)), np.tanh)


class TestPointwise:
    def test_it_applies_its_function(self) -> None:
        x = np.array([-1.0, 0, 2], np.float32)
        np.testing.assert_allclose(Pointwise(V, "tanh", S(3))(x), np.tanh(x), rtol=1e-6)
        np.testing.assert_allclose(Pointwise(3 * Scalar, "relu")(x), [0, 0, 2])

    @pytest.mark.parametrize("rep", [V(SO(3)), V(SIGNED), V(Z(3)) * V(SO(3)) + Scalar], ids=repr)
    def test_reps_whose_coordinates_are_not_only_permuted_are_refused(self, rep: object) -> None:
        with pytest.raises(NotEquivariant, match=r"breaks equivariance, since the group does not"):
            Pointwise(rep)  # type: ignore[arg-type]

    def test_an_unknown_function(self) -> None:
        with pytest.raises(InvalidSetting, match=r"^unknown function 'exp': use swish,"):
            Pointwise(V, "exp", S(3))
