"""Exact ranks where floating point hides the numbers that were meant: inverses, random rational
entries, and scales that are irrelevant.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb, e, pi, sqrt
from typing import Any

import numpy as np
import pytest
from intertwine.errors import MethodNotApplicable, RoundedGenerators, TooLarge
from intertwine.exact import exact_basis, prove, rank_bound
from intertwine.exact.recognition import as_rational, as_surd, recognise_up_to_scale
from intertwine.groups import SO, SU, Group, Sp, U
from intertwine.reps import Rep, T, V

FIBONACCI = [[13.0, 8.0], [8.0, 5.0]]
SCALES = (pi, e, sqrt(2), 1 / 3, 1e-30, 1e30, e * 1e-12, 1e200, 1e-200)


def _skew(n: int, seed: int, largest: int = 50) -> np.ndarray:
    """A random antisymmetric matrix of rational entries."""
    rng = np.random.default_rng(seed)
    found = np.zeros((n, n))
    for i, j in zip(*np.tril_indices(n, -1), strict=True):
        numerator, denominator = rng.integers(1, largest + 1, 2).tolist()
        found[i, j] = Fraction(numerator, denominator)
    return found - found.T


def _scaled(group: Group, *scales: complex) -> Group:
    """The group with the k-th Lie generator multiplied by the k-th of the scales, in turn."""
    lie = [a * scales[k % len(scales)] for k, a in enumerate(np.asarray(group.lie_algebra))]
    return Group(lie_algebra=lie)


def _assert_rank(rep: Rep, rank: int, has_basis: bool = True) -> None:
    assert rank_bound(rep).bound == rank
    if has_basis:
        assert exact_basis(rep).rank == rank


class TestDuals:
    @pytest.mark.parametrize(
        ("rep", "rank"), [(V.T, 0), (V * V.T, 2), (V.T**2, 2), (V**2 * V.T, 0), (T(2, 2), 6)]
    )
    def test_inverses_that_floating_point_cannot_write(self, rep: Rep, rank: int) -> None:
        """Eigenvalues λ and 1/λ: words with as many of the one as of the other."""
        group = Group(discrete_generators=[FIBONACCI])
        _assert_rank(rep(group), rank)
        basis = rep(group).equivariant_basis(store=False)
        assert prove(rep(group), basis).certificate.is_proven

    def test_large_entries(self) -> None:
        power = np.linalg.matrix_power(np.array([[2.0, 1.0], [1.0, 1.0]]), 12)  # up to 75,025
        _assert_rank(T(1, 1)(Group(discrete_generators=[power])), 2)
        _assert_rank(T(2, 2)(Group(discrete_generators=[power])), 6)

    @pytest.mark.parametrize("seed", range(5))
    def test_rational_matrices(self, seed: int) -> None:
        """Those that commute with a matrix of different eigenvalues, and with nothing more."""
        numbers = np.random.default_rng(seed).integers(1, 10, (2, 3, 3)).tolist()
        entries = [
            [float(Fraction(a, b)) for a, b in zip(*rows, strict=True)]
            for rows in zip(*numbers, strict=True)
        ]
        _assert_rank(T(1, 1)(Group(discrete_generators=[entries])), 3)
        _assert_rank(V.T(Group(discrete_generators=[entries])), 0)

    @pytest.mark.slow
    def test_square_roots(self) -> None:
        group = Group(discrete_generators=[[[1 + sqrt(2), 1.0], [1.0, 1.0]]])
        _assert_rank(T(1, 1)(group), 2)
        _assert_rank(T(0, 2)(group), 0)

    @pytest.mark.slow
    def test_the_dual_of_a_user_defined_rep(self) -> None:
        class Twice(Rep):
            def __init__(self, G: Group | None = None) -> None:
                self.G = G

            def __call__(self, G: Group) -> Twice:
                return Twice(G)

            def rho(self, M: Any) -> Any:
                zero = 0 * M
                return np.block([[M, zero], [zero, M]])

        group = Group(discrete_generators=[FIBONACCI])
        _assert_rank(Twice(group) * Twice(group).T, 8)
        _assert_rank(Twice(group).T * V(group), 4)


class TestRationalLieGenerators:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("n", [4, 5, 6, 8])
    @pytest.mark.sampled(4)
    def test_one_antisymmetric_generator(self, n: int, seed: int) -> None:
        """A generic torus element of SO(n): the pairs of weights with sum zero."""
        group = Group(lie_algebra=[_skew(n, seed)])
        _assert_rank(T(2)(group), n, has_basis=n <= 5)

    @pytest.mark.parametrize("seed", [0])
    def test_higher_powers(self, seed: int) -> None:
        group = Group(lie_algebra=[_skew(6, seed)])
        _assert_rank(T(3)(group), 0, has_basis=False)
        one_plane, two_planes = 3 * comb(4, 2), comb(3, 2) * 24
        assert rank_bound(T(4)(group)).bound == one_plane + two_planes

    def test_two_generate_the_rotations(self) -> None:
        _assert_rank(T(2)(Group(lie_algebra=[_skew(6, 1), _skew(6, 2)])), 1)
        assert rank_bound(T(4)(Group(lie_algebra=[_skew(4, 1), _skew(4, 2)]))).bound == 4

    def test_where_no_torus_splits_too_many_unknowns_are_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("intertwine.exact.modular._MOST_TORI", 2)
        with pytest.raises(TooLarge, match="unknowns"):
            rank_bound(T(5)(Group(lie_algebra=[_skew(6, 0)])))


class TestScalesOfLieGenerators:
    @pytest.mark.parametrize("scale", SCALES)
    def test_of_all_generators_alike(self, scale: float) -> None:
        _assert_rank(T(3)(_scaled(SO(3), scale)), 1)
        assert rank_bound(T(4)(_scaled(SO(3), scale))).bound == 3
        assert rank_bound(T(2, 2)(_scaled(Sp(1), scale))).bound == 2

    def test_of_every_generator_its_own(self) -> None:
        _assert_rank(T(3)(_scaled(SO(3), pi, e * 1e-30, 1e30)), 1)
        assert rank_bound(T(4)(_scaled(SO(4), pi, e, 1e-30, sqrt(3), 7.0))).bound == 4

    @pytest.mark.parametrize("scale", [pi, sqrt(2), 1e-30, 1j * pi, 1e30 * (1 + 2j)])
    def test_complex_ones(self, scale: complex) -> None:
        assert rank_bound(T(2, 2)(_scaled(U(2), scale))).bound == 2
        assert rank_bound((V**3)(_scaled(SU(3), scale))).bound == 1

    @pytest.mark.parametrize("scale", [1.0, pi, sqrt(2), 1e-30])
    def test_phases(self, scale: float) -> None:
        """Charges 1, 2, −3: orders of the three, and equal pairs."""
        group = Group(lie_algebra=[1j * scale * np.diag([1.0, 2.0, -3.0])])
        _assert_rank((V**3)(group), 6)
        _assert_rank(T(1, 1)(group), 3)
        rotation = Group(lie_algebra=[scale * np.array([[0.0, -1.0], [1.0, 0.0]])])
        _assert_rank(T(4)(rotation), comb(4, 2))

    @pytest.mark.parametrize("factor", [pi, sqrt(2), sqrt(5) + 1])
    def test_times_random_rational_matrices(self, factor: float) -> None:
        group = Group(lie_algebra=[factor * _skew(5, 3), factor**2 * _skew(5, 4)])
        _assert_rank(T(2)(group), 1)
        _assert_rank(T(2)(Group(lie_algebra=[factor * _skew(6, 3)])), 6)

    def test_duals_and_products(self) -> None:
        triangular = [pi * np.diag([1.0, -1.0]), e * np.array([[0.0, 1.0], [0.0, 0.0]])]
        group = Group(lie_algebra=triangular)  # invariants of a Borel subgroup are those of SL(2)
        _assert_rank(T(1, 1)(group), 1)
        _assert_rank(T(2, 2)(group), 2)
        _assert_rank(V.T(group), 0)

    def test_what_has_no_common_scale_is_refused(self) -> None:
        turns = np.kron(np.diag([pi, e]), [[0.0, -1.0], [1.0, 0.0]])
        with pytest.raises(MethodNotApplicable, match="entry"):
            rank_bound(T(2)(Group(lie_algebra=[turns])))


class TestScalesOfDiscreteGenerators:
    @pytest.mark.parametrize("scale", [pi, 1e100, 1e-100, 1e-30, e * 1e30])
    def test_as_many_factors_as_duals(self, scale: float) -> None:
        group = Group(discrete_generators=[scale * np.eye(2)])
        _assert_rank(T(1, 1)(group), 4)
        _assert_rank(T(2, 2)(group), 16)
        turn = Group(discrete_generators=[scale * np.array([[0.0, -1.0], [1.0, 1.0]])])
        _assert_rank(T(1, 1)(turn), 2)
        _assert_rank(T(2, 2)(turn), 6)

    @pytest.mark.parametrize("scale", [1e100, 1e-100, 1e-30, 2.5, sqrt(3)])
    def test_a_scale_that_counts(self, scale: float) -> None:
        group = Group(discrete_generators=[scale * np.eye(2)])
        _assert_rank((V**2)(group), 0)
        _assert_rank((V**2 * V.T)(group), 0)

    def test_ratios_are_kept_by_large_scales(self) -> None:
        """Powers of three: 3⁰, 3⁻¹, 3⁻², and products ab = cd of two such with two."""
        for scale in (1.0, 1e30, pi * 1e20):
            group = Group(discrete_generators=[scale * np.diag([1, 1 / 3, 1 / 9])])
            _assert_rank(T(2, 2)(group), 1 + 4 + 9 + 4 + 1)

    def test_a_relevant_unrecognised_scale_is_refused(self) -> None:
        with pytest.raises(MethodNotApplicable, match="entry"):
            rank_bound((V**2)(Group(discrete_generators=[pi * np.eye(2)])))


class TestRecognition:
    @pytest.mark.parametrize(
        ("value", "meant"),
        [
            (0.1234, Fraction(617, 5000)),
            (1e-30, Fraction(1, 10**30)),
            (1e100, Fraction(10**100)),
            (2 / 7919, Fraction(2, 7919)),
            (75025.0, Fraction(75025)),
            (1000 + 1 / 3, Fraction(3001, 3)),
            (-1.2e-16, Fraction(-12, 10**17)),
            (1.2246467991473532e-16, Fraction(0)),  # sin π
            (pi * 1e15, None),  # an integer, as all numbers of this size are nearly
            (pi * 1e20, None),
            (1e30 / 3, None),
            (float("nan"), None),
            (float("inf"), None),
            (pi, None),
        ],
    )
    def test_rationals(self, value: float, meant: Fraction | None) -> None:
        assert as_rational(value) == meant

    def test_multiples_of_roots(self) -> None:
        found = as_surd(41 / 37 * sqrt(6))
        assert found is not None
        assert (found.a, found.b, found.m) == (Fraction(0), Fraction(41, 37), 6)

    def test_few_numbers_are_read_by_chance(self) -> None:
        sizes = 10.0 ** np.arange(-3, 12)
        values = np.random.default_rng(0).uniform(-1, 1, (200, 15)) * sizes
        assert all(as_rational(value) is None for value in values.ravel().tolist())

    def test_matrices_of_zeros_have_no_scale(self) -> None:
        (rows,) = recognise_up_to_scale([np.zeros((2, 2))])
        assert all(not entry.real.a and not entry.roots for row in rows for entry in row)


def test_rounded_generators_are_refused() -> None:
    turn = Group(discrete_generators=[[[-0.5, -0.866025], [0.866025, -0.5]]])
    for find in (rank_bound, exact_basis):
        with pytest.raises(RoundedGenerators):
            find(T(2)(turn))
