"""Characters of functors as polynomials in power sums."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from math import factorial
from typing import Any

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.groups import PointGroup
from intertwine.reps import Alt, Conj, Det, Indexed, Schur, Sym, V
from intertwine.reps.finite_characters import finite_rank
from intertwine.reps.functors.functor import Functor
from intertwine.reps.functors.power_sums import in_power_sums, partitions, symmetric_group_character
from intertwine.reps.generator_images import images


def centraliser(cycles: tuple[int, ...]) -> int:
    counts = {m: cycles.count(m) for m in cycles}
    return reduce(lambda z, item: z * item[0] ** item[1] * factorial(item[1]), counts.items(), 1)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_rows_of_the_character_table_are_orthonormal(k: int) -> None:
    shapes = list(partitions(k))
    for one in shapes:
        for other in shapes:
            product = sum(
                Fraction(
                    symmetric_group_character(one, c) * symmetric_group_character(other, c),
                    centraliser(c),
                )
                for c in shapes
            )
            assert product == (one == other)


def test_the_characters_of_the_permutations_of_three_and_four() -> None:
    table = [[symmetric_group_character(s, c) for c in [(1, 1, 1), (2, 1), (3,)]] for s in
             [(3,), (2, 1), (1, 1, 1)]]  # fmt: skip
    assert table == [[1, 1, 1], [2, 0, -1], [1, -1, 1]]
    assert symmetric_group_character((2, 2), (2, 2)) == 2
    assert symmetric_group_character((2, 2), (4,)) == 0


REPS: dict[str, Any] = {
    "Sym": Sym(3, V), "Alt": Alt(2, V), "Schur": Schur([2, 1], V), "hook": Schur([3, 1], V),
    "elastic": Indexed(V, "ijkl=jikl=klij"), "signed": Indexed(V, "ijk=-jik"), "Det": Det(V),
}  # fmt: skip


@laws
@given(st.sampled_from(list(REPS)), st.integers(0, 1000))
def test_the_trace_of_a_matrix_is_the_polynomial(name: str, seed: int) -> None:
    rep = REPS[name]
    matrix = np.random.default_rng(seed).standard_normal((3, 3))
    sums = in_power_sums(rep, 3)
    assert sums is not None
    traces = {m: np.trace(np.linalg.matrix_power(matrix, m)) for m in range(1, 5)}
    total = sum(float(c) * np.prod([traces[m] for m in cycles]) for cycles, c in sums.items())
    assert total == pytest.approx(np.trace(rep.of_matrix(matrix)), abs=1e-8)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", REPS)
@pytest.mark.parametrize("symbol", ["-3m", "m-3m", "I"])
def test_finite_ranks_agree_with_the_matrices(name: str, symbol: str) -> None:
    group = PointGroup(symbol)
    rep = REPS[name](group)
    basis = rep.equivariant_basis(store=False)
    assert finite_rank([rep]) == basis.shape[1]
    assert finite_rank([rep, rep.T]) == (rep >> rep).equivariant_basis(store=False).shape[1]


def test_other_functors_have_no_polynomial() -> None:
    conjugate, large = Conj(V), Sym(40, V)
    assert isinstance(conjugate, Functor)
    assert isinstance(large, Functor)
    assert in_power_sums(conjugate, 2) is None
    assert in_power_sums(large, 3) is None
    group = PointGroup("4")
    assert finite_rank([large(group)]) == large(group).equivariant_basis(store=False).shape[1]
    assert images(large(group))
