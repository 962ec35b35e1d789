"""Which groups are reductive, and in which frame: never a wrong answer, and seldom none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from helpers.oblique_groups import (
    NOT_REDUCTIVE,
    REDUCTIVE,
    conjugate,
    discrete,
    lie,
    random_frame,
    redundantly,
)
from intertwine.errors import AmbiguousRank, MethodNotApplicable, SolveError
from intertwine.groups import SO, Group, parse_group
from intertwine.irreps import Verdict, judge, matrix_spans
from intertwine.irreps.frame import conjugated, find_frame
from intertwine.irreps.matrix_spans import is_closed_under_adjoints, openness, orthonormal_span
from intertwine.reps import Rep, T, V


@dataclass(frozen=True)
class Determinant(Rep):
    """A user-defined rep."""

    G: Any = None

    def __call__(self, G: Group) -> Determinant:
        return Determinant(G)

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M).reshape(1, 1)


REPS = (V, V * V.T, T(2), T(2, 1))
GROUPS = {**REDUCTIVE, **NOT_REDUCTIVE}


def _seed(name: str, condition: float) -> np.random.Generator:
    return np.random.default_rng([*name.encode(), int(condition)])


def _variants(name: str, condition: float) -> list[Group]:
    rng, group = _seed(name, condition), GROUPS[name]
    s = random_frame(group.d, condition, rng, group.is_complex)
    oblique = conjugate(group, s)
    return [oblique, redundantly(oblique, rng)]


class TestTheVerdict:
    @pytest.mark.parametrize("name", REDUCTIVE)
    def test_reductive_groups_in_their_own_frame(self, name: str) -> None:
        assert judge(REDUCTIVE[name]).kind == "reductive"

    @pytest.mark.parametrize("name", NOT_REDUCTIVE)
    def test_others(self, name: str) -> None:
        verdict = judge(NOT_REDUCTIVE[name])
        assert verdict.kind == "not reductive"
        assert "Dickson" in verdict.reason

    @pytest.mark.parametrize("name", GROUPS)
    @pytest.mark.parametrize("condition", [pytest.param(10, marks=pytest.mark.slow), 100])
    def test_in_oblique_frames(self, name: str, condition: float) -> None:
        expected = "reductive" if name in REDUCTIVE else "not reductive"
        for group in _variants(name, condition):
            assert judge(group).kind == expected

    @pytest.mark.slow
    @pytest.mark.parametrize("name", GROUPS)
    @pytest.mark.parametrize("condition", [1e3, 1e4])
    def test_is_never_wrong_in_very_oblique_frames(self, name: str, condition: float) -> None:
        expected = "reductive" if name in REDUCTIVE else "not reductive"
        for group in _variants(name, condition):
            assert judge(group).kind in (expected, "ambiguous")

    def test_a_group_without_generators(self) -> None:
        assert judge(Group(d=3)) == Verdict("reductive", "no generators")

    def test_a_large_group_in_an_oblique_frame_is_not_searched_for_hours(self) -> None:
        rng = np.random.default_rng(0)
        large = conjugate(parse_group("Sp(15)"), random_frame(30, 10, rng))
        assert judge(large).kind == "ambiguous"

    def test_a_large_compact_group_in_an_oblique_frame_is_reductive(self) -> None:
        rng = np.random.default_rng(0)
        large = conjugate(parse_group("SO(30)"), random_frame(30, 10, rng))
        verdict = judge(large)
        assert verdict.kind == "reductive"
        np.testing.assert_allclose(verdict.condition, 10, rtol=1e-9)


def test_a_large_span_is_tested_on_one_element_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdicts are those of all elements; of a span that is clearly open, one decides."""
    closed = orthonormal_span(np.asarray(SO(16).lie_algebra))
    skew = np.eye(16) + 0.1 * np.random.default_rng(0).standard_normal((16, 16))
    opened = orthonormal_span(skew @ closed @ np.linalg.inv(skew))
    nearly = orthonormal_span(closed + 1e-11 * opened)
    assert [is_closed_under_adjoints(span, 1e-12) for span in (closed, opened, nearly)] == [
        openness(span) <= 1e-12 for span in (closed, opened, nearly)
    ]
    monkeypatch.setattr(matrix_spans, "openness", None)
    assert not is_closed_under_adjoints(opened, 1e-12)


class TestTheFrame:
    @pytest.mark.parametrize("name", ["SO(3)", "SO13p()", "Sp(2)", "SU(3) on ℝ⁶", "SL(3)", "SU(2)"])
    def test_the_lie_algebra_is_closed_under_adjoints_there(self, name: str) -> None:
        group, _ = _variants(name, 30)
        found = find_frame(lie(group), discrete(group))
        algebra = conjugated(lie(group), found.matrix).reshape(-1, group.d**2)
        adjoints = np.swapaxes(algebra.reshape(-1, group.d, group.d), 1, 2).conj()
        flat = adjoints.reshape(len(algebra), -1)
        within = np.linalg.lstsq(algebra.T, flat.T, rcond=None)[0]
        np.testing.assert_allclose(algebra.T @ within, flat.T, atol=1e-9 * np.abs(flat).max())
        assert found.error < 1e-9

    @pytest.mark.parametrize("name", ["D(5)", "S(4)", "Cube()"])
    def test_a_finite_group_is_unitary_there(self, name: str) -> None:
        group, _ = _variants(name, 30)
        found = find_frame(lie(group), discrete(group))
        for h in conjugated(discrete(group), found.matrix):
            np.testing.assert_allclose(h @ h.T, np.eye(group.d), atol=1e-10)

    def test_a_redundant_element_becomes_the_identity(self) -> None:
        _, group = _variants("SO13p()", 30)
        found = find_frame(lie(group), discrete(group))
        np.testing.assert_allclose(found.cosets, np.eye(4)[None], atol=1e-9)

    def test_a_reflection_times_a_boost_stays_a_reflection(self) -> None:
        rng = np.random.default_rng(1)
        group = redundantly(parse_group("O11()"), rng)
        found = find_frame(lie(group), discrete(group))
        for h in found.cosets:
            np.testing.assert_allclose(h @ h, np.eye(2), atol=1e-9)


class TestRanks:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", REDUCTIVE)
    @pytest.mark.parametrize("condition", [pytest.param(10, marks=pytest.mark.slow), 100])
    def test_are_right_in_oblique_frames(self, name: str, condition: float) -> None:
        for group in _variants(name, condition):
            for rep in REPS:
                basis = rep(group).equivariant_basis(store=False)
                expected = rep(REDUCTIVE[name]).equivariant_basis(store=False)
                assert basis.shape == expected.shape, rep
                assert basis.certificate.residual <= 1e-10

    @pytest.mark.slow
    @pytest.mark.parametrize("name", REDUCTIVE)
    @pytest.mark.parametrize("condition", [1e3, 1e4])
    def test_are_never_wrong(self, name: str, condition: float) -> None:
        for group in _variants(name, condition):
            for rep in REPS:
                expected = rep(REDUCTIVE[name]).equivariant_basis(store=False)
                try:
                    basis = rep(group).equivariant_basis(store=False)
                except (AmbiguousRank, SolveError):
                    continue
                assert basis.shape == expected.shape, rep

    @pytest.mark.parametrize("power", [4, 6])
    def test_of_oblique_finite_groups_survive_many_slots(self, power: int) -> None:
        # where the dense null space has lost them: its singular values reach rounding
        group, _ = _variants("D(5)", 100)
        basis = T(power)(group).equivariant_basis(store=False, method="irreps")
        expected = T(power)(REDUCTIVE["D(5)"]).equivariant_basis(store=False)
        assert basis.shape == expected.shape

    @pytest.mark.slow
    def test_the_space_is_that_of_the_given_frame(self) -> None:
        rng = np.random.default_rng(3)
        s = random_frame(3, 5, rng)
        group = conjugate(parse_group("SO(3)"), s)
        basis = T(4)(group).equivariant_basis(store=False, method="irreps")
        by_krylov = T(4)(group).equivariant_basis(store=False, method="krylov")
        np.testing.assert_allclose(basis.projector.dense(), by_krylov.projector.dense(), atol=1e-11)

    @pytest.mark.parametrize("name", NOT_REDUCTIVE)
    def test_of_other_groups_are_found_by_krylov_and_the_certificate_says_why(
        self, name: str
    ) -> None:
        group = NOT_REDUCTIVE[name]
        rep = T(7) if group.d == 2 else T(5)
        certificate = rep(group).equivariant_basis(store=False).certificate
        assert certificate.method == "krylov"
        assert any("not reductive" in note and "Dickson" in note for note in certificate.notes)
        with pytest.raises(MethodNotApplicable, match="not reductive"):
            rep(group).equivariant_basis(store=False, method="irreps")

    def test_what_a_change_of_frame_does_to_a_rep_of_the_users_own_is_not_guessed(self) -> None:
        rng = np.random.default_rng(4)
        group = conjugate(parse_group("O(3)"), random_frame(3, 30, rng))
        rep = (V**4 * Determinant())(group)
        with pytest.raises(MethodNotApplicable, match="frame"):
            rep.equivariant_basis(store=False, method="irreps")

    @pytest.mark.parametrize("seed", range(6))
    def test_rounding_in_a_frame_does_not_pass_for_a_larger_group(self, seed: int) -> None:
        """In a frame of condition 100,000 Sp(2) is seen as SL(4) is, to eight digits."""
        rng = np.random.default_rng(seed)
        group = conjugate(parse_group("Sp(2)"), random_frame(4, 1e5, rng))
        try:
            rank = T(2, 2)(group).equivariant_basis(store=False).rank
        except AmbiguousRank:
            return
        assert rank == 3
