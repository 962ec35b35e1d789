"""Exact bases: solutions of the exact constraints, printed so that a person can read them."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.bases import Basis
from intertwine.errors import MethodNotApplicable, NotConcrete, SolveError, TooLarge
from intertwine.exact import certify, exact_basis
from intertwine.groups import SO, Group, O, S, parse_group
from intertwine.operators import dense
from intertwine.reps import Rep, Scalar, T, V

CASES = [
    ("SO(3)", V**3),
    ("SO(3)", V**4),
    ("O(3)", V**3),
    ("SO13p()", T(2)),
    ("SO13p()", T(1, 1)),
    ("D(3)", V**3),
    ("D(6)", V**4),
    ("C(8)", V**2),
    ("S(4)", V**2),
    ("Sp(1)", V**2),
    ("SL(2)", T(2, 2)),
    ("Cube()", V**2),
]


@pytest.mark.parametrize(("name", "rep"), CASES, ids=str)
class TestExactBases:
    def test_exact_bases_span_those_of_the_solver(self, name: str, rep: Rep) -> None:
        concrete = rep(parse_group(name))
        exact = exact_basis(concrete)
        basis = concrete.equivariant_basis(store=False)
        assert exact.rank == basis.rank
        assert certify(basis, exact) <= 1e-12

    def test_they_are_invariant_and_independent(self, name: str, rep: Rep) -> None:
        concrete = rep(parse_group(name))
        q = exact_basis(concrete).dense()
        assert np.linalg.matrix_rank(q) == q.shape[1] if q.shape[1] else True
        for a in concrete.G.lie_generators:
            np.testing.assert_allclose(
                np.asarray(concrete.drho_dense(np.asarray(dense(a)))) @ q, 0, atol=1e-12
            )
        for h in concrete.G.group_generators:
            image = np.asarray(concrete.rho_dense(np.asarray(dense(h))))
            np.testing.assert_allclose(image @ q, q, atol=1e-12)


class TestHowTheyPrint:
    def test_the_cross_product(self) -> None:
        assert str(exact_basis((V**3)(SO(3)))) == "e123 - e132 - e213 + e231 + e312 - e321"

    def test_the_metric_of_minkowski(self) -> None:
        assert str(exact_basis(T(2)(parse_group("SO13p()")))) == "e11 - e22 - e33 - e44"

    def test_latex(self) -> None:
        latex = exact_basis((V**2)(O(2)))._repr_latex_()
        assert "e_{11} + e_{22}" in latex

    def test_no_invariants(self) -> None:
        assert str(exact_basis((V**3)(O(3)))) == "0"

    @pytest.mark.slow
    def test_many_terms_are_cut(self) -> None:
        assert "more terms" in str(exact_basis((V**2)(S(12))))
        assert "e1,2" in str(exact_basis((V**2)(S(12))))


class TestWhatIsRefused:
    def test_a_wrong_basis_is_detected(self) -> None:
        exact = exact_basis((V**2)(SO(3)))
        with pytest.raises(SolveError, match="shape"):
            certify((V**4)(SO(3)).equivariant_basis(store=False), exact)
        other = (V**2)(parse_group("O13()")).equivariant_basis(store=False)
        euclidean = exact_basis((V**2)(SO(4)))
        with pytest.raises(SolveError, match="away"):
            certify(other, euclidean)
        assert isinstance(other, Basis)

    def test_the_rest(self) -> None:
        with pytest.raises(TooLarge):
            exact_basis(T(8)(SO(3)))
        with pytest.raises(NotConcrete):
            exact_basis(V)
        with pytest.raises(MethodNotApplicable, match="product"):
            exact_basis((V + Scalar)(SO(3)))
        with pytest.raises(MethodNotApplicable, match="entry"):
            exact_basis(V(Group(lie_algebra=[[[0.1234567891, 0.0], [0.0, 1.0]]])))
