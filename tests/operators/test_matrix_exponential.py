"""The matrix exponential, against what is known of it in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.operators import exponential
from intertwine.operators.matrix_exponential import estimated_norm, exponential_times

TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


def test_of_a_nilpotent_matrix_it_is_a_polynomial() -> None:
    np.testing.assert_allclose(exponential(np.array([[0.0, 3.0], [0.0, 0.0]])), [[1, 3], [0, 1]])


@pytest.mark.parametrize("symmetry", ["none", "antihermitian"])
def test_of_a_rotation_generator_it_is_the_rotation(symmetry: Any) -> None:
    found = exponential(0.7 * TURN, symmetry)
    assert found.dtype == np.float64
    c, s = np.cos(0.7), np.sin(0.7)
    np.testing.assert_allclose(found, [[c, -s], [s, c]], atol=1e-15)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("sign", [1, -1], ids=["hermitian", "antihermitian"])
def test_a_promised_symmetry_changes_the_method_and_not_the_result(
    sign: int, is_complex: bool
) -> None:
    x = np.random.default_rng(8).standard_normal((2, 3, 4, 4))
    stack = x[0] + 1j * x[1] if is_complex else x[0]
    stack = (stack + sign * np.swapaxes(stack, 1, 2).conj()) / 2
    found = exponential(stack, "hermitian" if sign == 1 else "antihermitian")
    assert found.dtype == stack.dtype
    np.testing.assert_allclose(found, exponential(stack), atol=1e-12)
    np.testing.assert_allclose(found[1], exponential(stack[1]), atol=1e-12)


@pytest.mark.parametrize("symmetry", ["none", "hermitian", "antihermitian"])
@pytest.mark.parametrize("shape", [(0, 3, 3), (0, 0)])
def test_an_empty_stack_has_an_empty_exponential(symmetry: Any, shape: tuple[int, ...]) -> None:
    assert exponential(np.zeros(shape), symmetry).shape == shape


@pytest.mark.parametrize("scale", [0.0, 1e-9, 0.3, 20.0])
@pytest.mark.parametrize("is_complex", [False, True])
def test_the_product_with_a_block_is_the_same(scale: float, is_complex: bool) -> None:
    x = np.random.default_rng(2).standard_normal((2, 9, 9))
    matrix = x[0] + 1j * x[1] if is_complex else x[0]
    matrix = scale * (matrix - matrix.conj().T) / np.linalg.norm(matrix)
    block = np.random.default_rng(3).standard_normal((9, 4))
    expected = exponential(matrix) @ block
    np.testing.assert_allclose(exponential_times(matrix, block), expected, atol=1e-10)


def test_the_series_of_a_nilpotent_matrix_ends() -> None:
    found = exponential_times(np.array([[0.0, 300.0], [0.0, 0.0]]), np.eye(2))
    np.testing.assert_allclose(found, [[1, 300], [0, 1]], atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 40), (30, 50), (1, 1)])
def test_the_estimated_norm_is_at_most_the_norm_and_near_it(shape: tuple[int, int]) -> None:
    for scale in (1e-200, 1.0, 1e200):
        matrix = scale * np.random.default_rng(1).standard_normal(shape)
        norm = scale * np.linalg.norm(matrix / scale, 2)
        assert 0.85 * norm <= estimated_norm(matrix) <= norm * (1 + 1e-12)
    assert estimated_norm(np.zeros(shape)) == 0
