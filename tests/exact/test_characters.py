"""Ranks from character theory agree with the conformance file and the solver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.support import CASES
from intertwine.errors import NotConcrete
from intertwine.exact import character_rank
from intertwine.groups import SL, SO, SU, C, Group, O, SO13p, Sp, U, parse_group
from intertwine.reps import Alt, Det, Indexed, Schur, Sym, T, V, parse


@pytest.mark.slow
def test_the_conformance_file() -> None:
    found = {case: character_rank(case.build()) for case in CASES}
    assert {case: rank for case, rank in found.items() if rank not in (case.rank, None)} == {}
    assert sum(rank is not None for rank in found.values()) >= 0.9 * len(CASES)


@pytest.mark.parametrize(
    ("name", "p", "q", "rank"),
    [
        ("SO(3)", 14, 0, 30537),
        ("O(7)", 6, 0, 15),
        ("SO13p()", 4, 4, 196),
        ("SU(3)", 3, 0, 1),
        ("SL(2)", 3, 1, 2),
        ("S(20)", 4, 0, 15),
        ("Sp(2)", 4, 4, 84),
    ],
)
def test_ranks_known_by_heart(name: str, p: int, q: int, rank: int) -> None:
    assert character_rank(T(p, q)(parse_group(name))) == rank


@pytest.mark.parametrize(
    "name", ["SO(2)", "O(2)", "SO(4)", "SL(3)", "GL(2)", "SU(2)", "U(2)", "Sp(1)", "D(5)", "Cube()"]
)
@pytest.mark.parametrize("powers", [(1, 1), (3, 0), (2, 2), (4, 1)])
def test_they_are_those_of_the_solver(name: str, powers: tuple[int, int]) -> None:
    rep = T(*powers)(parse_group(name))
    assert character_rank(rep) == rep.equivariant_basis(store=False).rank


def test_sums_and_several_groups() -> None:
    rep = parse("2V(Z(3))*V(S(4)) + V(O(3))**2 + 5")
    assert character_rank(rep) == rep.equivariant_basis(store=False).rank


def test_unrecognised_groups_have_no_rank() -> None:
    boost = Group(lie_algebra=[[[1.0, 2.0], [0.0, -1.0]]])
    assert character_rank(T(2)(boost)) is None
    infinite = Group(discrete_generators=[[[1.0, 1.0], [0.0, 1.0]]])
    assert character_rank(T(2)(infinite)) is None
    assert character_rank(T(60)(SO(2))) is None


@pytest.mark.parametrize(
    "generator",
    [[[0.5]], [[1.0, 1e-7], [0.0, 1.0]], C(10**8).discrete_generators[0]],
    ids=["scaling", "shear", "small turn"],
)
def test_groups_that_look_finite_after_rounding(generator: np.ndarray) -> None:
    assert character_rank(T(1, 1)(Group(discrete_generators=[generator]))) is None


@pytest.mark.parametrize("power", [1, 2, 10, 40])
@pytest.mark.parametrize(
    "generators",
    [
        [np.diag([2.0, 0.5])],
        [2.0 * np.eye(2)],
        [1e100 * np.eye(2)],
        [[[1.0, 1.0], [0.0, 1.0]]],
        [[[0.0, -1.0], [1.0, 0.0]], [[0.0, -1.0], [1.0, 1.0]]],
    ],
    ids=["squeeze", "double", "1e100", "shear", "SL(2,Z)"],
)
def test_infinite_discrete_groups_have_no_mean(generators: list[Any], power: int) -> None:
    assert character_rank(T(power, power)(Group(discrete_generators=generators))) is None


def test_large_ranks_are_exact() -> None:
    """Rank of V^40 over the two signs of nine dimensions: 9⁴⁰ has 39 digits."""
    assert character_rank((V**40)(Group(discrete_generators=[-np.eye(9)]))) == 9**40


def test_groups_whose_matrices_would_not_fit() -> None:
    assert character_rank(T(2)(Group(d=10**9))) == 10**18
    shift = Group(discrete_generators=[np.roll(np.arange(300_000), 2)])
    assert character_rank(V(shift)) is None


def test_a_rep_without_its_group() -> None:
    with pytest.raises(NotConcrete):
        character_rank(V)


FUNCTORS = [
    Sym(2, V), Sym(4, V), Alt(2, V), Schur([2, 1], V) >> V, Schur([2, 2], V),
    Indexed(V, "ijkl=-jikl=klij"), Sym(2, Alt(2, V) + 1), Det(V) * Alt(2, V), Sym(2, Sym(2, V)),
    Sym(2, V) >> Sym(2, V), Sym(2, V.T * V), Sym(3, V) >> Sym(3, V) + V,
]  # fmt: skip


@pytest.mark.parametrize("group", [SO(3), O(3), SU(2), U(2), SL(2), Sp(1), SO13p()], ids=repr)
@pytest.mark.sampled(3)
def test_functors_are_counted_by_power_sums(group: Group) -> None:
    for rep in FUNCTORS:
        whole = rep(group)
        if whole.size() < 120:
            rank = whole.equivariant_basis(store=False).shape[1]
            assert character_rank(whole) == rank, whole


def test_large_functors_are_counted_without_their_matrices() -> None:
    # plethysms of binary forms: a sextic has one invariant of degree 2
    assert character_rank(Sym(2, Sym(6, V(SL(2))))) == 1
    assert character_rank(Sym(12, V(SO(30)))) == 1
    assert character_rank(Sym(20, V(SO(3)))) is None
    assert character_rank(Sym(2, V)(Group(lie_algebra=[np.diag([1.0, -2.0])], d=2))) is None
