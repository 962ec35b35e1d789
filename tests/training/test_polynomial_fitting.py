"""Polynomials in closed form, and networks on their residuals, selected by validation data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.oblique_groups import NOT_REDUCTIVE
from intertwine.datasets import Inertia, O5Synthetic, ParticleInteraction
from intertwine.errors import InvalidSetting, MethodNotApplicable
from intertwine.groups import SO
from intertwine.nn import EMLP, EquivariantPolynomial, Linear, Standardize
from intertwine.reps import Scalar, V
from intertwine.training import (
    evaluate,
    fit_polynomial,
    fit_with_polynomial,
    model_equivariance_error,
)

QUICK: dict[str, Any] = {"epochs": 4, "batch_size": 50, "learning_rate": 1e-2, "progress": False}


def wave(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A map that no polynomial of low degree comes near: |v| is not among its variables."""
    x = np.random.default_rng(seed).standard_normal((count, 6)).astype(np.float32)
    y = np.sin(6 * (x[:, :3] * x[:, 3:]).sum(1, keepdims=True)) + (x**2).sum(1, keepdims=True)
    return x, y.astype(np.float32)


def network() -> EMLP:
    return EMLP(2 * V, Scalar, SO(3), ch=8, num_layers=1, gain=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("task", [Inertia, ParticleInteraction])
def test_forward_selection_finds_polynomials_of_few_terms_from_few_points(task: Any) -> None:
    train, validation, test = (task(n, seed=i) for i, n in enumerate((100, 300, 1000)))
    found = fit_polynomial(train, validation, degree=4, norms=(False,))
    assert evaluate(found.model, test) < 1e-9 * np.mean(test.Y**2)
    assert all(
        one.terms <= 12 and one.ridge is None for one in found.selections.values() if one.terms
    )
    assert model_equivariance_error(found.model, test) < 1e-6
    assert found.validation_loss == evaluate(found.model, validation)


@pytest.mark.slow
def test_validation_data_choose_norms_and_the_degree() -> None:
    train, validation, test = (O5Synthetic(n, seed=i) for i, n in enumerate((300, 300, 1000)))
    found = fit_polynomial(train, validation, degree=6)
    assert found.norms
    assert evaluate(found.model, test) < 1e-4
    without = fit_polynomial(train, validation, degree=6, norms=(False,))
    assert not without.norms
    assert evaluate(without.model, test) > 10 * evaluate(found.model, test)
    # of a linear map with noise, no higher degree is taken, whose terms would fit the noise
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 6))
    y = x[:, :3] - 2 * x[:, 3:] + 0.1 * rng.standard_normal((400, 3))
    linear = fit_polynomial(
        (x[:40], y[:40]), (x[40:], y[40:]), rep_in=2 * V(SO(3)), rep_out=V(SO(3)), degree=5
    )
    [selection] = linear.selections.values()
    assert (selection.degree, selection.terms) == (1, 2)
    assert linear.validation_loss < 0.0115


@pytest.mark.slow
def test_scales_of_inputs_and_targets_do_not_matter() -> None:
    train, validation = Inertia(60), Inertia(200, seed=1)
    small = np.float32(1e-9)
    found = fit_polynomial(
        (train.X * small, train.Y / small),
        (validation.X * small, validation.Y / small),
        rep_in=train.rep_in(SO(3)),
        rep_out=train.rep_out(SO(3)),
        degree=3,
        norms=(False,),
    )
    assert found.validation_loss * small**2 < 1e-8


@pytest.mark.slow
def test_no_network_is_trained_on_residuals_that_are_rounding_errors() -> None:
    x, _ = wave(200, 0)
    y = (x[:, :3] * x[:, 3:]).sum(1, keepdims=True)
    found = fit_with_polynomial(network(), (x[:100], y[:100]), validation=(x[100:], y[100:]))
    assert (found.chosen, found.trained, found.weight_decay) == ("polynomial", None, None)
    assert isinstance(found.model, Standardize)
    assert isinstance(found.model.model, EquivariantPolynomial)
    assert [*found.losses] == ["polynomial"]
    assert found.validation_loss < 1e-10


@pytest.mark.slow
def test_the_model_with_the_least_validation_loss_is_returned_each_time() -> None:
    data, validation = wave(150, 0), wave(100, 1)
    found, again = (
        fit_with_polynomial(
            network(),
            data,
            validation=validation,
            weight_decays=(0.1, 0.0),
            polynomial={"degree": 2},
            **QUICK,
        )
        for _ in range(2)
    )
    assert len(found.losses) == 4  # the polynomial; with decay both ways, without the better one
    assert found.validation_loss == min(found.losses.values())
    assert found.validation_loss == evaluate(found.model, validation)
    assert again.losses == found.losses
    assert np.array_equal(again.model(data[0]), found.model(data[0]))
    assert (
        model_equivariance_error(found.model, data, rep_in=2 * V(SO(3)), rep_out=Scalar(SO(3)))
        < 1e-5
    )


@pytest.mark.slow
def test_a_network_learns_the_residuals_of_a_polynomial() -> None:
    x, _ = wave(600, 0)
    z = (x[:, :3] * x[:, 3:]).sum(1, keepdims=True)
    y = (np.tanh(z) + 10 * (x[:, :3] ** 2).sum(1, keepdims=True)).astype(np.float32)
    settings = {**QUICK, "epochs": 60, "schedule": "warmup cosine"}
    found = fit_with_polynomial(
        EMLP(2 * V, Scalar, SO(3), ch=16, num_layers=1, gain=0.1),
        (x[:400], y[:400]),
        validation=(x[400:], y[400:]),
        weight_decays=(0.0,),
        polynomial={"degree": 2, "norms": (False,)},
        **settings,
    )
    assert (found.chosen, found.weight_decay) == ("sum", 0.0)
    assert found.validation_loss < 0.95 * found.losses["polynomial"]
    assert found.losses["network, weight decay 0"] > found.validation_loss


@pytest.mark.slow
def test_reps_without_polynomials_get_a_network() -> None:
    group = NOT_REDUCTIVE["Heisenberg"]
    x = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    found = fit_with_polynomial(
        Linear(V, V, group), (x[:40], 2 * x[:40]), validation=(x[40:], 2 * x[40:]), **QUICK
    )
    assert (found.chosen, found.polynomial) == ("network", None)
    with pytest.raises(MethodNotApplicable):
        fit_polynomial((x, x), (x, x), rep_in=V(group), rep_out=V(group))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"optimizer": None}, "fit_with_polynomial trains several times, by optax.adamw"),
        ({"loss": "mae", "checkpoint": "."}, "leave checkpoint and loss out, or use fit"),
        ({"weight_decays": ()}, "weight_decays is empty"),
        ({"polynomial": {"norms": ()}}, "norms is empty"),
        ({"polynomial": {"degree": 0}}, "degree is an integer from 1 on, not 0"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], said: str) -> None:
    data = wave(20, 0)
    with pytest.raises(InvalidSetting, match=said):
        fit_with_polynomial(network(), data, validation=data, **settings)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((np.ones((5, 4)), np.ones((5, 1))), "the inputs have the shape"),
        ((np.ones((5, 6)), np.ones(5)), "the targets have the shape"),
        ((np.full((5, 6), np.nan), np.ones((5, 1))), "the inputs are not finite"),
        ([1, 2], "data are a tuple"),
    ],
)
def test_data_that_cannot_be_used(data: Any, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        fit_polynomial(data, wave(20, 0), rep_in=2 * V(SO(3)), rep_out=Scalar(SO(3)))


#: The least published errors of networks at these numbers of points (`benchmarks/published.json`).
TASKS = [(Inertia, 300, 0.3), (ParticleInteraction, 100, 9e-3)]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "count", "published"), TASKS)
def test_without_validation_data_the_tasks_of_the_paper_are_fitted_to_rounding_errors(
    task: Any, count: int, published: float
) -> None:
    def exact(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        x = task(n, seed=seed).X.astype(np.float64)
        return x, np.asarray(task.target(x), np.float64).reshape(n, -1)

    few, test = task(count), exact(2000, 2)
    reps = {"rep_in": few.rep_in(few.symmetry), "rep_out": few.rep_out(few.symmetry)}
    found = fit_polynomial(
        exact(count, 0), degree=5, norms=(False,), dtype="float64", most=600, **reps
    )
    assert evaluate(found.model, test) < 1e-24 < published
    assert found.is_leave_one_out
    assert found.validation_loss < 1e-24
    # the network's precision is float32, and so are the data of the tasks
    assert evaluate(fit_polynomial(few, degree=4, norms=(False,)).model, test) < 1e-11


def noisy(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A polynomial of degree 2 in two vectors, and noise of size 0.1."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 6))
    y = np.cross(x[:, :3], x[:, 3:]) + x[:, :3] + 0.1 * rng.standard_normal((count, 3))
    return x, y


def test_errors_at_samples_left_out_choose_the_degree_and_estimate_the_error() -> None:
    reps = {"rep_in": 2 * V(SO(3)), "rep_out": V(SO(3))}
    data, test = noisy(60, 0), noisy(2000, 1)
    found = fit_polynomial(data, degree=4, norms=(False,), **reps)
    [selection] = found.selections.values()
    assert (selection.degree, selection.terms) == (2, 3)
    assert selection.ridge is not None
    assert found.validation_loss == pytest.approx(evaluate(found.model, test), rel=0.3)
    assert repr(found).startswith("<PolynomialFit: 3 terms of degree up to 2, leave-one-out loss 0")
    again = fit_polynomial(data, degree=4, norms=(False,), **reps)
    assert again.validation_loss == found.validation_loss


@pytest.mark.slow
def test_the_estimate_is_the_mean_error_of_fits_without_each_sample() -> None:
    x, y = noisy(12, 0)
    reps = {"rep_in": 2 * V(SO(3)), "rep_out": V(SO(3))}
    found = fit_polynomial((x, y), degree=1, norms=(False,), dtype="float64", **reps)
    [selection] = found.selections.values()
    polynomial = EquivariantPolynomial(2 * V, V, SO(3), degree=1)
    scale = np.sqrt(np.mean(y**2))
    errors = []
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        others = polynomial.fit(x[rest], y[rest] / scale, selection.ridge)
        errors.append(np.mean((np.asarray(others(x[i])) * scale - y[i]) ** 2))
    assert found.validation_loss == pytest.approx(np.mean(errors), rel=0.02)


def test_one_sample_is_fitted_by_the_fewest_terms() -> None:
    x, y = noisy(1, 0)
    found = fit_polynomial((x, y), degree=2, norms=(False,), rep_in=2 * V(SO(3)), rep_out=V(SO(3)))
    assert not np.isfinite(found.validation_loss) or found.validation_loss >= 0
    assert np.isfinite(np.asarray(found.model(x))).all()


@pytest.mark.slow  # each precision is compiled
def test_a_fit_in_float64_answers_in_float64() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6))
    y = np.cross(x[:, :3], x[:, 3:])
    rep_in, rep_out = (2 * V)(SO(3)), V(SO(3))
    model = fit_polynomial(
        (x, y), degree=2, norms=(False,), dtype="float64", rep_in=rep_in, rep_out=rep_out
    ).model
    for given, error in ((x, 1e-13), (x.astype(np.float32), 1e-5), (x[0], 1e-13)):
        image = model(given)
        assert image.dtype == np.float64
        np.testing.assert_allclose(image, y if given.ndim > 1 else y[0], atol=error)
    assert model.model(x).dtype == np.float64
    single = fit_polynomial((x, y), degree=2, norms=(False,), rep_in=rep_in, rep_out=rep_out)
    assert single.model(x).dtype == np.float32
