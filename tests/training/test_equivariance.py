"""The equivariance error of a model, by its definition and for models with a known error."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_training import Affine, Points, Small, lengths
from intertwine.errors import InvalidRep, InvalidSetting, NotConcrete
from intertwine.groups import SO, O, S, SO13p, U, Z
from intertwine.reps import Rep, Scalar, T, V
from intertwine.training import model_equivariance_error, model_equivariance_errors

X = np.random.default_rng(0).standard_normal((40, 3))


def test_equivariant_functions_have_error_0() -> None:
    def cross(x: Any) -> Any:
        return jnp.cross(x[..., :3], x[..., 3:]) * jnp.sum(x**2, axis=-1, keepdims=True)

    pairs = np.random.default_rng(0).standard_normal((30, 6))
    assert model_equivariance_error(cross, pairs, 2 * V, V, SO(3)) < 1e-6
    assert model_equivariance_error(cross, pairs, 2 * V, V, O(3)) > 0.2  # pseudovectors


def test_other_functions_have_an_error_between_0_and_1() -> None:
    errors = model_equivariance_errors(Small(3, 1), X, V, Scalar, SO(3))
    assert errors.shape == (40,)
    assert 0 < errors.min() < errors.max() <= 1
    assert errors.min() < model_equivariance_error(Small(3, 1), X, V, Scalar, SO(3)) < errors.max()


def test_the_error_is_as_defined() -> None:
    group, model = SO13p(), Small(4, 16)
    points = np.random.default_rng(1).standard_normal((7, 4))
    errors = model_equivariance_errors(model, points, V, T(2), group, samples=3, seed=5)
    elements = group.samples(3, 5)
    for i, x in enumerate(points):
        g = elements[i % 3]
        before = np.asarray(model(np.float32(g @ x)), float)
        after = np.kron(g, g) @ np.asarray(model(np.float32(x)), float)
        expected = np.linalg.norm(before - after) / (np.linalg.norm(before) + np.linalg.norm(after))
        assert errors[i] == pytest.approx(expected, rel=1e-4)


def test_the_error_of_an_equivariant_model_is_its_rounding() -> None:
    def norm(model: Any, x: Any) -> Any:
        return jnp.sum(x**2, axis=-1, keepdims=True) * model.scale

    class Norm(eqx.Module):
        scale: Any

        __call__ = norm

    single = model_equivariance_error(Norm(jnp.ones(1)), X, V, Scalar, SO(3))
    with jax.enable_x64(True):
        model = Norm(jnp.ones(1, np.float64))
    double = model_equivariance_error(model, X, V, Scalar, SO(3))
    assert double < 1e-14 < 1e-9 < single < 1e-6


def test_reps_are_taken_from_the_data() -> None:
    data = lengths(30)
    model = Small(3, 1)
    expected = model_equivariance_error(model, data.X, V, Scalar, SO(3))
    assert model_equivariance_error(model, data) == expected
    bound = replace(data, rep_in=V(SO(3)))
    assert model_equivariance_error(model, bound) == expected
    assert model_equivariance_error(model, data, group=S(3)) != expected


def test_the_error_depends_on_the_seed_and_not_on_batches() -> None:
    model, how = Small(3, 1), (X, V, Scalar, SO(3))
    errors = model_equivariance_errors(model, *how)
    np.testing.assert_allclose(
        model_equivariance_errors(model, *how, batch_size=7), errors, rtol=1e-4
    )
    assert not np.allclose(model_equivariance_errors(model, *how, seed=1), errors)


def test_a_model_of_zero_output_is_equivariant() -> None:
    zero = Affine(jnp.zeros((3, 2)), jnp.zeros(2))
    assert model_equivariance_error(zero, X, V, 2 * Scalar, SO(3)) == 0.0


def test_a_model_of_nan_output_is_not_equivariant() -> None:
    broken = Affine(jnp.full((3, 1), jnp.nan), jnp.zeros(1))
    assert np.isnan(model_equivariance_error(broken, X, V, Scalar, SO(3)))


def test_reps_of_several_groups_and_complex_duals() -> None:
    rep = V(Z(3)) + V(S(4))
    points = np.random.default_rng(0).standard_normal((20, 7))

    def sums(x: Any) -> Any:
        return jnp.stack([x[..., :3].sum(-1), x[..., 3:].sum(-1)], axis=-1)

    assert model_equivariance_error(sums, points, rep, 2 * Scalar) < 1e-6
    assert model_equivariance_error(lambda x: x[..., :2], points, rep, 2 * Scalar) > 0.1
    z = points[:, :2] + 1j * points[:, 2:4]
    assert model_equivariance_error(jnp.conj, z, V, V.T, U(2)) < 1e-6
    assert model_equivariance_error(jnp.conj, z, V, V, U(2)) > 0.1


def test_custom_reps_in_numpy() -> None:
    class Axial(Rep):
        """Pseudovectors."""

        def rho(self, M: Any) -> Any:
            return np.linalg.det(M) * M

    assert model_equivariance_error(lambda x: x, X, Axial(), Axial(), O(3)) < 1e-6
    assert model_equivariance_error(lambda x: x, X, Axial(), V, O(3)) > 0.1


def test_shapes_that_do_not_fit_are_refused() -> None:
    model = Small(3, 1)
    with pytest.raises(InvalidRep, match=r"size 9, and the inputs have the shape \(40, 3\)"):
        model_equivariance_error(model, X, V**2, Scalar, SO(3))
    with pytest.raises(InvalidRep, match=r"size 3, and the outputs of the model have .* \(40, 1\)"):
        model_equivariance_error(model, X, V, V, SO(3))
    with pytest.raises(InvalidRep, match=r"shape \(0, 3\)"):
        model_equivariance_error(model, X[:0], V, Scalar, SO(3))
    with pytest.raises(NotConcrete):
        model_equivariance_error(model, X, V, Scalar)
    with pytest.raises(InvalidSetting, match="plain arrays do not say"):
        model_equivariance_error(model, X)


def test_of_plain_arrays_the_reps_are_the_models() -> None:
    from intertwine.nn import EMLP

    model = EMLP(V, Scalar, SO(3), ch=8, num_layers=1)
    assert model_equivariance_error(model, (X, model(X))) < 1e-5
    assert model_equivariance_error(model, X) == model_equivariance_error(
        model, X, V, Scalar, SO(3)
    )


@pytest.mark.slow
def test_an_emlp_is_equivariant_and_stays_so_when_trained() -> None:
    from intertwine.nn import EMLP
    from intertwine.training import fit

    data = Points(X, np.sum(X**2, axis=1, keepdims=True), V, Scalar, SO(3))
    model = EMLP(V, Scalar, SO(3), ch=16, num_layers=1)
    trained = fit(model, data, epochs=20, learning_rate=0.01)
    assert trained.history[-1].train_loss < trained.history[0].train_loss
    for one in (model, trained.model):
        assert model_equivariance_errors(one, data).max() < 1e-4


def test_fewer_than_one_sample_is_refused() -> None:
    for wrong, said in (
        ({"samples": 0}, "samples is an integer from 1 on, not 0"),
        ({"batch_size": 0}, "batch_size is an integer from 1 on, not 0"),
        ({"samples": 5.0}, "samples is an integer from 1 on, not 5.0"),
    ):
        for measure in (model_equivariance_error, model_equivariance_errors):
            at_runtime: Any = inspect.unwrap(measure)  # without a test's checks of annotations
            with pytest.raises(InvalidSetting) as caught:
                at_runtime(Small(3, 1), X, V, Scalar, SO(3), **wrong)
            assert str(caught.value) == said
