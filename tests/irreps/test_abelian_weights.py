"""Weights of abelian groups: diagonalised in blocks, and in frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.irreps.abelian_weights import Weights, diagonalised
from scipy.stats import ortho_group, unitary_group


def rotations(charges: Any) -> Any:
    """The Lie generator that rotates plane i with charge i; a charge of None is a fixed vector."""
    blocks = [np.array([[0.0, -c], [c, 0.0]]) for c in charges]
    found = np.zeros((2 * len(blocks), 2 * len(blocks)))
    for i, block in enumerate(blocks):
        found[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = block
    return found


def vectors_of(weights: Weights) -> Any:
    """The weight vectors as columns, in the rep's own coordinates."""
    n = len(weights.values)
    found = np.zeros((n, n), dtype=complex)
    for j in range(n):
        np.add.at(found[:, j], weights.places[j], weights.entries[j])
    return found if weights.frame is None else weights.frame @ found


def require_weights(weights: Weights | None, matrices: list[Any]) -> Weights:
    assert weights is not None
    u = vectors_of(weights)
    n = len(u)
    np.testing.assert_allclose(u.conj().T @ u, np.eye(n), atol=1e-12)
    for k, matrix in enumerate(matrices):
        moved = matrix @ u - u * weights.values[:, k]
        assert np.linalg.norm(moved, 2) <= max(2 * weights.errors[k], 1e-14)
        assert weights.errors[k] < 1e-12
    if weights.partners is not None:
        np.testing.assert_array_equal(weights.partners[weights.partners], np.arange(n))
        np.testing.assert_allclose(u[:, weights.partners], u.conj(), atol=1e-12)
        np.testing.assert_allclose(weights.values[weights.partners], weights.values.conj())
    return weights


def test_planes_as_they_are_need_no_frame() -> None:
    matrix = rotations([1, 2, 2, 0, -3])
    weights = require_weights(diagonalised([matrix], [], 10), [matrix])
    assert weights.frame is None
    found = sorted(weights.values[:, 0].imag)
    np.testing.assert_allclose(found, [-3, -2, -2, -1, 0, 0, 1, 2, 2, 3], atol=1e-14)


@pytest.mark.parametrize("charges", [[1, 2, 3, 4], [1, 1, 2, 0], [0.3, 0.3, -0.3, 0.3]])
def test_planes_in_any_orthogonal_frame(charges: list[float]) -> None:
    q = ortho_group.rvs(8, random_state=1)
    matrix = q @ rotations(charges) @ q.T
    require_weights(diagonalised([matrix], [], 8), [matrix])


def test_several_generators_with_common_weights() -> None:
    q, rng = ortho_group.rvs(30, random_state=2), np.random.default_rng(3)
    stretch = np.diag(np.repeat(rng.integers(-2, 3, 15), 2).astype(float))
    plain = [rotations(rng.integers(-2, 3, 15)) for _ in range(3)] + [stretch]
    matrices = [q @ matrix @ q.T for matrix in plain]
    weights = require_weights(diagonalised(matrices, [], 30), matrices)
    assert weights.frame is not None


def test_weights_that_are_close_in_one_generator_are_separated_by_others() -> None:
    u = unitary_group.rvs(6, random_state=4)
    first = 1j * np.diag([1, 1 + 1e-9, 1 + 2e-9, 2, 2, 2])
    second = 1j * np.diag([1.0, -1, 2, 3, 4, 5])
    matrices = [u @ matrix @ u.conj().T for matrix in (first, second)]
    require_weights(diagonalised(matrices, [], 6), matrices)


def test_finite_abelian_groups_have_roots_of_unity() -> None:
    q = ortho_group.rvs(6, random_state=5)
    turn = np.array([[-0.5, -np.sqrt(0.75)], [np.sqrt(0.75), -0.5]])
    matrix = q @ np.kron(np.eye(3), turn) @ q.T
    weights = require_weights(diagonalised([], [matrix], 6), [matrix])
    np.testing.assert_allclose(weights.values**3, 1)


def test_complex_reps_have_no_partners() -> None:
    matrix = 1j * np.diag([1.0, 2, 5])
    assert require_weights(diagonalised([matrix], [], 3), [matrix]).partners is None


@pytest.mark.parametrize(
    ("lie", "discrete"),
    [
        ([np.array([[0.0, 1], [0, 0]])], []),  # not normal
        ([np.diag([1.0, -1]), rotations([1])], []),  # do not commute
        ([rotations([1])], [np.diag([1.0, -1])]),  # the same, with a reflection
        ([], [np.diag([2.0, 0.5])]),  # not unitary
        ([np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0.0]]), np.eye(3)[[1, 2, 0]]], []),
        ([], []),
    ],
)
def test_other_groups_have_no_weights(lie: list[Any], discrete: list[Any]) -> None:
    size = len([*lie, *discrete, np.eye(1)][0])
    assert diagonalised(lie, discrete, size) is None


def test_weights_that_are_nearly_real_are_refused() -> None:
    matrix = np.diag([1.0, 1, 2]) + np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0]]) * 1e-9
    assert diagonalised([matrix], [], 3) is None
