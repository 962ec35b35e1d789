"""Gates: which tensors have one, its place, and its effect."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from helpers.example_networks import SIGNED, Turned
from intertwine.groups import SO, SU, Group, O, S, U, Z, parse_group
from intertwine.nn import GatedNonlinearity, gate_indices, gated
from intertwine.reps import Rep, Scalar, T, V


@pytest.mark.parametrize(
    ("rep", "gates"),
    [
        (V(SO(3)), 1),
        ((2 * V + T(2))(SO(3)), 3),
        ((V + V.T)(parse_group("SO13p")), 2),
        ((3 * Scalar + V)(O(3)), 1),
        (5 * Scalar, 0),
        ((V + T(2) + T(1, 1))(S(4)), 0),
        ((2 * V)(Z(5)), 0),
        ((V + T(2))(SIGNED), 2),
        (V(Z(3)) * V(S(4)) + V(Z(3)), 0),
        (V(Z(3)) * V(SO(3)) + V(Z(3)), 1),
        ((V + Scalar + T(1, 1))(U(2)), 2),
        (2 * Turned(2, SO(2)), 2),
        (0 * V(SO(3)), 0),
    ],
    ids=repr,
)
def test_every_tensor_has_a_gate_except_scalars_and_permuted_ones(rep: Rep, gates: int) -> None:
    assert gated(rep) == rep + gates * Scalar
    assert gated(rep).size() == rep.size() + gates
    assert len(gate_indices(rep)) == rep.size()
    assert GatedNonlinearity(rep).rep_in == gated(rep)


def test_the_places_of_gates() -> None:
    np.testing.assert_array_equal(gate_indices((Scalar + 2 * V)(SO(3))), [0, 7, 7, 7, 8, 8, 8])
    np.testing.assert_array_equal(gate_indices(V(S(3)) + Scalar), [0, 1, 2, 3])
    assert gate_indices(0 * V(SO(3))).shape == (0,)
    written_backwards = gate_indices((T(2) + V + Scalar)(SO(2)))
    np.testing.assert_array_equal(written_backwards, [8, 8, 8, 8, 7, 7, 6])  # canonical: V, V²


def test_all_components_of_a_tensor_have_the_same_gate() -> None:
    rep = ((V + Scalar) * (V + V.T))(parse_group("SL(2)"))
    indices = gate_indices(rep)
    assert set(indices[indices >= rep.size()]) == {*range(rep.size(), gated(rep).size())}
    x = np.eye(gated(rep).size())[rep.size() :] * 50  # one gate open, the others half
    y = GatedNonlinearity(rep)(x + 1 * (np.arange(gated(rep).size()) < rep.size()))
    assert {*np.unique(np.round(np.asarray(y), 6))} <= {0.5, 1.0, np.float32(0.731059)}


def test_a_gate_multiplies_by_its_sigmoid_and_scalars_go_through_swish() -> None:
    layer = GatedNonlinearity(Scalar + V, SO(3))
    x = np.array([2.0, 1, 2, 3, -1])
    expected = [2 * jax.nn.sigmoid(2.0), *(jax.nn.sigmoid(-1.0) * np.array([1, 2, 3]))]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-6)
    np.testing.assert_allclose(GatedNonlinearity(V, S(3))(x[1:4]), jax.nn.swish(x[1:4]), rtol=1e-6)


def test_over_the_complex_numbers_gates_are_real() -> None:
    layer = GatedNonlinearity(V + Scalar, SU(2))
    x = np.array([1j, 1 + 1j, 0.5 - 2j, 3 + 7j])
    y = np.asarray(layer(x))
    factors = y / x[:3]
    np.testing.assert_allclose(factors.imag, 0, atol=1e-7)
    np.testing.assert_allclose(factors.real, jax.nn.sigmoid(np.array([3.0, 3.0, 0.5])), rtol=1e-6)


def test_a_group_of_signed_permutations_has_no_swish_of_its_coordinates() -> None:
    layer, flip = GatedNonlinearity(V, SIGNED), np.diag([-1.0, 1, 1, 1])
    x = np.array([1.0, 2, 3, 0.3])
    np.testing.assert_allclose(layer(flip @ x), flip[:3, :3] @ layer(x), rtol=1e-6)


@pytest.mark.parametrize("group", [SO(3), S(3)], ids=repr)
def test_scalars_without_a_group_and_with_one(group: Group | None) -> None:
    assert GatedNonlinearity(2 * Scalar, group) is not GatedNonlinearity(2 * Scalar)
    x: Any = np.ones((2, 2))
    np.testing.assert_array_equal(
        GatedNonlinearity(2 * Scalar, group)(x), GatedNonlinearity(2 * Scalar)(x)
    )
