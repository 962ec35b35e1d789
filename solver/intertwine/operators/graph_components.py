"""The connected components of a graph."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

FEW_EDGES = 300_000
"""Up to this number, NumPy takes less time than importing SciPy's graphs, which takes 0.2 s."""


def components_of(
    rows: Int[np.ndarray, " m"], columns: Int[np.ndarray, " m"], n: int
) -> Int[np.ndarray, " n"]:
    """Return the component of each of n vertices, numbered by first appearance.

    There is an edge between `rows[k]` and `columns[k]` for each k, without direction.
    """
    if len(rows) <= FEW_EDGES:
        return _by_hooking(rows, columns, n)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    return by_first_appearance(labels)


def by_first_appearance(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return labels from 0 on, renumbered by first appearance."""
    count = int(labels.max(initial=-1)) + 1
    first = np.full(count, len(labels), dtype=np.int64)
    # written in reverse, so that the first appearance wins
    first[labels[::-1]] = np.arange(len(labels) - 1, -1, -1)
    rank = np.empty(count, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(count)
    renamed: Int[np.ndarray, " n"] = rank[labels]
    return renamed


def _by_hooking(
    rows: Int[np.ndarray, " m"], columns: Int[np.ndarray, " m"], n: int
) -> Int[np.ndarray, " n"]:
    """Join trees along edges: the larger root gets the smallest root across an edge as its parent,
    then every vertex its root (Shiloach and Vishkin, 1982). A root is the first of its tree.
    """
    root = np.arange(n)
    while True:
        ends = root[rows], root[columns]
        is_open = ends[0] != ends[1]
        if not is_open.any():
            break
        rows, columns = rows[is_open], columns[is_open]
        low = np.minimum(ends[0][is_open], ends[1][is_open])
        np.minimum.at(root, np.maximum(ends[0][is_open], ends[1][is_open]), low)
        while not np.array_equal(above := root[root], root):
            root = above
    found: Int[np.ndarray, " n"] = (np.cumsum(root == np.arange(n)) - 1)[root]
    return found
