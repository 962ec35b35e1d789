"""A basis that is kept as one label an index."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
from helpers.example_bases import orbits
from intertwine.bases import Orbits
from intertwine.groups import RubiksCube, S
from intertwine.reps import V


def test_a_column_is_one_over_the_root_of_its_orbits_size_there_and_zero_elsewhere() -> None:
    matrix = orbits([0, 1, 0, 0, 0]).apply(np.eye(2))
    assert matrix.tolist() == [[0.5, 0], [0, 1], [0.5, 0], [0.5, 0], [0.5, 0]]


def test_signs_are_those_of_the_entries() -> None:
    matrix = orbits([0, 0, 0, 0], [1, -1, -1, 1]).apply(np.eye(1))
    assert matrix.tolist() == [[0.5], [-0.5], [-0.5], [0.5]]


def test_an_index_without_an_orbit_carries_nothing() -> None:
    storage = orbits([-1, 0, -1], [-1, 1, 1])
    assert storage.apply(np.ones((1, 1))).tolist() == [[0], [1], [0]]
    assert storage.adjoint(np.ones((3, 1))).tolist() == [[1]]


def test_where_all_vanish_there_is_nothing_to_add() -> None:
    storage = orbits([-1, -1], [1, 1])
    assert storage.shape == (2, 0)
    assert storage.apply(np.ones((0, 3))).tolist() == [[0] * 3] * 2
    assert storage.adjoint(np.ones((2, 3))).shape == (0, 3)
    assert storage.sparse().nnz == 0


def test_a_label_an_index_is_all_that_is_kept() -> None:
    assert orbits([0, 1, 0]).nbytes == 3 * 4
    assert orbits([0, 1, 0], [1, 1, -1]).nbytes == 3 * (4 + 1)


def test_labels_may_be_of_any_integer_type() -> None:
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        storage = Orbits(np.array([0, 1, 0, -1], dtype=dtype), None, 2)
        column = storage.apply(np.ones((2, 1))).ravel()
        np.testing.assert_allclose(column, [0.5**0.5, 1, 0.5**0.5, 0])
        assert storage.sparse().nnz == 3


def test_a_large_basis_is_applied_in_the_memory_of_its_vectors() -> None:
    basis = (V**3)(RubiksCube()).equivariant_basis()
    assert isinstance(basis.storage, Orbits)
    n, r = basis.shape
    assert (n, r) == (110_592, 51)
    v, w = np.ones(n), np.ones(r)
    basis.project(v)
    tracemalloc.start()
    begun = time.process_time()
    basis @ w
    basis.T @ v
    seconds = time.process_time() - begun
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 8 * v.nbytes  # the dense matrix has 51 columns of that size
    assert seconds < 1


def test_a_solved_basis_of_permutations_is_one() -> None:
    basis = (V**2)(S(4)).equivariant_basis()
    assert isinstance(basis.storage, Orbits)
    assert sorted(set(basis.storage.labels.tolist())) == [0, 1]
    diagonal = np.eye(4).ravel() / 2
    off = (1 - np.eye(4)).ravel() / np.sqrt(12)
    assert sorted(basis.dense().T.tolist()) == sorted([diagonal.tolist(), off.tolist()])
