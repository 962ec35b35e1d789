"""Energies, the motion that they determine, and vector fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.datasets import DoubleSpringPendulum
from intertwine.errors import InvalidRep
from intertwine.groups import SO, O2eR3
from intertwine.nn import (
    EMLPH,
    MLPH,
    EMLPode,
    MLPode,
    bake,
    hamiltonian_dynamics,
    load,
    save,
)
from intertwine.reps import Scalar, V
from intertwine.verify import rel_err
from jax.experimental.ode import odeint

G = O2eR3()
SMALL: dict[str, Any] = {"ch": 16, "num_layers": 1}
STATES = np.random.default_rng(0).standard_normal((6, 12))
MOVES = np.stack([(4 * V)(G).rho_dense(g) for g in G.samples(6, seed=1)])


def moved(z: Any) -> Any:
    """Each state moved by an element of its own."""
    return jnp.einsum("bij,bj->bi", MOVES, z)


@pytest.fixture(scope="module", autouse=True)
def _double_precision() -> Any:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module", params=[EMLPH, pytest.param(MLPH, marks=pytest.mark.slow)])
def energy(request: pytest.FixtureRequest) -> Any:
    return request.param(4 * V, Scalar, G, dtype="float64", **SMALL)


@pytest.fixture(scope="module", params=[EMLPode, pytest.param(MLPode, marks=pytest.mark.slow)])
def field(request: pytest.FixtureRequest) -> Any:
    return request.param(4 * V, 4 * V, G, dtype="float64", **SMALL)


def flow(dynamics: Any, z: Any) -> Any:
    return odeint(dynamics, jnp.asarray(z), jnp.linspace(0.0, 1.0, 3), rtol=1e-10, atol=1e-10)[-1]


def test_a_model_is_the_sum_of_the_energies_of_a_batch(energy: Any) -> None:
    energies = energy.energies(STATES)
    assert energies.shape == (6,)
    assert energy(STATES).shape == ()
    np.testing.assert_allclose(energy(STATES), energies.sum(), rtol=1e-12)
    np.testing.assert_allclose(energy.H(STATES[2]), energies[2], rtol=1e-12)
    each = jax.vmap(jax.grad(energy))(jnp.asarray(STATES))
    np.testing.assert_allclose(jax.grad(energy)(jnp.asarray(STATES)), each, atol=1e-12)


def test_the_motion_is_the_turned_gradient_and_keeps_the_energy(energy: Any) -> None:
    slope, motion = jax.grad(energy)(jnp.asarray(STATES)), energy.dynamics(STATES, 0.5)
    np.testing.assert_allclose(motion[:, :6], slope[:, 6:], atol=1e-13)
    np.testing.assert_allclose(motion[:, 6:], -slope[:, :6], atol=1e-13)
    np.testing.assert_allclose((slope * motion).sum(axis=1), np.zeros(6), atol=1e-13)
    later = flow(energy.dynamics, STATES)
    assert np.abs(later - STATES).max() > 0.1
    np.testing.assert_allclose(energy.energies(later), energy.energies(STATES), atol=1e-8)


def test_only_the_equivariant_energy_has_an_equivariant_flow(energy: Any) -> None:
    error = rel_err(flow(energy.dynamics, moved(STATES)), moved(flow(energy.dynamics, STATES)))
    if isinstance(energy, EMLPH):
        assert error <= 1e-8
        np.testing.assert_allclose(energy.energies(moved(STATES)), energy.energies(STATES))
    else:
        assert error > 1e-3


def test_gradients_with_respect_to_weights_of_the_motion_compile(energy: Any) -> None:
    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model: Any) -> Any:
        return jnp.mean(model.dynamics(STATES) ** 2)

    found = jax.tree.leaves(eqx.filter(gradient(energy), eqx.is_inexact_array))
    assert all(np.all(np.isfinite(leaf)) for leaf in found)
    assert max(float(jnp.abs(leaf).max()) for leaf in found) > 0


def test_the_hessian_of_an_energy_compiles_and_is_symmetric(energy: Any) -> None:
    hessian = jax.jit(jax.hessian(energy.H))(jnp.asarray(STATES[0]))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    assert float(jnp.abs(hessian).max()) > 0


def test_the_dynamics_of_a_known_energy_are_its_equations_of_motion() -> None:
    pendulum = DoubleSpringPendulum(6)
    z = jnp.asarray(pendulum.trajectories[:, 3])
    found = hamiltonian_dynamics(pendulum.hamiltonian, z)
    np.testing.assert_allclose(found, pendulum.dynamics(z), atol=1e-12)


def test_a_vector_field_takes_the_time_and_has_the_flow_of_its_symmetry(field: Any) -> None:
    np.testing.assert_array_equal(field(STATES, 0.3), field(STATES))
    assert field(STATES).shape == (6, 12)
    error = rel_err(flow(field, moved(STATES)), moved(flow(field, STATES)))
    assert error <= 1e-8 if isinstance(field, EMLPode) else error > 1e-3


def test_these_models_are_saved_and_say_what_they_are(
    energy: Any, field: Any, tmp_path: Path
) -> None:
    for model in (energy, field):
        save(model, tmp_path / "model")
        again = load(tmp_path / "model")
        assert type(again) is type(model)
        assert again.G == G
        np.testing.assert_array_equal(again(STATES), model(STATES))
        assert repr(model).startswith(f"{type(model).__name__}((4V)(O2eR3())")
        assert bake(model) is model


def test_reps_that_are_no_energy_and_no_vector_field_are_refused() -> None:
    for network in (EMLPH, MLPH):
        with pytest.raises(InvalidRep, match=r"not a vector of V\(SO\(3\)\): give rep_out=Scalar"):
            network(2 * V, V, SO(3), **SMALL)
    for network in (EMLPode, MLPode):
        with pytest.raises(InvalidRep, match="dz/dt has the rep of z: rep_in is"):
            network(2 * V, V, SO(3), **SMALL)
    with pytest.raises(InvalidRep, match=r"\(q, p\), and their shape here is \(4, 3\)"):
        EMLPH(V, Scalar, SO(3), **SMALL).dynamics(np.ones((4, 3)))
