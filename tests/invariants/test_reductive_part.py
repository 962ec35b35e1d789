"""Invariants of groups that are not reductive, found among those of a reductive subgroup."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.oblique_groups import NOT_REDUCTIVE, conjugate, lie, unit
from helpers.oracle import projector_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.groups import Group, parse_group
from intertwine.invariants.constraints import remaining_constraints
from intertwine.invariants.problem import Problem
from intertwine.invariants.reductive_part import reductive_subgroup
from intertwine.reps import T, V
from intertwine.reps.syntax import Rep
from scipy.stats import ortho_group

ROTATION = unit(3, 0, 1) - unit(3, 1, 0)
SHIFT = np.eye(3) + unit(3, 0, 2)


def _padded(matrix: np.ndarray) -> np.ndarray:
    return np.pad(np.asarray(matrix), ((0, 1), (0, 1)))


def _with_translations(group: Group) -> Group:
    """The affine motions of a matrix group, acting on one dimension more."""
    d = group.d
    return Group(
        lie_algebra=[*map(_padded, lie(group)), *(unit(d + 1, i, d) for i in range(d))],
    )


SE3 = _with_translations(parse_group("SO(3)"))
POINCARE = _with_translations(parse_group("SO13p"))
TRIANGULAR = Group(lie_algebra=[unit(3, i, j) for i in range(3) for j in range(i, 3)])
SHEARED = Group(lie_algebra=[ROTATION], discrete_generators=[SHIFT])
COMPLEX = Group(
    lie_algebra=[1j * unit(3, 0, 0) - 1j * unit(3, 1, 1), unit(3, 0, 2) + 0j, unit(3, 1, 2)]
)
FINITE_AND_SHEARED = Group(discrete_generators=[np.diag([-1.0, 1, 1]), SHIFT, np.eye(3)[[1, 0, 2]]])

GROUPS = {
    "SE(3)": (SE3, [T(5), T(3, 2), T(0, 5)], 3, 0),
    "Poincaré": (POINCARE, [V**4 * V.T, T(2, 3)], 6, 0),
    "Galilei": (NOT_REDUCTIVE["Galilei"], [T(5), T(3, 2)], 1, 0),
    "triangular": (TRIANGULAR, [T(4, 4)], 3, 0),
    "a rotation and a shear": (SHEARED, [T(7), T(4, 3)], 1, 0),
    "over ℂ": (COMPLEX, [T(4, 3)], 1, 0),
    "finite, and a shear": (FINITE_AND_SHEARED, [T(4, 3), T(0, 7)], 0, 2),
}


QUICK = ("SE(3)", "Poincaré", "Galilei")


@pytest.mark.parametrize("name", GROUPS)
def test_the_reductive_subgroup_is_the_part_closed_under_adjoints(name: str) -> None:
    group, _, continuous, discrete = GROUPS[name]
    subgroup = reductive_subgroup(group)
    assert subgroup is not None
    assert len(subgroup.group.lie_generators) == continuous
    assert len(subgroup.group.group_generators) == discrete
    assert len(subgroup.others) == len(group.lie_generators) - continuous


@pytest.mark.parametrize("name", ["Heisenberg", "a shear"])
def test_a_unipotent_group_has_no_reductive_subgroup(name: str) -> None:
    assert reductive_subgroup(NOT_REDUCTIVE[name]) is None


@pytest.mark.parametrize(
    ("name", "rep"),
    [
        pytest.param(
            name, rep, marks=[pytest.mark.slow] * (i > 0 or name not in QUICK), id=f"{name} {rep}"
        )
        for name, (_, reps, _, _) in GROUPS.items()
        for i, rep in enumerate(reps)
    ],
)
def test_the_invariants_are_those_that_krylov_finds_alone(name: str, rep: Rep) -> None:
    concrete = rep(GROUPS[name][0])
    found = concrete.equivariant_basis(store=False)
    alone = concrete.equivariant_basis(store=False, method="krylov")
    assert any("invariants of a reductive subgroup" in note for note in found.certificate.notes)
    assert alone.certificate.notes == ()
    assert found.certificate.gap > 1e9
    assert projector_distance(found, alone) <= 1e-11


def test_a_finite_group_has_no_combinations_of_lie_generators() -> None:
    """The rest of a group of a finite subgroup and a shear is the shear alone."""
    problem = Problem((V(FINITE_AND_SHEARED),) * 2, FINITE_AND_SHEARED)
    assert remaining_constraints(problem, np.zeros((0, 0)), [1]).count == 1


def test_the_certificate_names_the_subgroup() -> None:
    certificate = T(5)(SE3).equivariant_basis(store=False).certificate
    assert certificate.method == "krylov"
    assert certificate.notes[-1] == (
        "it is within the 42 invariants of a reductive subgroup with 3 Lie and 0 discrete "
        "generators"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("p", "rank"), [(6, 25), (7, 50)])
def test_euclidean_motions_have_the_ranks_that_krylov_found(p: int, rank: int) -> None:
    assert T(p)(SE3).equivariant_basis(store=False).rank == rank


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_neither_an_orthogonal_frame_nor_the_basis_of_the_algebra_changes_a_rank(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turned = conjugate(SE3, ortho_group.rvs(4, random_state=rng))
    combinations = ortho_group.rvs(6, random_state=rng) * rng.uniform(0.01, 1, 6)
    mixed = np.tensordot(combinations, lie(turned), (1, 0))
    group = Group(lie_algebra=mixed)
    subgroup = reductive_subgroup(group)
    assert subgroup is not None
    assert len(subgroup.group.lie_generators) == 3
    assert T(5)(group).equivariant_basis(store=False).rank == 6


def test_a_rep_of_the_users_own_is_solved_by_krylov_alone() -> None:
    class Doubled(Rep):
        def __init__(self, G: Group | None = None) -> None:
            self.G = G

        def rho(self, g: np.ndarray) -> np.ndarray:
            return np.kron(np.eye(2), g)

        def __call__(self, G: Group) -> Doubled:
            return Doubled(G)

    rep = (V**4 * Doubled())(SE3)
    certificate = rep.equivariant_basis(store=False).certificate
    assert certificate.rank == 2 * T(5)(SE3).equivariant_basis(store=False).rank
    assert not any("subgroup" in note for note in certificate.notes)
