"""The method `orbits`: for generators that permute coordinates, with or without signs.

A vector is invariant exactly when it is constant, up to the signs, on every orbit of index
tuples; the orbits are connected components of a graph, found without floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from intertwine.bases import EqualityPatterns, Orbits
from intertwine.bases.patterns import MOST_SLOTS, pattern_labels
from intertwine.errors import MethodNotApplicable
from intertwine.groups.full_permutations import full_permutations_of
from intertwine.invariants.problem import Problem
from intertwine.invariants.progress import Progress, Report
from intertwine.invariants.tuple_orbits import TooManyOrbits, signed_labels
from intertwine.memory import require_memory
from intertwine.operators import Permutation, as_signed_permutation
from intertwine.operators.graph_components import (
    FEW_EDGES,
    by_first_appearance,
    components_of,
)

_FEW = 4
"""Up to this many generators are all used at once."""
_LARGE = 10**5
"""From this many tuples on, orbits are found by stabilisers."""
_TUPLE_BYTES = 24
"""The peak memory for each tuple with stabilisers."""
_PATTERN_BYTES = 2**20
"""The memory for patterns of equal indices, for any number of tuples."""
_TUPLES_A_CALL = 1000
"""A graph of this many tuples takes as long as one stabiliser."""


def index_orbits(problem: Problem, report: Report) -> Orbits | EqualityPatterns:
    """Return the exact basis from the orbits of index tuples.

    For large tensors of a group of all permutations, orbits are stored as patterns of equal
    indices. Raises `MethodNotApplicable` if a generator is not a signed permutation in some slot.
    """
    if problem.permutations is None:
        raise MethodNotApplicable(
            f"the method 'orbits' needs generators that permute coordinates (up to signs); those "
            f"of {problem.group!r} do not, on this rep. Use 'svd', 'krylov' or 'auto'"
        )
    n = problem.size
    require_memory(bytes_needed(problem), f"orbits for {n:,} dimensions")
    report(Progress("orbits", 0.0))
    if by_patterns(problem):
        return EqualityPatterns(problem.sizes[0], len(problem.sizes))
    if n >= _LARGE:
        if _are_patterns(problem):
            labels = pattern_labels(problem.sizes[0], len(problem.sizes))
            return Orbits(labels, None, int(labels.max()) + 1)
        try:
            return _by_stabilisers(problem)
        except TooManyOrbits:
            require_memory(_bytes_of_graph(problem), f"a graph of {n:,} dimensions")
    if not _signed(problem):
        labels = _orbits_of(problem.permutations, n, lambda slots: joint_permutation(slots)[0])
        return Orbits(_compact(labels), None, int(labels.max(initial=-1)) + 1)
    return _signed_orbits(problem.permutations, n)


def _by_stabilisers(problem: Problem) -> Orbits:
    assert problem.permutations is not None
    most_calls = problem.size // _TUPLES_A_CALL
    labels = signed_labels(problem.permutations, problem.sizes, most_calls).ravel()
    rank = int(labels.max(initial=0))
    if _signed(problem):
        signs = np.where(labels < 0, -1, 1).astype(np.int8)
        return Orbits(_compact(np.abs(labels) - 1), signs, rank)
    return Orbits(_compact(labels - 1), None, rank)


def by_patterns(problem: Problem) -> bool:
    """Return whether orbits are stored as patterns: there are many tuples, and few patterns."""
    return problem.size >= _LARGE and len(problem.sizes) <= MOST_SLOTS and _are_patterns(problem)


def _are_patterns(problem: Problem) -> bool:
    """Return whether the orbits are the patterns of equal indices: those of all permutations of the
    indices, which act alike on every slot.
    """
    group, length = problem.group, len(problem.sizes)
    full = None if group is None else full_permutations_of(group)
    if group is None or full is None or full.signed:
        return False
    if full.longest < min(length, group.d):  # even permutations
        return False
    given = [as_signed_permutation(h) for h in group.group_generators]
    return all(
        move is not None and all(np.array_equal(slot.indices, move.indices) for slot in slots)
        for move, slots in zip(given, problem.permutations or (), strict=True)
    )


def bytes_needed(problem: Problem) -> int:
    """Estimate the bytes that the method needs.

    From `_LARGE` dimensions on, these are the bytes with stabilisers. Where the graph is faster, it
    needs more.
    """
    if problem.size < _LARGE:
        return _bytes_of_graph(problem)
    if by_patterns(problem):
        return _PATTERN_BYTES
    return problem.size * (_TUPLE_BYTES if problem.size < 2**31 else 2 * _TUPLE_BYTES)


def _bytes_of_graph(problem: Problem) -> int:
    nodes = 2 * problem.size if _signed(problem) else problem.size
    return nodes * (20 * max(1, problem.discrete_count) + 40)


def _signed(problem: Problem) -> bool:
    slots = (slot for slots in problem.permutations or () for slot in slots)
    return any(slot.signs is not None for slot in slots)


def joint_permutation(
    slots: Sequence[Permutation],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return the signed permutation of index tuples given by permutations of the slots: the source
    of each index, and its sign.
    """
    indices = np.zeros(1, dtype=np.int64)
    signs = np.ones(1, dtype=np.int8)
    for slot in slots:
        size = slot.shape[0]
        indices = (indices[:, None] * size + slot.indices).ravel()
        signs = (signs[:, None] * _signs(slot)).ravel()
    return indices, signs


def _orbits_of(
    generators: Sequence[Sequence[Permutation]],
    n: int,
    move_of: Callable[[Sequence[Permutation]], Int[np.ndarray, " n"]],
) -> Int[np.ndarray, " n"]:
    """Return the orbit of each of n points, numbered by first appearance.

    With more than `_FEW` generators (S(200) has 199), the first and the product of all are tried
    first. If every generator preserves their components, these are the orbits; else the generators
    that do not are added.
    """
    if len(generators) <= _FEW:
        return _components([move_of(slots) for slots in generators], n)
    chosen = [generators[0], _product(generators)]
    while True:
        labels = _components([move_of(slots) for slots in chosen], n)
        others = [g for g in generators if not np.array_equal(labels[move_of(g)], labels)]
        if not others:
            return labels
        chosen += others


def _product(generators: Sequence[Sequence[Permutation]]) -> list[Permutation]:
    """Return the product of all generators, slot by slot."""
    found = []
    for slot in zip(*generators, strict=True):
        indices, signs = slot[0].indices, _signs(slot[0])
        for move in slot[1:]:
            indices, signs = indices[move.indices], signs[move.indices] * _signs(move)
        found.append(Permutation(indices, signs))
    return found


def _signs(move: Permutation) -> Int[np.ndarray, " n"]:
    return np.ones(len(move.indices), dtype=np.int8) if move.signs is None else move.signs


def _components(moves: Sequence[Int[np.ndarray, " n"]], n: int) -> Int[np.ndarray, " n"]:
    """Return the orbit of each index, numbered by first appearance."""
    if not moves:
        return np.arange(n)
    if n * len(moves) <= FEW_EDGES:
        return components_of(np.tile(np.arange(n), len(moves)), np.concatenate(moves), n)
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    targets = np.stack(moves, axis=1).astype(np.int32 if n < 2**31 else np.int64)
    starts = np.arange(0, targets.size + 1, len(moves), dtype=targets.dtype)
    ones = np.ones(targets.size, dtype=np.int8)
    graph = csr_array((ones, targets.ravel(), starts), shape=(n, n))
    # in a finite group strong components are the orbits; they need no transpose
    _, labels = connected_components(graph, directed=True, connection="strong")
    return by_first_appearance(labels)


def _signed_orbits(generators: Sequence[Sequence[Permutation]], n: int) -> Orbits:
    """Return the signed orbits: invariants vanish on an index in one orbit with its negative."""

    def doubled(slots: Sequence[Permutation]) -> Int[np.ndarray, " m"]:
        indices, signs = joint_permutation(slots)
        ahead, back = np.where(signs > 0, 0, n), np.where(signs > 0, n, 0)
        return np.concatenate([indices + ahead, indices + back])

    cover = _orbits_of(generators, 2 * n, doubled)
    positive, negative = cover[:n], cover[n:]
    orbit = np.minimum(positive, negative)
    vanishing = positive == negative
    # each orbit's first index gets the sign +
    signs = np.where(positive == orbit, 1, -1).astype(np.int8)
    kept, labels = np.unique(orbit[~vanishing], return_inverse=True)
    result = np.full(n, -1, dtype=np.int64)
    result[~vanishing] = labels
    return Orbits(_compact(result), signs, len(kept))


def _compact(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return the labels in the smallest integer type."""
    return labels.astype(np.int32 if labels.max(initial=0) < 2**31 else np.int64, copy=False)
