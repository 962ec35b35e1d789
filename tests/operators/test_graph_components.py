"""The components of a graph, by the definition: what a path connects."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.operators.graph_components import FEW_EDGES, by_first_appearance, components_of

EDGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=14)


def by_definition(edges: list[tuple[int, int]], n: int) -> list[int]:
    reached = np.eye(n, dtype=bool)
    for i, j in edges:
        reached[i, j] = reached[j, i] = True
    for _ in range(n):
        reached = reached @ reached
    firsts = [int(np.flatnonzero(row)[0]) for row in reached]
    return [sorted(set(firsts)).index(first) for first in firsts]


@laws
@given(EDGES)
def test_vertices_have_one_label_if_a_path_connects_them(edges: list[tuple[int, int]]) -> None:
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    assert components_of(rows, columns, 12).tolist() == by_definition(edges, 12)


def test_many_edges_have_the_components_of_the_same_edges_once() -> None:
    n = 200_000
    rows, columns = np.random.default_rng(0).integers(0, n, (2, n // 2))
    once = components_of(rows, columns, n)
    copies = FEW_EDGES // len(rows) + 1  # more edges than NumPy takes
    np.testing.assert_array_equal(
        components_of(np.tile(rows, copies), np.tile(columns, copies), n), once
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_long_path_in_random_order_is_one_component(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(20_000)
    found = components_of(order[1:], order[:-1], 20_001)
    np.testing.assert_array_equal(found, [0] * 20_000 + [1])


def test_labels_are_renumbered_by_first_appearance() -> None:
    assert by_first_appearance(np.array([2, 0, 2, 1, 0])).tolist() == [0, 1, 0, 2, 1]
    assert by_first_appearance(np.zeros(0, dtype=int)).tolist() == []
