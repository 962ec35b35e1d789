"""Augmentation: every sample under random elements of the group, determined by the seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.example_training import Affine, Points, Small, affine, lengths
from intertwine.errors import InvalidRep, InvalidSetting, TooLarge
from intertwine.groups import SO, Group, O, S, SO13p, U
from intertwine.reps import Rep, Scalar, T, V
from intertwine.training import fit, model_equivariance_error
from intertwine.training.augmentation import Augmentation, Pools
from intertwine.training.data import DeviceSamples, samples_of

pytestmark = pytest.mark.slow  # networks are compiled


def tracked(group: Group, rep_in: Rep, rep_out: Rep, epochs: int = 1, **more: Any) -> Any:
    """Return the sum of all samples that training saw: what SGD of rate 1 subtracts from 0."""
    n, m = rep_in(group).size(), rep_out(group).size()
    X, Y = np.ones((1, n)), np.ones((1, m))

    def loss(model: Any, x: Any, y: Any) -> Any:
        return jnp.sum(x @ model.matrix[:, :1]) + jnp.sum(y @ model.bias)

    model = Affine(jnp.zeros((n, 1)), jnp.zeros(m))
    data = Points(X, Y, rep_in, rep_out, group)
    how = {"optimizer": optax.sgd, "learning_rate": 1.0, "augment": True}
    trained = fit(model, data, loss=loss, epochs=epochs, **{**how, **more}).model
    return -np.asarray(trained.matrix[:, 0]), -np.asarray(trained.bias)


@pytest.mark.parametrize("group", [SO(3), SO13p(), S(4)], ids=repr)
def test_inputs_and_targets_are_moved_by_the_same_element(group: Group) -> None:
    """x ∈ V and x ⊗ x ∈ V² stay in this relation, and x changes."""
    moved, squared = tracked(group, 2 * V, V**2, augment=True)
    x = moved.reshape(2, group.d)
    np.testing.assert_allclose(x[0], x[1], rtol=1e-4, atol=1e-5)
    expected = np.outer(x[0], x[0]).ravel()
    np.testing.assert_allclose(squared, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("group", "form"),
    [(SO(3), np.eye(3)), (O(5), np.eye(5)), (SO13p(), np.diag([-1.0, 1, 1, 1]))],
    ids=["SO(3)", "O(5)", "SO13p"],
)
def test_samples_are_moved_by_the_group(group: Group, form: Any) -> None:
    """One sample of one epoch keeps its invariant form, and every seed draws another element."""
    seen = [tracked(group, V, Scalar, seed=seed)[0] for seed in range(3)]
    ones = np.ones(group.d)
    for x in seen:
        assert x @ form @ x == pytest.approx(ones @ form @ ones, rel=1e-3, abs=1e-3)
    assert len({tuple(np.round(x, 3)) for x in seen}) == 3


def test_every_epoch_moves_a_sample_differently() -> None:
    sums = [tracked(SO(3), V, Scalar, epochs=e)[0] for e in range(1, 5)]
    seen = np.diff(sums, axis=0)
    assert len({tuple(np.round(x, 3)) for x in seen}) == 3


def test_a_model_learns_an_invariance_that_its_data_do_not_show() -> None:
    """The inputs lie along one axis: only augmentation makes other axes equivalent."""
    data = lengths(100)
    how: Any = {"epochs": 300, "learning_rate": 0.01, "batch_size": 100}
    with_it = fit(Small(3, 1, 32), data, augment=True, **how).model
    without = fit(Small(3, 1, 32), data, **how).model
    errors = [model_equivariance_error(model, data) for model in (with_it, without)]
    assert errors[0] < 0.5 * errors[1]


def test_the_group_may_be_a_smaller_one() -> None:
    data = replace(lengths(), symmetry=O(3))
    a, b = (fit(Small(3, 1), data, augment=g, epochs=2).model for g in (SO(3), True))
    assert not np.array_equal(a.first, b.first)


def test_labels_are_not_changed() -> None:
    data = lengths()
    labels = (data.Y[:, 0] > 1).astype(int)
    classes = replace(data, Y=labels, rep_out=2 * Scalar)
    trained = fit(Small(3, 2), classes, loss="cross-entropy", augment=True, epochs=50)
    assert trained.history[-1].train_loss < trained.history[0].train_loss
    with pytest.raises(InvalidSetting, match="the targets are integers, which V"):
        fit(Small(3, 3), replace(classes, rep_out=V), loss="cross-entropy", augment=True)


def test_a_pool_is_replaced_when_its_elements_were_used_often() -> None:
    """Each element is used some 64 times; the pool depends only on the epoch and the seed."""
    few, many = (Augmentation(V(SO(3)), Scalar, n, seed=0) for n in (30, 2000))
    assert few.size == many.size == 1024
    assert many.period == 32
    assert few.period > 2000
    samples: DeviceSamples = samples_of(lengths(2000), np.float32)
    pools = Pools(many, samples)
    first, again, later = pools.at(0), pools.at(31), pools.at(32)
    assert first is again
    assert pools.until(31, 99) == 32
    assert not np.allclose(first.rho_in, later.rho_in)
    np.testing.assert_array_equal(Pools(many, samples).at(40).rho_in, later.rho_in)
    slots = many.slots(3)
    assert slots.shape == (2000,)
    assert 0 <= slots.min() < slots.max() < 1024


def test_complex_groups_act_on_complex_samples() -> None:
    X = np.ones((8, 2), complex)
    data = Points(X, X, V, V, U(2))
    trained = fit(affine(2, 2, np.complex64), data, augment=True, epochs=200, learning_rate=0.02)
    assert trained.history[-1].train_loss < 0.1
    with pytest.raises(InvalidSetting, match="acts by complex matrices, and the samples are real"):
        fit(affine(2, 2), replace(data, X=X.real, Y=X.real), augment=True)


def test_samples_that_the_group_cannot_act_on_are_refused() -> None:
    data = lengths()
    with pytest.raises(InvalidSetting, match=r"has size 9, and cannot act on .* \(64, 3\)"):
        fit(affine(3, 1), replace(data, rep_in=V**2), augment=True)
    with pytest.raises(InvalidRep, match="cannot be taken over"):
        fit(affine(3, 1), replace(data, rep_in=V(SO(3))), augment=O(3))
    big = Points(np.zeros((2, 3**7)), np.zeros((2, 1)), T(7), Scalar, SO(3))
    with pytest.raises(TooLarge, match="too large to augment with"):
        fit(affine(3**7, 1), big, augment=True)
