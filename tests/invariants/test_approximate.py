"""What is equivariant up to a tolerance, and ranks that the digits of generators do not decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.oblique_groups import NOT_REDUCTIVE, REDUCTIVE, conjugate, lie, random_frame
from helpers.oracle import examine, projector_distance
from helpers.rounded_groups import PASTED, mapped, of, to_digits
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import from_bytes, to_bytes
from intertwine.errors import (
    AmbiguousRank,
    MethodNotApplicable,
    NotConverged,
    RoundedGenerators,
    UnknownMethod,
)
from intertwine.groups import SO, C, D, Group, S, Sp
from intertwine.irreps import decompose
from intertwine.reps import Rep, T, V, basis_key
from intertwine_cache import Store

_FLIP = np.diag([1.0, -1, -1])


def learned(group: Group, noise: float, seed: int = 0) -> Group:
    """Generators as a network learns them."""
    rng = np.random.default_rng(seed)
    return mapped(group, lambda m: m + noise * rng.standard_normal(m.shape))


class Elastic(Rep):
    """Tensors c with c_ijkl = c_jikl = c_klij, in an orthonormal basis."""

    def __init__(self, G: Any = None) -> None:
        self.G = G

    def __call__(self, G: Any) -> Elastic:
        return Elastic(G)

    def size(self) -> int:
        return 21

    def rho(self, M: Any) -> Any:
        pairs = _symmetric(3)
        return _symmetric(6) @ np.kron(*[pairs @ np.kron(M, M) @ pairs.T] * 2) @ _symmetric(6).T


def _symmetric(n: int) -> Any:
    """An orthonormal basis of the symmetric n × n matrices, as rows."""
    found = []
    for i in range(n):
        for j in range(i + 1):
            matrix = np.zeros((n, n))
            matrix[i, j] = matrix[j, i] = 1.0
            found.append(matrix.ravel() / np.linalg.norm(matrix))
    return np.array(found)


class TestRoundedGenerators:
    @pytest.mark.parametrize("rep", [V**2 >> V, V**3 + 2, Elastic()], ids=str)
    def test_they_are_refused(self, rep: Rep) -> None:
        with pytest.raises(RoundedGenerators, match=r"is orthogonal to 7\.0e-07, no better"):
            rep(of(PASTED, _FLIP)).equivariant_basis(store=False)

    @pytest.mark.parametrize(("rep", "rank"), [(V**2 >> V, 4), (Elastic(), 6)], ids=str)
    def test_refined_ones_have_the_rank_that_was_meant(self, rep: Rep, rank: int) -> None:
        group = of(PASTED, _FLIP).refined()
        assert rep(group).equivariant_basis(store=False).rank == rank

    @pytest.mark.parametrize(
        "p", [2, 5, *(pytest.param(p, marks=pytest.mark.slow) for p in (7, 10))]
    )
    @pytest.mark.parametrize("k", range(3, 13))
    def test_single_precision_is_refused_or_refined(self, k: int, p: int) -> None:
        rounded = mapped(C(k), to_digits("float32"))
        if rounded.defects:
            with pytest.raises(RoundedGenerators):
                T(p)(rounded).equivariant_basis(store=False)
        else:
            assert rounded == C(4)
        expected = T(p)(C(k)).equivariant_basis(store=False).rank
        assert T(p)(rounded.refined()).equivariant_basis(store=False).rank == expected

    def test_irreps_are_refused_too(self) -> None:
        with pytest.raises(RoundedGenerators):
            decompose(T(2)(of(PASTED)), store=False)

    def test_a_user_may_insist(self) -> None:
        group = Group(discrete_generators=[PASTED, _FLIP], refine=0)
        assert (V**2 >> V)(group).equivariant_basis(store=False).rank == 2

    def test_a_stored_basis_does_not_answer_for_them(self, tmp_path: Path) -> None:
        store = Store(tmp_path, 10**9)
        exact = Group(discrete_generators=[PASTED], refine=0)
        V(exact).equivariant_basis(store=store)
        with pytest.raises(RoundedGenerators):
            V(of(PASTED)).equivariant_basis(store=store)


class TestPrecision:
    """Generators without structure are compared with what their digits allow."""

    @pytest.mark.parametrize("method", ["auto", "svd", "krylov"])
    def test_weights_of_six_digits(self, method: str) -> None:
        group = Group(lie_algebra=[np.diag([0.333333, -0.666667, 1.0])])
        assert V(group).equivariant_basis(store=False, method=method).rank == 0
        with pytest.raises(AmbiguousRank, match="it is 0 for the generators as given and 3 up to"):
            T(3)(group).equivariant_basis(store=False, method=method)
        meant = Group(lie_algebra=[np.diag([0.333333, -0.666667, 1.0])], refine=0)
        assert T(3)(meant).equivariant_basis(store=False, method=method).rank == 0

    def test_a_determinant_of_nearly_one(self) -> None:
        group = of(np.diag([1.414214, 0.7071068]))
        with pytest.raises(AmbiguousRank, match="may be rounding"):
            T(2)(group).equivariant_basis(store=False)

    def test_a_rounded_boost(self) -> None:
        boost = np.array([[np.cosh(1), np.sinh(1)], [np.sinh(1), np.cosh(1)]])
        assert T(2)(of(boost)).equivariant_basis(store=False).rank == 2
        with pytest.raises(AmbiguousRank):
            T(2)(of(np.round(boost, 6))).equivariant_basis(store=False)

    def test_digits_that_decide_nothing_are_fine(self) -> None:
        group = Group(lie_algebra=[np.diag([0.1234, 0.5678])])
        assert T(2, 1)(group).equivariant_basis(store=False).rank == 0
        assert T(1, 1)(group).equivariant_basis(store=False).rank == 2


class TestApproximate:
    @pytest.mark.parametrize("p", [2, 3, 4, 5])
    def test_learned_rotations_have_the_rank_of_rotations(self, p: int) -> None:
        basis = T(p)(learned(SO(3), 1e-3)).equivariant_basis(store=False, tolerance=5e-3)
        exact = T(p)(SO(3)).equivariant_basis(store=False)
        assert basis.rank == exact.rank
        assert projector_distance(basis, exact) <= 0.05
        certificate = basis.certificate
        assert (certificate.kind, certificate.tolerance) == ("approximate", 5e-3)
        assert certificate.residual == certificate.kept_values[-1] <= 5e-3
        assert all(value > 5e-3 for value in certificate.dropped_values)
        assert certificate.gap > 10
        assert not certificate.notes

    def test_iteration_and_dense_matrices_agree(self) -> None:
        rep = T(5)(learned(SO(3), 1e-3))
        dense, iterated = (
            rep.equivariant_basis(store=False, tolerance=5e-3, method=method)
            for method in ("svd", "krylov")
        )
        assert (dense.certificate.method, iterated.certificate.method) == ("svd", "krylov")
        assert projector_distance(dense, iterated) <= 1e-4
        np.testing.assert_allclose(
            dense.certificate.kept_values, iterated.certificate.kept_values, rtol=1e-3
        )

    @pytest.mark.parametrize("group", [D(4), S(3), Sp(1), SO(3)], ids=repr)
    def test_of_exact_generators_it_is_the_exact_basis(self, group: Group) -> None:
        rep = (V**2 >> V**2)(group)
        exact = rep.equivariant_basis(store=False)
        found = rep.equivariant_basis(store=False, tolerance=1e-6)
        assert projector_distance(found, exact) <= 1e-7

    def test_sums_and_mixed_groups_are_assembled(self) -> None:
        rep = 2 * V(learned(SO(3), 1e-3)) ** 2 + V(S(3)) * V(learned(D(4), 1e-4)) ** 2 + 3
        exact = 2 * V(SO(3)) ** 2 + V(S(3)) * V(D(4)) ** 2 + 3
        basis = rep.equivariant_basis(store=False, tolerance=5e-3)
        assert basis.rank == exact.equivariant_basis(store=False).rank
        assert basis.certificate.kind == "approximate"
        assert all(part.kind == "approximate" for part in basis.certificate.parts.values())
        assert basis.certificate.residual <= 5e-3

    def test_complex_groups(self) -> None:
        angle = np.exp(2j * np.pi / 5 + 1e-4)
        group = of(np.diag([angle, 1 / angle]))
        assert T(2)(group).equivariant_basis(store=False, tolerance=1e-2).rank == 2

    def test_a_cut_without_a_gap_is_noted(self) -> None:
        group = Group(lie_algebra=[np.diag([1.0, 0.01, 0.02])])
        basis = V(group).equivariant_basis(store=False, tolerance=0.015)
        assert basis.rank == 1
        assert basis.certificate.notes == (
            f"the cut at 0.015 has no gap: for {V(group)!r} a singular value of 0.01 counts as "
            f"zero, and one of 0.02 does not",
        )

    @settings(deadline=None, max_examples=25)
    @given(st.integers(0, 2**16), st.floats(0.01, 0.9))
    def test_the_constraints_are_met_to_the_tolerance(self, seed: int, tolerance: float) -> None:
        """‖dρ(A)v‖ ≤ τ·c for each unit v in the span, with c the bound on the constraints."""
        group = learned(SO(3), 0.1, seed)
        basis = T(2)(group).equivariant_basis(store=False, tolerance=tolerance)
        q, bound = basis.dense(), 2 * np.sqrt(3)
        for a in lie(group):
            unit = a / np.linalg.norm(a, 2)
            image = (np.kron(unit, np.eye(3)) + np.kron(np.eye(3), unit)) @ q
            assert np.linalg.norm(image, 2) <= tolerance * bound * (1 + 1e-9)
        wider = T(2)(group).equivariant_basis(store=False, tolerance=min(0.95, 1.5 * tolerance))
        assert wider.rank >= basis.rank

    def test_it_has_a_key_and_a_store_entry_of_its_own(self, tmp_path: Path) -> None:
        rep, store = T(2)(learned(SO(3), 1e-3)), Store(tmp_path, 10**9)
        keys = {basis_key(rep), basis_key(rep, tolerance=5e-3), basis_key(rep, tolerance=6e-3)}
        assert len(keys) == 3
        T(2)(SO(3)).equivariant_basis(store=store)
        first = rep.equivariant_basis(store=store, tolerance=5e-3)
        again = rep.equivariant_basis(store=store, tolerance=5e-3)
        assert (first.cached, again.cached) == ("", store.name)
        assert again.certificate == first.certificate
        assert store.manifest(basis_key(rep, tolerance=5e-3)) is not None
        assert store.manifest(basis_key(rep)) is None

    def test_files_keep_its_certificate(self) -> None:
        basis = V(learned(SO(3), 1e-3)).equivariant_basis(store=False, tolerance=5e-3)
        assert from_bytes(to_bytes(basis)).certificate == basis.certificate
        shown = str(basis.certificate)
        assert "approximate, up to a tolerance of 0.005" in shown

    def test_dense_matrices_are_examined_like_others(self) -> None:
        rep = T(2)(learned(SO(3), 1e-4))
        basis = rep.equivariant_basis(store=False, tolerance=5e-3)
        assert examine(rep, basis).orthonormality <= 1e-12


class TestRefusals:
    @pytest.mark.parametrize("tolerance", [0, 1, -1e-3, 2.5, float("nan"), True, "5e-3"])
    def test_invalid_tolerances_are_refused(self, tolerance: Any) -> None:
        with pytest.raises(UnknownMethod, match="is a number above 0 and below 1, such as 5e-3"):
            V(SO(3)).equivariant_basis(tolerance=tolerance)

    @pytest.mark.parametrize(
        "options", [{"method": "orbits"}, {"method": "irreps"}, {"backend": "jax"}], ids=str
    )
    def test_methods_that_have_no_approximate_solves(self, options: dict[str, str]) -> None:
        with pytest.raises(MethodNotApplicable, match="use 'auto' for both"):
            V(SO(3)).equivariant_basis(tolerance=1e-3, **options)

    def test_a_fine_tolerance_for_a_large_rep(self) -> None:
        with pytest.raises(MethodNotApplicable, match="a tolerance is at least 1e-07, not 1e-09"):
            T(7)(SO(3)).equivariant_basis(store=False, tolerance=1e-9)

    def test_singular_values_that_crowd_around_the_cut(self) -> None:
        weights = np.concatenate([[1.0], 0.1 * (1 + 1e-9 * np.arange(-30, 30))])
        group = Group(lie_algebra=[np.diag(weights)])
        with pytest.raises(NotConverged, match=r"crowd around the tolerance of 0\.1"):
            V(group).equivariant_basis(store=False, tolerance=0.1, method="krylov")


@pytest.mark.parametrize("digits", [4, 5, 6, 7, 9, "float32"])
@pytest.mark.parametrize("name", ["Heisenberg", "Galilei", "SE(2)", "SO(3)", "SU(2) on ℝ⁴", "D(5)"])
@pytest.mark.sampled(12)
def test_no_rank_of_a_rounded_group_is_wrong(name: str, digits: int | str) -> None:
    exact = {**REDUCTIVE, **NOT_REDUCTIVE}[name]
    expected = T(2)(exact).equivariant_basis(store=False).rank
    for condition in (1.0, 3.0, 30.0):
        frame = random_frame(exact.d, condition, np.random.default_rng(11))
        group = mapped(conjugate(exact, frame), to_digits(digits))
        try:
            rank = T(2)(group).equivariant_basis(store=False).rank
        except AmbiguousRank:
            continue
        assert rank == expected


def test_precision_is_judged_in_large_reps() -> None:
    """Only what is orthogonal to the basis is searched, so that it costs no more than the basis."""
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    turn = np.round(q @ np.array([[0, 1.0, 0], [-1, 0, 0], [0, 0, 0]]) @ q.T, 6)
    assert T(7)(Group(lie_algebra=[turn])).equivariant_basis(store=False).rank == 393
    charges = Group(lie_algebra=[np.diag([0.333333, -0.666667, 1.0])])
    with pytest.raises(AmbiguousRank, match="as given and at least"):
        T(6)(charges).equivariant_basis(store=False)


def test_a_tolerance_may_be_of_numpy() -> None:
    turn = Group(lie_algebra=[[[0.002, 1.001], [-0.998, -0.001]]])
    assert T(2)(turn).equivariant_basis(store=False, tolerance=np.float32(5e-3)).rank == 2
