"""The target functions are equivariant, as published, and of the published variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from intertwine.datasets import Dataset, Inertia, O5Synthetic, ParticleInteraction
from intertwine.groups import SO13, D, Embed, Group, Lorentz, O
from intertwine.verify import equivariance_error
from scipy.integrate import quad


@dataclass(frozen=True)
class Task:
    """A dataset with the largest group under which its target is equivariant."""

    make: Callable[..., Dataset]
    target: Callable[[Any], Any]
    group: Group
    beyond: Group

    def __str__(self) -> str:
        return type(self.make(1)).__name__


SQUEEZE_3 = Group(discrete_generators=[np.diag([2.0, 0.5, 1.0])], name="squeeze")
SQUEEZE_4 = Group(discrete_generators=[np.diag([2.0, 0.5, 1.0, 1.0])], name="squeeze")
SQUEEZE_5 = Group(discrete_generators=[np.diag([2.0, 0.5, 1.0, 1.0, 1.0])], name="squeeze")

TASKS = [
    Task(Inertia, Inertia.target, O(3), SQUEEZE_3),
    Task(O5Synthetic, O5Synthetic.target, O(5), SQUEEZE_5),
    Task(ParticleInteraction, ParticleInteraction.target, Lorentz(), SQUEEZE_4),
]


def _slip(task: Task, group: Group) -> float:
    """Return the largest ‖f(ρ(g)x) − ρ(g)f(x)‖ over the norms of both, for some g and x."""
    data = task.make(20)
    x = data.X.astype(np.float64)
    slips = []
    for g in group.samples(10, seed=3):
        rho_in, rho_out = (rep(group).rho_dense(g) for rep in (data.rep_in, data.rep_out))
        moved, expected = task.target(x @ rho_in.T), task.target(x) @ rho_out.T
        size = np.linalg.norm(moved, axis=1) + np.linalg.norm(expected, axis=1)
        # cancellation: boosts make large scalar products of moderate matrix elements
        size += np.linalg.norm(x @ rho_in.T, axis=1) ** 4
        slips.append(np.max(np.linalg.norm(moved - expected, axis=1) / size))
    return float(max(slips))


@pytest.mark.parametrize("task", TASKS, ids=str)
class TestEveryTarget:
    def test_it_is_equivariant_under_the_group_of_the_paper(self, task: Task) -> None:
        assert _slip(task, task.make(1).symmetry) < 1e-12
        assert _slip(task, task.group) < 1e-12

    def test_it_is_not_equivariant_under_a_group_that_squeezes_space(self, task: Task) -> None:
        assert _slip(task, task.beyond) > 1e-2

    def test_the_data_contain_its_values(self, task: Task) -> None:
        data = task.make(50)
        np.testing.assert_allclose(data.Y, task.target(data.X), rtol=1e-6)

    def test_it_is_computed_in_float64(self, task: Task) -> None:
        X = task.make(5).X
        assert task.target(X).dtype == np.float64
        np.testing.assert_array_equal(task.target(X), task.target(X.astype(np.float64)))


class TestInertia:
    def test_a_single_mass_on_an_axis_has_the_inertia_of_the_textbook(self) -> None:
        on_axis = np.array([[3.0, 0.0, 0.0, 2.0]])
        np.testing.assert_array_equal(
            Inertia.target(on_axis).reshape(3, 3), np.diag([12.0, 12.0, 0.0])
        )

    def test_inertia_is_additive(self) -> None:
        X = Inertia(7, k=2).X.astype(np.float64)
        first = Inertia.target(np.hstack([X[:, :1], X[:, 2:5]]))
        second = Inertia.target(np.hstack([X[:, 1:2], X[:, 5:]]))
        np.testing.assert_allclose(Inertia.target(X), first + second)

    def test_masses_are_positive_and_k_counts_the_bodies(self) -> None:
        data = Inertia(1000, k=3)
        assert data.X.shape == (1000, 12)
        assert (data.X[:, :3] > 0).all()
        assert str(data.rep_in) == "3V⁰+3V"

    def test_the_variance_is_that_of_the_paper(self) -> None:
        def moment(power: int) -> float:
            density = lambda t: np.exp(-t * t / 2) / np.sqrt(2 * np.pi)  # noqa: E731
            return float(quad(lambda t: np.logaddexp(0, t) ** power * density(t), -12, 12)[0])

        # off the diagonal 5E[m²]; on it, with E(y² + z²)² = 8, 5(8E[m²] − 4E[m]²)
        exact = (50 * moment(2) - 20 * moment(1) ** 2) / 3
        assert exact == pytest.approx(11.0, abs=0.03)
        assert Inertia(200_000).Y.var(axis=0).mean() == pytest.approx(exact, rel=0.01)


class TestO5Synthetic:
    def test_the_value_for_orthogonal_vectors_is_that_of_the_formula(self) -> None:
        x = np.zeros((1, 10))
        x[0, 0], x[0, 6] = np.pi / 2, 2.0
        assert O5Synthetic.target(x).item() == pytest.approx(1 - 4)
        x[0, 5:7] = 2.0, 0.0
        assert O5Synthetic.target(x).item() == pytest.approx(1 - 4 + 1)

    def test_the_variance_is_that_of_the_paper(self) -> None:
        def density(r: float) -> float:
            """Return the density of the length of a normal vector in ℝ⁵."""
            return float(r**4 * np.exp(-r * r / 2) / (2**1.5 * math.gamma(2.5)))

        sine, square = (quad(lambda r, p=p: np.sin(r) ** p * density(r), 0, 30)[0] for p in (1, 2))
        cube, sixth = (quad(lambda r, p=p: r**p * density(r), 0, 30)[0] for p in (3, 6))
        exact = square - sine**2 + (sixth - cube**2) / 4 + 1 / 5
        assert exact == pytest.approx(38.7, rel=0.02)
        assert O5Synthetic(400_000).Y.var() == pytest.approx(exact, rel=0.02)


class TestParticleInteraction:
    def test_the_value_is_that_of_the_tensors_in_the_paper(self) -> None:
        metric = np.diag([1.0, -1.0, -1.0, -1.0])
        X = ParticleInteraction(50).X.astype(np.float64)

        def tensor(before: Any, after: Any) -> Any:
            """Return a⁽ᵘbᵛ⁾ − (a·b − a·a) ηᵘᵛ."""
            outer = np.outer(before, after)
            return (outer + outer.T) / 2 - (before @ metric @ (after - before)) * metric

        for x, y in zip(X, ParticleInteraction.target(X), strict=True):
            p, q, p_after, q_after = x.reshape(4, 4)
            lowered = metric @ tensor(q, q_after) @ metric
            assert y == pytest.approx(4 * np.sum(tensor(p, p_after) * lowered), abs=1e-12)

    def test_the_variance_is_that_of_the_paper(self) -> None:
        exact = 3002 / 4096  # by Wick's theorem
        assert exact == pytest.approx(0.732, abs=0.001)
        assert ParticleInteraction(1_000_000).Y.var() == pytest.approx(exact, rel=0.02)

    def test_time_comes_first_as_in_the_catalogue(self) -> None:
        # a metric with time elsewhere would be refused by the boosts of the group
        elsewhere = ParticleInteraction(20).X.reshape(20, 4, 4)[:, :, [1, 0, 2, 3]].reshape(20, 16)
        g = SO13().sample()
        rho = np.kron(np.eye(4), g)
        moved = ParticleInteraction.target(elsewhere @ rho.T)
        assert np.allclose(moved, ParticleInteraction.target(elsewhere), rtol=1e-6)
        swap = np.kron(np.eye(4), np.eye(4)[[1, 0, 2, 3]])
        swapped = ParticleInteraction.target(elsewhere @ swap.T)
        assert not np.allclose(swapped, ParticleInteraction.target(elsewhere), rtol=1e-2)


@pytest.mark.parametrize(
    ("make", "symmetry"),
    [(Inertia, O(3)), (Inertia, Embed(D(6), 3, slice(2))), (ParticleInteraction, Lorentz())],
)
def test_a_custom_symmetry_does_not_change_the_data(
    make: Callable[..., Dataset], symmetry: Group
) -> None:
    usual, told = make(30), make(30, symmetry=symmetry)
    assert told.symmetry == symmetry != usual.symmetry
    np.testing.assert_array_equal(usual.X, told.X)
    np.testing.assert_array_equal(usual.Y, told.Y)


def test_a_standardized_linear_model_is_equivariant() -> None:
    data = Inertia(500, symmetry=O(3))
    rep_in, rep_out = data.rep_in(data.symmetry), data.rep_out(data.symmetry)
    Q = (rep_in >> rep_out).equivariant_basis()
    W = (Q @ np.random.default_rng(0).standard_normal(Q.rank)).reshape(9, 20)
    Xmean, Xstd, Ymean, Ystd = (np.asarray(s, np.float64) for s in data.stats)
    assert equivariance_error(Ystd[:, None] * W / Xstd, rep_in, rep_out) < 1e-7
    rho_in, rho_out = (rep.rho_dense(data.symmetry.sample()) for rep in (rep_in, rep_out))
    np.testing.assert_allclose(rho_in @ Xmean, Xmean, atol=1e-6)
    np.testing.assert_allclose(rho_out @ Ymean, Ymean, atol=1e-5)
