"""The linear equations of the invariants of a rep, as one operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from intertwine.groups import Group
from intertwine.operators import (
    DenseMatrix,
    Difference,
    LinearOperator,
    Stacked,
    as_operator,
    identity_permutation,
)
from intertwine.reps.syntax import Element, Rep, drho_of, groups_of, rho_of


def constraint_matrix_of(rep: Rep) -> LinearOperator:
    """Return the operator C with Cv = 0 exactly for the invariants v, without building its matrix:
    ρ(h) − 1 for each discrete generator and dρ(A) for each Lie generator, group by group.

    Raises `NotConcrete` for a rep without its group. (The solver uses scaled and independent
    generators instead.)
    """
    size, groups = rep.size(), groups_of(rep)
    rows: list[LinearOperator] = []
    for group in groups:
        others = [other for other in groups if other != group]
        for h in group.group_generators:
            element = _element(group, h, {other: identity_permutation(other.d) for other in others})
            rows.append(Difference(as_operator(rho_of(rep, element)), identity_permutation(size)))
        for a in group.lie_generators:
            element = _element(group, a, {other: np.zeros((other.d, other.d)) for other in others})
            rows.append(as_operator(drho_of(rep, element)))
    return Stacked(rows) if rows else DenseMatrix(np.zeros((0, size)))


def _element(group: Group, generator: Any, others: dict[Group, Any]) -> Element:
    return {group: generator, **others} if others else generator
