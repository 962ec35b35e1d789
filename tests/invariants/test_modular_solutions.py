"""Ranks are compared with the number of solutions modulo a prime, for every method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.support import CASES, Case
from intertwine.bases import Dense, Orbits
from intertwine.errors import SolveError
from intertwine.exact import rank_bound
from intertwine.groups import O13, SE, SL, SO, SU, Group, O, PointGroup, S, parse_group
from intertwine.invariants import evidence, modular_solutions, solve, solver
from intertwine.invariants.evidence import confirmed_rank
from intertwine.invariants.modular_solutions import MAX_SIZE, PRIMES, modular_nullity
from intertwine.invariants.problem import Problem, problems_of
from intertwine.reps import Alt, Dual, Indexed, Rep, Schur, Sym, T, V
from intertwine.reps.canonical_form import canonical_terms
from sympy import isprime


@dataclasses.dataclass(frozen=True)
class Determinant(Rep):
    """A rep of one's own that gives its matrices, and no derivative."""

    G: Any = None

    def __call__(self, G: Group) -> Rep:
        return Determinant(G)

    def size(self) -> int:
        return 1

    def rho(self, M: Any) -> Any:
        return np.linalg.det(np.asarray(M)).reshape(1, 1)


SMALL = [case for case in CASES if case.size <= MAX_SIZE]


def _problem(rep: Rep) -> Problem:
    (problem,) = problems_of(canonical_terms(rep)[0][1])
    return problem


def _nullities(rep: Rep) -> set[int | None]:
    return {modular_solutions.modular_nullity(_problem(rep), prime) for prime in PRIMES}


def test_the_primes_are_primes_with_a_root_of_minus_one() -> None:
    for p, root in PRIMES:
        assert isprime(p)
        assert p < 2**22
        assert root * root % p == p - 1


class TestWhatIsCounted:
    @pytest.mark.parametrize("case", SMALL, ids=str)
    def test_every_small_conformance_case_that_is_read(self, case: Case) -> None:
        total = 0
        for multiplicity, term in canonical_terms(case.build()):
            product = multiplicity
            for problem in problems_of(term):
                found = modular_solutions.modular_nullity(problem, PRIMES[0])
                if not problem.atoms:
                    found = 1
                if found is None:  # entries with square roots
                    assert case.group is not None
                    assert case.group.startswith(("C(", "D(", "DkeR3("))
                    return
                product *= found
            total += product
        assert total == case.rank

    @pytest.mark.parametrize(
        ("group", "rep", "rank"),
        [
            (Group(discrete_generators=[[[13.0, 8.0], [8.0, 5.0]]]), T(2, 2), 6),
            (Group(discrete_generators=[[[13.0, 8.0], [8.0, 5.0]]]), V.T**2, 2),
            (Group(discrete_generators=[[[0.5, 1 / 3], [0.25, 2.0]]]), T(1, 1), 2),
            (Group(discrete_generators=[[[1.0, 1.0], [0.0, 1.0]]]), T(3), 3),
            (Group(lie_algebra=np.asarray(SO(3).lie_algebra) * np.pi), T(4), 3),
            (Group(lie_algebra=np.asarray(SO(3).lie_algebra) * 1e-30), T(3), 1),
            (Group(lie_algebra=[1j * np.diag([1.0, 2.0, -3.0])]), V**3, 6),
            (Group(discrete_generators=[1j * np.eye(2)]), T(4), 16),
            (Group(lie_algebra=[np.diag([1.0, -1.0])], discrete_generators=[-np.eye(2)]), T(4), 6),
            (parse_group("SL(3)"), T(2, 2), 2),
            (S(5), T(2), 2),
        ],
        ids=str,
    )
    def test_known_ranks(self, group: Group, rep: Rep, rank: int) -> None:
        assert _nullities(rep(group)) == {rank}

    @pytest.mark.parametrize("seed", range(20))
    def test_random_integer_matrices(self, seed: int) -> None:
        """Products of few elementary matrices, of one, two or three dimensions."""
        rng = np.random.default_rng(seed)
        d = int(rng.integers(2, 5))
        generators = []
        for _ in range(int(rng.integers(1, 3))):
            h = np.eye(d)
            for _ in range(2):
                i, j = rng.choice(d, 2, replace=False)
                h[i] += rng.integers(-2, 3) * h[j]
            generators.append(h)
        p, q = [(1, 1), (2, 0), (0, 2), (2, 1)][seed % 4]
        rep = T(p, q)(Group(discrete_generators=generators))
        assert _nullities(rep) == {rank_bound(rep).bound}

    @pytest.mark.parametrize(
        "group",
        [
            Group(lie_algebra=[np.diag([1.0, 1e-11])], refine=0),
            Group(lie_algebra=[np.diag([1.0, 1e11])], refine=0),
            Group(lie_algebra=[np.diag([1.0, np.sqrt(2)])]),
            Group(discrete_generators=[[[0.6180339887498949, 0.0], [0.0, 1.0]]], refine=0),
            Group(discrete_generators=[np.eye(2) + 1e-15]),
            Group(discrete_generators=[np.diag([1.0, 1 / 65])]),
        ],
    )
    def test_other_entries_are_not_read(self, group: Group) -> None:
        assert _nullities(T(2)(group)) == {None}

    @pytest.mark.parametrize("group", [O(2), O(3), O(4), O13()], ids=repr)
    @pytest.mark.parametrize("method", ["auto", "krylov", "svd"])
    @pytest.mark.sampled(5)
    def test_zeros_of_a_user_defined_rep_are_rounded(self, group: Group, method: str) -> None:
        """The derivative of a determinant is 1e-15 where it is 0: scaled, it would be a number."""
        P = Determinant(group)
        for rep, rank in ((P * P, 1), (P.T * P.T, 1), (P * V(group), 0), (V(group) * P >> P, 0)):
            assert solve(rep, method=method, store=False).rank == rank

    def test_what_is_large_is_not_counted(self) -> None:
        assert _nullities(T(5)(SO(3))) == {None}
        many = Group(lie_algebra=np.random.default_rng(0).integers(-1, 2, (40, 40, 40)))
        assert _nullities(V(many)) == {None}


class TestTheRank:
    @pytest.mark.parametrize("size", [1, 31, 32, 33, 64, 100, 128])
    def test_of_products_of_random_matrices(self, size: int) -> None:
        p = PRIMES[0][0]
        rng = np.random.default_rng(size)
        for rank in {0, 1, size // 2, size - 1, size}:
            left = rng.integers(-9, 10, (size + 8, rank)).astype(float)
            right = rng.integers(-9, 10, (rank, size)).astype(float)
            assert modular_solutions._rank(left @ right, p) == np.linalg.matrix_rank(left @ right)

    def test_of_columns_that_depend_on_those_before(self) -> None:
        p = PRIMES[0][0]
        a = np.random.default_rng(0).integers(-9, 10, (90, 20)).astype(float)
        assert modular_solutions._rank(np.repeat(a, 4, axis=1), p) == 20
        assert modular_solutions._rank(np.concatenate([0 * a, a[::-1], a, 0 * a], axis=1), p) == 40

    def test_of_rows_that_begin_with_zeros(self) -> None:
        a = np.zeros((48, 40))
        a[8:] = np.eye(40)[::-1]
        assert modular_solutions._rank(a, PRIMES[0][0]) == 40


class TestWrongBases:
    """A basis that lacks a vector, or has one more than there are, is refused by every method."""

    @pytest.mark.parametrize("change", [-1, 1])
    @pytest.mark.parametrize("method", ["svd", "krylov"])
    def test_of_methods_in_floating_point(
        self, monkeypatch: pytest.MonkeyPatch, method: str, change: int
    ) -> None:
        true = getattr(solver, method)

        def wrong(*arguments: Any) -> Any:
            found = true(*arguments)
            q = found.basis
            return dataclasses.replace(found, basis=_changed(q, change))

        monkeypatch.setattr(solver, method, wrong)
        with pytest.raises(SolveError, match=r"modulo \d+ there are 3: one of the two is wrong"):
            solve(T(4)(SO(3)), method=method, store=False)

    @pytest.mark.parametrize("change", [-1, 1])
    def test_of_irreps(self, monkeypatch: pytest.MonkeyPatch, change: int) -> None:
        true = solver.match_irreps

        def wrong(*arguments: Any) -> Any:
            found = true(*arguments)
            storage = Dense(_changed(found.storage.apply(np.eye(3)), change))
            return dataclasses.replace(found, storage=storage)

        monkeypatch.setattr(solver, "match_irreps", wrong)
        with pytest.raises(SolveError, match="there are 3"):
            solve(T(4)(SO(3)), method="irreps", store=False)

    def test_of_orbits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def merged(*arguments: Any) -> Orbits:
            return Orbits(np.zeros(25, dtype=np.int64), None, 1)

        monkeypatch.setattr(solver, "index_orbits", merged)
        with pytest.raises(SolveError, match=r"1 invariants of .* there are 2"):
            solve(T(2)(S(5)), method="orbits", store=False)

    def test_auto_has_no_other_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        true = solver.svd

        def wrong(*arguments: Any) -> Any:
            found = true(*arguments)
            return dataclasses.replace(found, basis=_changed(found.basis, -1))

        monkeypatch.setattr(solver, "svd", wrong)
        with pytest.raises(SolveError, match="modulo"):  # svd is the last that auto has
            solve(T(2)(SO(3)), store=False)


class TestTwoPrimes:
    """One prime may divide a minor: then there are more solutions modulo it, by accident."""

    @pytest.fixture
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[int]]:
        def set_nullities(first: int, second: int) -> list[int]:
            asked: list[int] = []

            def nullity(problem: Problem, prime: tuple[int, int]) -> int:
                asked.append(prime[0])
                return first if prime == PRIMES[0] else second

            monkeypatch.setattr(evidence, "modular_nullity", nullity)
            return asked

        return set_nullities

    def test_agreement_needs_one(self, counted: Callable[[int, int], list[int]]) -> None:
        asked = counted(3, 3)
        assert confirmed_rank(_problem(T(4)(SO(3))), 3, "T(4)")
        assert asked == [PRIMES[0][0]]

    def test_the_second_decides(self, counted: Callable[[int, int], list[int]]) -> None:
        asked = counted(4, 3)
        assert confirmed_rank(_problem(T(4)(SO(3))), 3, "T(4)")
        assert asked == [p for p, _ in PRIMES]

    @pytest.mark.parametrize("nullities", [(2, 3), (4, 4), (4, 2)])
    def test_disagreement(
        self, counted: Callable[[int, int], list[int]], nullities: tuple[int, int]
    ) -> None:
        counted(*nullities)
        with pytest.raises(SolveError, match="one of the two is wrong"):
            confirmed_rank(_problem(T(4)(SO(3))), 3, "T(4)")

    def test_weights_with_a_sum_that_one_prime_divides(self) -> None:
        """4(2²⁰ − 1) + 1 is the first prime: the five tensors of such weight vanish modulo it."""
        rep = T(5)(Group(lie_algebra=[np.diag([2.0**20 - 1, 1.0])]))
        assert _nullities(rep) == {0, 5}
        assert solve(rep, store=False).rank == 0


def _changed(q: np.ndarray, change: int) -> np.ndarray:
    """The basis without its last column, or with one that is orthogonal to it and all others."""
    if change < 0:
        return q[:, :-1]
    whole, _ = np.linalg.qr(np.concatenate([q, np.eye(len(q))], axis=1))
    return whole[:, : q.shape[1] + 1]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "group", [SO(3), O13(), SU(2), SL(2), SE(2), PointGroup("m-3m"), S(4)], ids=repr
)
def test_functors_are_counted_in_a_basis_without_square_roots(group: Group) -> None:
    reps = [
        Sym(2, V), Sym(4, V), Alt(2, V), Schur([2, 1], V), Indexed(V, "ijkl=jikl=klij"),
        Sym(2, Alt(2, V) + 1), Sym(2, Sym(2, V)), Sym(2, V) >> Sym(2, V),
    ]  # fmt: skip
    for rep in [*(rep(group) for rep in reps), Sym(2, V(group)) * Dual(Sym(2, V(group)))]:
        if 0 < rep.size() <= MAX_SIZE:
            ((_, term),) = canonical_terms(rep)
            (problem,) = problems_of(term)
            rank = rep.equivariant_basis(store=False).shape[1]
            assert [modular_nullity(problem, prime) for prime in PRIMES] == [rank, rank], rep
    assert (
        modular_nullity(Problem((Sym(2, V(PointGroup("3"))),), PointGroup("3")), PRIMES[0]) is None
    )
