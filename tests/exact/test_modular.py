"""Bounds modulo a prime: never below the rank, and equal to it wherever this was tried."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.support import CASES, Case
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import MethodNotApplicable, NotConcrete, TooLarge
from intertwine.exact import rank_bound
from intertwine.exact.prime_field import eigenbasis, inverse, multiply, nullspace, rank, residues
from intertwine.exact.recognition import Entry, Surd
from intertwine.groups import SO, Group, O, S, Z, parse_group
from intertwine.reps import T, V, parse

PRIME = 2097143
SMALL = [c for c in CASES if c.size <= 300 and "5)" not in (c.group or "")]


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.sampled(6)
def test_it_is_the_rank_of_every_small_conformance_case(case: Case) -> None:
    rep = case.build()
    assert rank_bound(rep).bound == case.rank


@pytest.mark.parametrize("seed", range(5))
def test_whatever_rows_are_combined_it_is_a_bound(seed: int) -> None:
    assert rank_bound(T(4)(SO(3)), seed=seed).bound >= 3


def test_weights_leave_few_unknowns() -> None:
    found = rank_bound(T(6)(SO(3)))
    assert (found.bound, int(found), found.unknowns) == (15, 15, 141)


def test_sums_and_several_groups() -> None:
    rep = parse("2V(Z(3))*V(S(4)) + V(O(3))**2 + 5")
    assert rank_bound(rep).bound == rep.equivariant_basis(store=False).rank


def test_generators_of_any_scale_and_order() -> None:
    algebra = SO(3).lie_algebra[::-1] * 7
    assert rank_bound(T(4)(Group(lie_algebra=algebra))).bound == 3


class TestSquareRoots:
    @pytest.mark.parametrize("axis", range(3))
    def test_of_two_three_and_six_in_one_generator(self, axis: int) -> None:
        """A reflection in a frame with entries 1/√2, 1/√3, 1/√6."""
        frame = np.sqrt(np.array([[2, 2, 2], [3, 3, 0], [1, 1, 4]]) / 6)
        frame *= [[1, 1, 1], [1, -1, 1], [1, 1, -1]]
        group = Group(discrete_generators=[frame.T @ np.diag(1 - 2 * np.eye(3)[axis]) @ frame])
        for rep in (V(group), T(2)(group), T(3)(group)):
            assert rank_bound(rep).bound == rep.equivariant_basis(store=False).rank

    @pytest.mark.parametrize("p", [2097143, 1999, 2003, 2011, 23, 47])
    def test_they_multiply_as_the_numbers_do(self, p: int) -> None:
        surds = [[Entry(Surd(Fraction(0), Fraction(1), m), Surd(Fraction(0))) for m in (2, 3, 6)]]
        try:
            a, b, c = residues(surds, p)[0]
        except ValueError:  # not every prime has them
            return
        assert (a * b - c) % p == 0


class TestWhatIsRefused:
    def test_unrecognised_entries_are_refused(self) -> None:
        turn = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
        with pytest.raises(MethodNotApplicable, match="rational"):
            rank_bound(T(2)(Group(discrete_generators=[turn])))

    def test_what_is_too_large(self) -> None:
        with pytest.raises(TooLarge, match="unknowns"):
            rank_bound(T(7)(S(4)))

    def test_a_rep_without_its_group(self) -> None:
        with pytest.raises(NotConcrete):
            rank_bound(V)


class TestLinearAlgebraModuloAPrime:
    @given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 10), st.integers(0, 2**31))
    def test_rank_and_null_space(self, m: int, n: int, k: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        a = multiply(rng.integers(0, PRIME, (m, k)), rng.integers(0, PRIME, (k, n)), PRIME)
        found, null = rank(a, PRIME), nullspace(a, PRIME)
        assert found + null.shape[1] == n
        assert found <= min(m, n, k)
        assert not multiply(a, null, PRIME).any()

    @pytest.mark.parametrize("size", [50, 97, 200, 300])
    def test_blocks_of_columns_make_no_difference(self, size: int) -> None:
        rng = np.random.default_rng(size)
        a = rng.integers(0, PRIME, (size + 3, size - 7))
        whole = np.concatenate([a, a[:, :7] * 5 % PRIME], axis=1)
        assert rank(whole, PRIME) == size - 7

    def test_an_inverse(self) -> None:
        a = np.random.default_rng(0).integers(0, PRIME, (6, 6))
        assert np.array_equal(multiply(a, inverse(a, PRIME), PRIME), np.eye(6))
        with pytest.raises(ZeroDivisionError):
            inverse(np.zeros((2, 2), dtype=np.int64), PRIME)

    def test_eigenvectors(self) -> None:
        values, vectors = eigenbasis(np.array([[2, 1], [1, 2]]), 101) or (None, None)
        assert values is not None
        assert vectors is not None
        assert sorted(values.tolist()) == [1, 3]
        assert eigenbasis(np.array([[0, 1], [0, 0]]), 101) is None  # defective
        assert eigenbasis(np.array([[0, -1], [1, 0]]), 103) is None  # no root of −1 there


def test_complex_and_algebraic_generators() -> None:
    assert rank_bound((V * V.T)(parse_group("U(2)"))).bound == 1
    assert rank_bound(T(4)(parse_group("D(6)"))).bound == 3
    assert rank_bound(T(2)(O(2))).bound == 1
    assert rank_bound(T(3)(Z(3))).bound == 9
