"""The method `orbits`: for generators that permute coordinates, with or without signs.

A vector is invariant exactly when it is constant, up to the signs, on every orbit of index
tuples; the orbits are connected components of a graph, found without floating point.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from intertwine.bases import Orbits
from intertwine.errors import MethodNotApplicable
from intertwine.invariants.problem import Problem
from intertwine.invariants.progress import Progress, Report
from intertwine.memory import require_memory
from intertwine.operators import Permutation


def index_orbits(problem: Problem, report: Report) -> Orbits:
    """The orbits of index tuples, as a basis. Exact.

    Raises `MethodNotApplicable` where a generator is no signed permutation in some slot.
    """
    if problem.permutations is None:
        raise MethodNotApplicable(
            f"the method 'orbits' needs generators that permute coordinates (up to signs); those "
            f"of {problem.group!r} do not, on this rep. Use 'svd', 'krylov' or 'auto'"
        )
    n = problem.size
    require_memory(bytes_needed(problem), f"orbits for {n:,} dimensions")
    report(Progress("orbits", 0.0))
    moves = [_combine(slots) for slots in problem.permutations]
    if not _signed(problem):
        labels = _components([indices for indices, _ in moves], n)
        return Orbits(_compact(labels), None, int(labels.max(initial=-1)) + 1)
    return _signed_orbits(moves, n)


def bytes_needed(problem: Problem) -> int:
    """About the bytes that it takes."""
    nodes = 2 * problem.size if _signed(problem) else problem.size
    return nodes * (20 * max(1, problem.discrete_count) + 40)


def _signed(problem: Problem) -> bool:
    slots = (slot for slots in problem.permutations or () for slot in slots)
    return any(slot.signs is not None for slot in slots)


def _combine(slots: Sequence[Permutation]) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The signed permutation of index tuples: where each index comes from, and its sign."""
    indices = np.zeros(1, dtype=np.int64)
    signs = np.ones(1, dtype=np.int8)
    for slot in slots:
        size = slot.shape[0]
        own = np.ones(size, dtype=np.int8) if slot.signs is None else slot.signs
        indices = (indices[:, None] * size + slot.indices).ravel()
        signs = (signs[:, None] * own).ravel()
    return indices, signs


def _components(moves: Sequence[Int[np.ndarray, " n"]], n: int) -> Int[np.ndarray, " n"]:
    """The orbit of each index, numbered by first appearance."""
    if not moves:
        return np.arange(n)
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    targets = np.stack(moves, axis=1).astype(np.int32 if n < 2**31 else np.int64)
    starts = np.arange(0, targets.size + 1, len(moves), dtype=targets.dtype)
    ones = np.ones(targets.size, dtype=np.int8)
    graph = csr_array((ones, targets.ravel(), starts), shape=(n, n))
    # moves of a finite group return: strong components are the orbits, and need no transpose
    _, labels = connected_components(graph, directed=True, connection="strong")
    return _by_first_appearance(labels)


def _by_first_appearance(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    count = int(labels.max(initial=-1)) + 1
    first = np.full(count, len(labels), dtype=np.int64)
    # written from behind, so that the first appearance is written last
    first[labels[::-1]] = np.arange(len(labels) - 1, -1, -1)
    rank = np.empty(count, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(count)
    renamed: Int[np.ndarray, " n"] = rank[labels]
    return renamed


def _signed_orbits(
    moves: Sequence[tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]], n: int
) -> Orbits:
    """Orbits of (index, sign): an index in one orbit with its own negative carries nothing."""
    doubled = [
        np.concatenate(
            [np.where(signs > 0, indices, indices + n), np.where(signs > 0, indices + n, indices)]
        )
        for indices, signs in moves
    ]
    cover = _components(doubled, 2 * n)
    positive, negative = cover[:n], cover[n:]
    orbit = np.minimum(positive, negative)
    vanishing = positive == negative
    # the orbit that is named first has its first index in it with the sign +
    signs = np.where(positive == orbit, 1, -1).astype(np.int8)
    kept, labels = np.unique(orbit[~vanishing], return_inverse=True)
    result = np.full(n, -1, dtype=np.int64)
    result[~vanishing] = labels
    return Orbits(_compact(result), signs, len(kept))


def _compact(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The labels in as few bytes as they need."""
    return labels.astype(np.int32 if labels.max(initial=0) < 2**31 else np.int64)
