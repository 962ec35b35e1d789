"""Checking a result against every generator as it was given."""

from __future__ import annotations

import math
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.bases import Dense, Orbits, Storage
from intertwine.errors import SolveError
from intertwine.groups.lie_span import spectral_norm
from intertwine.invariants.by_orbits import _combine
from intertwine.invariants.constraints import apply_discrete, apply_lie
from intertwine.invariants.problem import Problem
from intertwine.invariants.tolerances import Tolerances

_BLOCK_BYTES = 2**28


def residuals(problem: Problem, storage: Storage) -> tuple[float, ...]:
    """For each generator as given, Lie ones first, a bound on the spectral norm of its CQ."""
    if isinstance(storage, Orbits):
        return _residuals_of_orbits(problem, storage)
    assert isinstance(storage, Dense)
    found = []
    for k in range(problem.lie_count):
        slots = problem.unit_lie(k)
        square = sum(
            float(np.sum(np.abs(apply_lie(slots, problem.sizes, block)) ** 2))
            for block in _blocks(storage.matrix)
        )
        found.append(math.sqrt(square))
    for k in range(problem.discrete_count):
        slots = problem.discrete(k)
        norm = max(1.0, prod(map(spectral_norm, slots)))
        square = sum(
            float(np.sum(np.abs(apply_discrete(slots, problem.sizes, block) - block) ** 2))
            for block in _blocks(storage.matrix)
        )
        found.append(math.sqrt(square) / norm)
    return tuple(found)


def orthonormality(storage: Storage) -> float:
    """A bound on the spectral norm of QᴴQ − 1."""
    if isinstance(storage, Orbits):
        sizes = np.bincount(storage.labels[storage.labels >= 0], minlength=storage.shape[1])
        return float(np.abs(sizes * (1 / np.sqrt(sizes)) ** 2 - 1).max(initial=0.0))
    assert isinstance(storage, Dense)
    q = storage.matrix
    return float(np.linalg.norm(q.conj().T @ q - np.eye(q.shape[1])))


def require_proven(residual: float, orthogonal: float, what: str, tolerances: Tolerances) -> None:
    """Raise `SolveError` for a basis that is not one; NaN is not."""
    if not max(residual, orthogonal) <= tolerances.residual:
        raise SolveError(
            f"the basis found for {what} fails its check: residual {residual:.2g}, orthonormality "
            f"{orthogonal:.2g}, at most {tolerances.residual:.0e} allowed. Please report this"
        )


def _residuals_of_orbits(problem: Problem, storage: Orbits) -> tuple[float, ...]:
    """Exact: each generator keeps labels, and signs up to the orbit's own (0), or it does not."""
    assert problem.permutations is not None
    signs = np.ones(storage.shape[0], dtype=np.int8) if storage.signs is None else storage.signs
    found = [0.0] * problem.lie_count
    for slots in problem.permutations:
        indices, moved_signs = _combine(slots)
        kept = storage.labels >= 0
        right = np.array_equal(storage.labels[indices], storage.labels) and np.array_equal(
            (signs[indices] * moved_signs)[kept], signs[kept]
        )
        found.append(0.0 if right else math.inf)
    return tuple(found)


def _blocks(matrix: Inexact[np.ndarray, "n r"]) -> Any:
    """The matrix in blocks of columns of bounded size, none for a matrix without columns."""
    rows, columns = matrix.shape
    width = max(1, _BLOCK_BYTES // max(1, rows * matrix.itemsize))
    return (np.ascontiguousarray(matrix[:, i : i + width]) for i in range(0, columns, width))
