"""The double spring pendulum conserves energy, and moves by its Hamiltonian."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from intertwine.datasets import DoubleSpringPendulum
from intertwine.groups import DkeR3, O2eR3


@pytest.fixture(scope="module")
def data() -> DoubleSpringPendulum:
    return DoubleSpringPendulum(150)


def _states(n: int = 20) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, 12))


class TestTheData:
    def test_shapes_and_times_are_those_of_the_paper(self, data: DoubleSpringPendulum) -> None:
        assert data.X.shape == (150, 12)
        assert data.Y.shape == (150, 5, 12)
        assert data.trajectories.shape == (150, 150, 12)
        np.testing.assert_allclose(data.ts, [0, 0.2, 0.4, 0.6, 0.8])
        np.testing.assert_allclose(data.times, np.linspace(0, 29.8, 150))
        assert f"{data.rep_in} → {data.rep_out}" == "4V → V⁰"

    def test_energy_is_conserved(self, data: DoubleSpringPendulum) -> None:
        energy = data.hamiltonian(data.trajectories)
        assert energy.std(axis=0).min() > 0.1  # each pendulum has its own
        np.testing.assert_allclose(energy, np.tile(energy[:, :1], 150), atol=1e-8)

    def test_angular_momentum_about_the_axis_is_conserved(self, data: DoubleSpringPendulum) -> None:
        x, p = (part.reshape(150, 150, 2, 3) for part in np.split(data.trajectories, 2, axis=-1))
        momentum = np.sum(np.cross(x, p)[..., 2], axis=-1)
        np.testing.assert_allclose(momentum, np.tile(momentum[:, :1], 150), atol=1e-8)

    def test_each_piece_is_cut_from_its_trajectory(self, data: DoubleSpringPendulum) -> None:
        pieces = data.trajectories.reshape(150, 30, 5, 12).astype(np.float32)
        begins = [
            next(j for j in range(30) if np.array_equal(pieces[i, j], data.Y[i]))
            for i in range(len(data))
        ]
        assert len(set(begins)) > 20  # from anywhere in the trajectory
        np.testing.assert_array_equal(data.X, data.Y[:, 0])

    def test_initial_states_are_those_of_the_paper(self) -> None:
        start = DoubleSpringPendulum(5000, 2, 0.1, 0.2).trajectories[:, 0]
        mean = [0, 0, -1.5, 0, 0, -3, 0, 0, 0, 0, 0, 0]
        np.testing.assert_allclose(start.mean(axis=0), mean, atol=0.03)
        np.testing.assert_allclose(start.std(axis=0), [0.2] * 6 + [0.4] * 6, rtol=0.05)

    def test_points_come_with_their_times(self, data: DoubleSpringPendulum) -> None:
        (z0, ts), zs = data[3]
        assert (z0.shape, ts.shape, zs.shape) == ((12,), (5,), (5, 12))
        (z0, ts), zs = data[np.array([3, 4])]
        assert (z0.shape, ts.shape, zs.shape) == ((2, 12), (2, 5), (2, 5, 12))
        np.testing.assert_array_equal(ts, np.stack([data.ts] * 2))

    def test_a_rollout_from_the_first_state_is_the_piece(self, data: DoubleSpringPendulum) -> None:
        (z0, _), zs = data[:10]
        np.testing.assert_allclose(data.rollout(z0, data.ts), zs, atol=1e-5)

    def test_a_trajectory_does_not_depend_on_others_in_its_batch(
        self, data: DoubleSpringPendulum
    ) -> None:
        alone = data.rollout(data.trajectories[120:121, 0], data.times)
        np.testing.assert_allclose(alone, data.trajectories[120:121], atol=1e-7)


class TestTheMechanics:
    @pytest.mark.slow
    @pytest.mark.parametrize("k2", [1.0, 2.0])
    def test_states_move_along_the_symplectic_gradient(self, k2: float) -> None:
        pendulum = DoubleSpringPendulum(1, 2, 0.1, 0.2, k2=k2)
        with jax.enable_x64(True):
            z = jax.numpy.asarray(_states())
            gradient = jax.vmap(jax.grad(pendulum.hamiltonian))(z)
            moved = np.asarray(jax.jit(pendulum.dynamics)(z))
            energy = np.asarray(pendulum.hamiltonian(z))
        by_q, by_p = np.split(np.asarray(gradient), 2, axis=-1)
        np.testing.assert_allclose(moved, np.hstack([by_p, -by_q]), atol=1e-12)
        np.testing.assert_allclose(moved, pendulum.dynamics(_states()), atol=1e-12)
        np.testing.assert_allclose(energy, pendulum.hamiltonian(_states()))

    def test_at_rest_the_springs_carry_the_weights(self) -> None:
        at_rest = np.array([0, 0, -3.0, 0, 0, -5.0, *[0] * 6])  # stretched by 2 and by 1
        pendulum = DoubleSpringPendulum(1, 2, 0.1, 0.2)
        np.testing.assert_allclose(pendulum.dynamics(at_rest), 0, atol=1e-15)
        assert pendulum.hamiltonian(at_rest) == pytest.approx(2**2 / 2 + 1**2 / 2 - 3 - 5)

    @pytest.mark.parametrize("group", [O2eR3(), DkeR3(6)], ids=repr)
    def test_the_energy_is_invariant_and_the_motion_equivariant(self, group: Any) -> None:
        pendulum = DoubleSpringPendulum(1, 2, 0.1, 0.2, symmetry=group)
        z = _states()
        for g in group.samples(5):
            rho = pendulum.rep_in(group).rho_dense(g)
            np.testing.assert_allclose(pendulum.hamiltonian(z @ rho.T), pendulum.hamiltonian(z))
            np.testing.assert_allclose(pendulum.dynamics(z @ rho.T), pendulum.dynamics(z) @ rho.T)

    def test_a_tilt_of_the_axis_is_no_symmetry(self) -> None:
        tilt = np.kron(np.eye(4), np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]))
        pendulum = DoubleSpringPendulum(1, 2, 0.1, 0.2)
        moved = pendulum.hamiltonian(_states() @ tilt.T)
        assert not np.allclose(moved, pendulum.hamiltonian(_states()), atol=0.1)
