"""The method `krylov` on wide blocks, which are projected by L = CᴴC as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.oracle import projector_distance
from intertwine.arrays import Array
from intertwine.groups import SO, Group
from intertwine.invariants import by_krylov, solve
from intertwine.invariants.backends import get_backend
from intertwine.invariants.by_krylov import FIRST_BLOCK, _Projection
from intertwine.invariants.constraints import Constraints, build_constraints
from intertwine.invariants.problem import Problem
from intertwine.invariants.tolerances import DEFAULT
from intertwine.reps import Rep

COPIES = 40


class Turned(Rep):
    """Copies of V ⊗ V in a random orthogonal frame."""

    def __init__(self) -> None:
        n = 9 * COPIES
        self.frame = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]

    def rho(self, M: Any) -> Any:
        return self.frame @ np.kron(np.eye(COPIES), np.kron(M, M)) @ self.frame.T


def half_turn() -> Group:
    """The turns of a plane in space, and half a turn around another axis."""
    return Group(lie_algebra=[SO(3).lie_algebra[0]], discrete_generators=[np.diag([-1.0, -1, 1])])


def projection(group: Group) -> _Projection:
    problem, backend = Problem((Turned()(group),), group), get_backend("numpy")
    return _Projection(build_constraints(problem, backend, DEFAULT), backend, DEFAULT)


@pytest.mark.parametrize("group", [SO(3), half_turn()], ids=["SO(3)", "half turn"])
def test_a_wide_block_has_no_products_with_the_generators_but_its_check(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = []
    gradient = by_krylov.gradient

    def counted(constraints: Constraints, x: Array) -> tuple[Array, Array]:
        widths.append(x.shape[1])
        return gradient(constraints, x)

    monkeypatch.setattr(by_krylov, "gradient", counted)
    rep = Turned()(group)
    basis = solve(rep, method="krylov", store=False)
    assert basis.rank > 2 * FIRST_BLOCK
    assert max(widths) < basis.rank / 2  # the first block, and a few vectors that need more
    assert basis.certificate.residual < 1e-13
    assert projector_distance(basis, solve(rep, method="svd", store=False)) < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_a_descent_from_near_the_null_space_ends_before_it_follows_rounding_errors(
    seed: int,
) -> None:
    """The gradient's rounding errors in the null space cannot become smaller. Steps along them are
    long, and made the vectors a hundred times worse.
    """
    project = projection(half_turn())
    values, vectors = np.linalg.eigh(project._square)
    null = vectors[:, values < 1e-8]
    chosen = np.linalg.qr(np.random.default_rng(seed).standard_normal((null.shape[1], 40)))[0]
    near = project.in_one_descent(null @ chosen, lambda fraction: None, is_near=True)
    assert project.exact_columns(near) == 40
    assert np.linalg.norm(near - null @ chosen) < 1e-13
