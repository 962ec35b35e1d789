"""Conjugate gradients, on systems whose solution is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from intertwine.operators import conjugate_gradients


def semidefinite(eigenvalues: list[float], *, is_complex: bool = False) -> np.ndarray[Any, Any]:
    """A Hermitian matrix with these eigenvalues, in a random orthonormal frame."""
    rng = np.random.default_rng(3)
    entries = rng.standard_normal((len(eigenvalues), len(eigenvalues)))
    q = np.linalg.qr(entries + 1j * rng.standard_normal(entries.shape) if is_complex else entries)[
        0
    ]
    return (q * np.array(eigenvalues)) @ q.conj().T


def solved(matrix: Any, x: Any, b: Any, **options: Any) -> tuple[Any, int]:
    def apply(d: Any) -> tuple[Any, float]:
        image = matrix @ d
        return image, float((d.conj() * image).sum().real)

    def norm(y: Any) -> float:
        return math.sqrt(float((abs(y) ** 2).sum()))

    chosen = {"norm": norm, "reduction": 1e-12, "steps": 100, **options}
    return conjugate_gradients(x, b - matrix @ x, apply, **chosen)


@pytest.mark.parametrize("is_complex", [False, True])
def test_a_block_is_solved_in_as_many_steps_as_there_are_eigenvalues(is_complex: bool) -> None:
    matrix = semidefinite([1.0, 1.0, 1.0, 4.0, 4.0, 9.0], is_complex=is_complex)
    b = np.random.default_rng(4).standard_normal((6, 5))
    x, steps = solved(matrix, np.zeros((6, 5), dtype=matrix.dtype), b)
    assert steps == 3
    np.testing.assert_allclose(matrix @ x, b, atol=1e-11)


def test_the_part_of_the_start_in_the_null_space_is_kept() -> None:
    matrix = semidefinite([0.0, 0.0, 1.0, 2.0])
    start = np.random.default_rng(5).standard_normal((4, 2))
    x, _ = solved(matrix, start, np.zeros((4, 2)))
    null = np.eye(4) - np.linalg.pinv(matrix) @ matrix
    np.testing.assert_allclose(x, null @ start, atol=1e-12)


def test_the_arguments_are_not_changed() -> None:
    matrix, start, b = semidefinite([1.0, 2.0]), np.ones((2, 1)), np.ones((2, 1))
    solved(matrix, start, b)
    np.testing.assert_array_equal(start, np.ones((2, 1)))
    np.testing.assert_array_equal(b, np.ones((2, 1)))


def test_it_stops_at_once_at_a_solution_and_where_there_is_no_curvature() -> None:
    matrix, zero = semidefinite([1.0, 2.0]), np.zeros((2, 1))
    assert solved(matrix, zero, zero)[1] == 0
    x, steps = solved(np.zeros((2, 2)), zero, np.ones((2, 1)))
    assert steps == 0
    np.testing.assert_array_equal(x, zero)


def test_it_stops_at_the_reduction_or_the_floor_whichever_is_reached_first() -> None:
    matrix, b = semidefinite([1.0, 2.0, 3.0, 5.0]), np.ones((4, 1))
    for options in ({"reduction": 0.1}, {"reduction": 0.0, "floor": 0.2}):
        x, steps = solved(matrix, np.zeros((4, 1)), b, **options)
        assert 0 < steps < 4
        assert 1e-3 < np.linalg.norm(b - matrix @ x) <= 0.2


def test_steps_are_bounded_and_each_says_how_far_it_is() -> None:
    matrix, b = semidefinite([1.0, 2.0, 3.0, 5.0]), np.ones((4, 1))
    fractions: list[float] = []
    x, steps = solved(
        matrix, np.zeros((4, 1)), b, steps=2, reduction=1e-4, progress=fractions.append
    )
    assert steps == len(fractions) == 2
    reached = np.linalg.norm(b - matrix @ x) / np.linalg.norm(b)
    assert fractions[1] == pytest.approx(np.log(reached) / np.log(1e-4))


def test_nan_ends_the_iteration() -> None:
    x, steps = solved(semidefinite([1.0, 2.0]), np.zeros((2, 1)), np.full((2, 1), np.nan))
    assert steps == 0
    np.testing.assert_array_equal(x, np.zeros((2, 1)))


def test_arrays_of_jax_are_solved_in_jax() -> None:
    jnp = pytest.importorskip("jax.numpy")
    matrix = jnp.asarray(semidefinite([1.0, 2.0, 3.0]), dtype="float32")
    x, steps = solved(matrix, jnp.zeros((3, 1)), jnp.ones((3, 1)), reduction=1e-5)
    assert steps <= 4
    assert type(x) is type(matrix)
    np.testing.assert_allclose(np.asarray(matrix @ x), np.ones((3, 1)), atol=1e-5)
