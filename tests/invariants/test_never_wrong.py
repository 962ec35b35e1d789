"""An answer is right, or says that it is not: inputs for which it once was neither."""

from __future__ import annotations

from contextlib import suppress
from itertools import product

import numpy as np
import pytest
from helpers.finite_groups import elements_of, rank_by_characters, reflections, small_groups
from helpers.oblique_groups import conjugate, random_frame, unit
from intertwine.errors import AmbiguousRank, MethodNotApplicable, SolveError
from intertwine.groups import SO, Group, O, S
from intertwine.invariants import solve
from intertwine.invariants.evidence import confirmed_rank
from intertwine.invariants.problem import problems_of
from intertwine.irreps import decompose
from intertwine.reps import Rep, T, V

METHODS = ("auto", "orbits", "irreps", "krylov", "svd")


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _beside(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found = np.zeros((len(a) + len(b),) * 2)
    found[: len(a), : len(a)], found[len(a) :, len(a) :] = a, b
    return found


def _solve(rep: Rep, method: str = "auto") -> int:
    return solve(rep, method=method, store=False).rank


def _is_right_or_ambiguous(group: Group, rep: Rep, method: str, right: int) -> None:
    with suppress(SolveError, MethodNotApplicable):
        assert _solve(rep(group), method) == right


class TestGroupsByTheirElements:
    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.sampled(6)
    def test_h3_in_any_order_of_its_elements(self, seed: int) -> None:
        elements = small_groups()["H3"]
        order = np.random.default_rng(seed).permutation(120)
        group = Group(discrete_generators=[elements[i] for i in order])
        basis = solve((V**6)(group), store=False)
        assert (basis.rank, basis.certificate.method) == (16, "irreps")

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize("count", [40, 60])
    def test_h3_by_some_of_its_elements(self, count: int) -> None:
        elements = small_groups()["H3"]
        chosen = np.random.default_rng(count).choice(120, count, replace=False)
        group = Group(discrete_generators=[elements[i] for i in chosen])
        assert _solve((V**6)(group)) == 16
        dimensions = sorted(i.size() for i in decompose(T(3)(group), store=False).multiplicities)
        assert dimensions == [3, 3, 4, 5] or sum(dimensions) <= 27
        assert 7 not in dimensions

    @pytest.mark.parametrize("n", [12, pytest.param(16, marks=pytest.mark.slow)])
    def test_many_simple_reflections(self, n: int) -> None:
        group = Group(discrete_generators=reflections(*[0.5] * (n - 1)))
        basis = solve((V**4)(group), store=False)
        assert (basis.rank, basis.certificate.method) == (4, "irreps")

    @pytest.mark.parametrize("case", range(30))
    @pytest.mark.sampled(8)
    def test_random_subsets_in_random_frames(self, case: int) -> None:
        _examine(case)

    @pytest.mark.slow
    @pytest.mark.parametrize("case", range(30, 530))
    def test_hundreds_of_random_subsets_in_random_frames(self, case: int) -> None:
        _examine(case)


def _examine(case: int) -> None:
    """A random set of a small group's elements, in a random frame: right by every method."""
    rng = np.random.default_rng(case)
    name = sorted(small_groups())[case % len(small_groups())]
    elements = small_groups()[name]
    count = int(rng.integers(1, min(len(elements), 40) + 1))
    chosen = [elements[i] for i in rng.choice(len(elements), count, replace=False)]
    generated = elements_of(chosen)
    d = len(chosen[0])
    frame = random_frame(d, [1.0, 3.0, 30.0][int(rng.integers(3))], rng)
    group = conjugate(Group(discrete_generators=chosen), frame)
    p, q = [(2, 0), (3, 0), (2, 2), (4, 0), (5, 0), (6, 0)][int(rng.integers(6))]
    assert _solve(T(p, q)(group)) == rank_by_characters(generated, p, q), (name, count, p, q)


class TestSmallViolations:
    @pytest.mark.parametrize("method", ["auto", "irreps", "krylov", "svd"])
    def test_weights_of_1e_11(self, method: str) -> None:
        group = Group(lie_algebra=[np.diag([1, -1, 1e11, -1e11])], refine=0)
        with pytest.raises(AmbiguousRank):
            _solve(T(4)(group), method)

    @pytest.mark.parametrize("angle", [3e-12, 1e-11, 1e-10, 1e-9])
    @pytest.mark.parametrize("method", ["auto", "irreps", "krylov", "svd"])
    def test_a_rotation_by_little_more_than_rounding(self, method: str, angle: float) -> None:
        group = Group(discrete_generators=[_turn(angle)], refine=0)
        with pytest.raises(AmbiguousRank):
            _solve(T(7)(group), method)

    @pytest.mark.parametrize("angle", [1e-11, 1e-10, 1e-9, 1e-8])
    @pytest.mark.parametrize("method", ["auto", "krylov", "svd"])
    def test_two_reflections_that_are_nearly_one(self, method: str, angle: float) -> None:
        mirrors = [_turn(0.3) @ np.diag([1.0, -1.0]), _turn(0.3 + angle) @ np.diag([1.0, -1.0])]
        group = Group(discrete_generators=mirrors, refine=0)
        with pytest.raises(AmbiguousRank):
            _solve(T(2)(group), method)

    @pytest.mark.parametrize("size", [11, 12])
    @pytest.mark.parametrize("method", ["auto", "irreps", "krylov", "svd"])
    def test_a_small_rotation_beside_a_large_boost(self, method: str, size: float) -> None:
        element = _beside(np.diag(np.exp([size, -size])), _turn(1e-6))
        group = Group(
            lie_algebra=[np.diag([1.0, -1, 0, 0])], discrete_generators=[element], refine=0
        )
        with pytest.raises(AmbiguousRank):
            _solve(V(group), method)

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize("angle", [1e-5, 1e-8, 1e-10])
    @pytest.mark.parametrize("size", [5, 11])
    def test_a_small_rotation_beside_a_stretching_is_no_rounding(
        self, size: float, angle: float
    ) -> None:
        """Of ‖ρ(h)‖ it is one part in 1e16: judged by that, the rank of V >> V was 6."""
        stretching = _beside(np.diag(np.exp([size, -size])), _turn(angle))
        torus = Group(lie_algebra=[np.diag([1.0, -1, 0, 0])], discrete_generators=[stretching])
        alone = Group(discrete_generators=[stretching])
        frames = [np.eye(4), random_frame(4, 3.0, np.random.default_rng(1))]
        for frame, method in product(frames, ("auto", "krylov")):
            for group, rep, right in ((torus, V >> V, 4), (torus, V, 0), (alone, V**2, 4)):
                _is_right_or_ambiguous(conjugate(group, frame).refined(0), rep, method, right)

    def test_a_rotation_beside_a_stretching_has_its_rank(self) -> None:
        stretching = _beside(np.diag([20.0, 0.05]), _turn(1.0))
        group = Group(discrete_generators=[stretching])
        for condition in (1.0, 3.0, 10.0):
            frame = random_frame(4, condition, np.random.default_rng(0))
            assert _solve((V >> V)(conjugate(group, frame))) == 4
            assert _solve((V**2)(conjugate(group, frame))) == 4

    @pytest.mark.parametrize("condition", [1.0, 3.0, 30.0])
    def test_nearly_a_third_of_a_turn_in_any_frame(self, condition: float) -> None:
        group = Group(discrete_generators=[_turn(2 * np.pi / 3 + 1e-9)])
        frame = random_frame(2, condition, np.random.default_rng(2))
        for method in ("auto", "irreps", "krylov", "svd"):
            _is_right_or_ambiguous(conjugate(group, frame).refined(0), V**3, method, 0)

    def test_matrices_that_are_nearly_permutations_have_their_true_residual(self) -> None:
        noise = np.random.default_rng(0).uniform(-3e-13, 3e-13, (4, 4))
        matrix = np.eye(4)[[1, 2, 3, 0]] + noise
        group = Group(discrete_generators=[matrix])
        basis = solve(T(4)(group), method="orbits", store=False)
        q = np.asarray(basis.dense())
        image = np.asarray(T(4)(group).rho_dense(matrix))
        truth = np.linalg.norm(image @ q - q, 2)
        assert 1e-13 < truth <= basis.certificate.residual < 1e-11


class TestScales:
    @pytest.mark.parametrize("factor", [1e100, 1e-100, 1e30, 3.0])
    @pytest.mark.parametrize("method", ["auto", "svd"])
    def test_scalings_of_any_size(self, factor: float, method: str) -> None:
        group = Group(discrete_generators=[factor * np.eye(2)])
        assert _solve((V * V.T)(group), method) == 4
        assert _solve(T(2, 2)(group), method) == 16
        for rep in (V, V**2, V**4, V**2 * V.T):
            assert _solve(rep(group), method) == 0


class TestKrylovInAnObliqueFrame:
    @pytest.mark.parametrize("group", [S(4), SO(3), O(3)], ids=str)
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.sampled(6)
    def test_its_span_is_that_of_the_straight_frame(self, group: Group, seed: int) -> None:
        frame = random_frame(group.d, 10.0, np.random.default_rng(seed))
        basis = solve(T(4)(conjugate(group, frame)), method="krylov", store=False)
        inverse = np.linalg.inv(frame)
        whole = np.kron(np.kron(inverse, inverse), np.kron(inverse, inverse))
        moved = whole @ np.asarray(solve(T(4)(group), store=False).dense())
        expected, q = np.linalg.qr(moved)[0], np.asarray(basis.dense())
        assert np.linalg.norm(expected - q @ (q.T @ expected), 2) < 1e-12


class TestNeedlessRefusals:
    def test_so25_by_all_its_generators_in_an_oblique_frame(self) -> None:
        rng = np.random.default_rng(1)
        group = conjugate(SO(10), random_frame(10, 3.0, rng))
        assert _solve(T(2)(group)) == 1

    @pytest.mark.slow
    def test_so25_itself(self) -> None:
        group = conjugate(SO(25), random_frame(25, 3.0, np.random.default_rng(1)))
        assert _solve(T(2)(group)) == 1

    @pytest.mark.parametrize("blocks", [(1, 1, 1, 1), (2, 2), (1, 3), (2, 1, 1)])
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.sampled(6)
    def test_parabolic_subgroups_turned_by_a_rotation(
        self, blocks: tuple[int, ...], seed: int
    ) -> None:
        ends = np.cumsum(blocks)
        block = np.searchsorted(ends, np.arange(4), side="right")
        matrices = [unit(4, i, j) for i in range(4) for j in range(4) if block[i] <= block[j]]
        turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((4, 4)))[0]
        straight = Group(lie_algebra=matrices)
        turned = Group(lie_algebra=[turn @ m @ turn.T for m in matrices])
        for rep in (T(3), T(1, 1), T(2, 1)):
            assert _solve(rep(turned)) == _solve(rep(straight))


class TestTheIndependentCheck:
    def test_it_contradicts_a_wrong_rank(self) -> None:
        group = Group(discrete_generators=small_groups()["H3"][:40])
        (problem,) = problems_of((V(group),) * 6)
        assert confirmed_rank(problem, 16, "V⁶")
        with pytest.raises(SolveError, match="its characters have the mean 16"):
            confirmed_rank(problem, 15, "V⁶")
