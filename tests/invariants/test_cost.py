"""Estimates of cost: what they count, and that they take little time themselves."""

from __future__ import annotations

import time

import numpy as np
import pytest
from intertwine.groups import SO, Group, parse_group
from intertwine.invariants import estimate, estimate_decomposition
from intertwine.invariants.problem import problems_of
from intertwine.irreps import decompose
from intertwine.reps import V, parse
from intertwine.reps.canonical_form import canonical_terms
from intertwine_api.work.settings import Settings
from scipy.linalg import null_space


@pytest.mark.parametrize(("power", "n", "step"), [(3, 5, 75), (4, 4, 80)])
def test_a_decomposition_is_estimated_by_its_largest_step(power: int, n: int, step: int) -> None:
    """The size of an irrep before the last slot, times the slot: within a factor of two."""
    cost = estimate_decomposition((V**power)(SO(n)))
    assert cost.operations == 30 * (n * (n - 1) // 2 + 1) * step**3
    before = decompose((V ** (power - 1))(SO(n)), store=False)
    largest = max(irrep.size() for irrep in before.multiplicities) * n
    assert largest / 2 <= step <= 2 * largest


def test_a_sum_costs_as_much_as_its_terms() -> None:
    G = SO(4)
    one, two, both = (estimate_decomposition(r(G)) for r in (V**2, V**3, V**2 + V**3))
    assert both.operations == one.operations + two.operations
    assert both.memory == max(one.memory, two.memory)


@pytest.mark.parametrize(
    ("text", "group", "is_quick"),
    [
        ("V**4", "SO(8)", True),
        ("V**4", "SO(10)", True),
        ("V**4", "O(12)", True),
        ("V**2*V.T**2", "SU(10)", True),
        ("V**4", "Sp(4)", True),
        ("V**2", "SO(30)", False),
    ],
)
def test_bases_that_take_a_second_are_not_refused(text: str, group: str, is_quick: bool) -> None:
    """By a service with its defaults; those that are quick are not jobs either."""
    defaults = Settings(data=None)
    cost = estimate(parse(text)(parse_group(group)))
    most = defaults.solve_job_operations if is_quick else defaults.solve_operations
    assert cost.operations <= most
    assert cost.memory <= defaults.solve_memory


@pytest.mark.parametrize("group", ["Z(100)", "S(5)", "SO(3)", "Cube()"])
def test_decompositions_that_take_seconds_are_not_refused(group: str) -> None:
    """Those of the irreps of a group in tensors of two slots, over HTTP."""
    defaults = Settings(data=None)
    cost = estimate_decomposition(parse("T(0)+T(1)+T(2)+T(1,1)")(parse_group(group)))
    assert cost.operations <= defaults.decompose_operations
    assert cost.memory <= defaults.solve_memory


@pytest.mark.parametrize("seed", range(6))
def test_the_obliqueness_is_that_of_spectral_projectors(seed: int) -> None:
    """For distinct eigenvalues: ‖x‖‖y‖/|yᴴx| of the right and left eigenvectors, squared."""
    matrix = np.random.default_rng(seed).normal(size=(6, 6))
    values, right = np.linalg.eig(matrix)
    apart = np.abs(values[:, None] - values) + 10 * np.eye(6)
    assert apart.min() > 2e-3 * np.linalg.norm(matrix, 2)
    left = np.linalg.inv(right).conj().T
    worst = max(np.linalg.norm(right, axis=0) * np.linalg.norm(left, axis=0)) ** 2
    (problem,) = problems_of(canonical_terms(V(Group(lie_algebra=[matrix])))[0][1])
    assert problem.obliqueness == pytest.approx(worst, rel=1e-9)


def test_the_eigenvectors_of_equal_eigenvalues_do_not_count() -> None:
    rng = np.random.default_rng(0)
    frame = np.eye(6) + 0.1 * rng.normal(size=(6, 6))
    matrix = frame @ np.diag([1.0, 1, 1, -2, -2, 1]) @ np.linalg.inv(frame)
    (problem,) = problems_of(canonical_terms(V(Group(lie_algebra=[matrix])))[0][1])
    one, other = (null_space(matrix - value * np.eye(6), rcond=1e-8) for value in (1, -2))
    sine = np.linalg.svd(one.T @ other, compute_uv=False)[0]  # the cosine of the smallest angle
    assert problem.obliqueness == pytest.approx(1 / (1 - sine**2), rel=1e-8)


@pytest.mark.slow
def test_the_estimate_of_a_large_generator_takes_a_moment() -> None:
    """One Schur form for all eigenspaces, where one for each took minutes of a busy machine."""
    rng = np.random.default_rng(0)
    for group in (SO(60), Group(lie_algebra=[rng.normal(size=(200, 200)).round(3)])):
        begun = time.process_time()
        estimate(V(group))
        assert time.process_time() - begun < 8
