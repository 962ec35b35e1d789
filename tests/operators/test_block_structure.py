"""The blocks of coordinates that matrices do not mix."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.operators import Permutation, coordinate_blocks, diagonal_blocks
from scipy.linalg import block_diag


def listed(matrices: list[Any], n: int) -> list[list[int]]:
    """All blocks as lists, smallest first."""
    return [row.tolist() for blocks in coordinate_blocks(matrices, n) for row in blocks]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 99))
def test_shuffled_blocks_are_found(sizes: list[int], seed: int) -> None:
    n, order = sum(sizes), np.random.default_rng(seed).permutation(sum(sizes))
    matrix = block_diag(*(np.ones((size, size)) for size in sizes))
    starts = np.cumsum([0, *sizes])
    expected = [
        sorted(np.flatnonzero((order >= a) & (order < b)).tolist())
        for a, b in itertools.pairwise(starts)
    ]
    found = listed([matrix[np.ix_(order, order)]], n)
    assert sorted(found) == sorted(expected)
    assert found == sorted(found, key=lambda block: (len(block), block))


def test_blocks_are_those_of_all_matrices_together() -> None:
    first, second = np.zeros((4, 4)), np.zeros((4, 4))
    first[0, 2] = second[1, 3] = 1e-300
    assert listed([first], 4) == [[1], [3], [0, 2]]
    assert listed([first, second], 4) == [[0, 2], [1, 3]]
    assert listed([first, Permutation([1, 2, 3, 0])], 4) == [[0, 1, 2, 3]]


@pytest.mark.parametrize("n", [1, 2, 9])
def test_full_matrices_are_one_block_and_no_matrices_leave_n_blocks(n: int) -> None:
    assert listed([np.ones((n, n))], n) == [list(range(n))]
    assert listed([], n) == [[i] for i in range(n)]


def test_one_of_many_matrices_joins_blocks() -> None:
    mixed = np.zeros((3, 3))
    mixed[0, 2] = 1
    assert listed([mixed] * 256, 3) == [[1], [0, 2]]


def test_the_blocks_of_a_matrix() -> None:
    matrix = np.arange(16.0).reshape(4, 4)
    found = diagonal_blocks(matrix, np.array([[0, 2], [1, 3]]))
    np.testing.assert_array_equal(found, [[[0, 2], [8, 10]], [[5, 7], [13, 15]]])
    swap = Permutation([1, 0, 2])
    np.testing.assert_array_equal(diagonal_blocks(swap, np.array([[0, 1]])), [[[0, 1], [1, 0]]])
