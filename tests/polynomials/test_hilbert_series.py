"""Hilbert series against published tables, classical theorems, and the solver's ranks."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import assume, given
from hypothesis import strategies as st
from intertwine.errors import (
    AmbiguousRank,
    InvalidSetting,
    NotConcrete,
    RoundedGenerators,
    TooLarge,
)
from intertwine.groups import (
    G2,
    GL,
    Q8,
    SE,
    SL,
    SO,
    SO13,
    SU,
    BinaryTetrahedral,
    C,
    D,
    Group,
    Hyperoctahedral,
    O,
    O2eR3,
    PointGroup,
    S,
    Scaling,
    Sp,
    Spin,
    Trivial,
    U,
    WreathProduct,
    Z,
    parse_group,
)
from intertwine.operators import dense
from intertwine.polynomials import HilbertSeries, molien
from intertwine.polynomials.hilbert_series import solved
from intertwine.polynomials.joint_groups import joint_action
from intertwine.polynomials.monomials import JointSymmetricPower
from intertwine.reps import Rep, Scalar, V


def series(numerator: dict[int, int], degrees: tuple[int, ...], degree: int) -> list[int]:
    """The coefficients of Σ aₖtᵏ / ∏(1 − t^d), by recursion."""
    found = [numerator.get(k, 0) for k in range(degree + 1)]
    for d in degrees:
        for k in range(d, degree + 1):
            found[k] += found[k - d]
    return found


def binary_form(d: int, group: Group | None = None) -> Rep:
    """The rep of SL(2) on binary forms of degree d."""
    rep = V(group or SL(2))
    return JointSymmetricPower(d, rep, joint_action([rep]))


#: The degrees of basic invariants of finite reflection groups (Humphreys 1990, table 3.1).
REFLECTION_GROUPS = {
    "A3": (V(S(4)), (1, 2, 3, 4)),  # on permuted coordinates, with their sum
    "A4": (V(S(5)), (1, 2, 3, 4, 5)),
    "B2": (V(Hyperoctahedral(2)), (2, 4)),
    "B3": (V(Hyperoctahedral(3)), (2, 4, 6)),
    "B4": (V(Hyperoctahedral(4)), (2, 4, 6, 8)),
    "H3": (V(PointGroup("Ih")), (2, 6, 10)),
    "I2(7)": (V(D(7)), (2, 7)),
}


@pytest.mark.parametrize("name", REFLECTION_GROUPS)
def test_the_invariants_of_a_reflection_group_are_polynomials_in_basic_ones(name: str) -> None:
    rep, degrees = REFLECTION_GROUPS[name]
    found = molien(rep, 12)
    assert list(found) == series({0: 1}, degrees, 12)
    assert (found.numerator, found.denominator) == ((1,), degrees)
    assert found.method == "characters"


#: Numerators and degrees of primary invariants (the vectors of a point group, and 2 × 2 groups).
FINITE = {
    "I": (V(PointGroup("I")), {0: 1, 15: 1}, (2, 6, 10)),
    "O": (V(PointGroup("O")), {0: 1, 9: 1}, (2, 4, 6)),
    "T": (V(PointGroup("T")), {0: 1, 6: 1}, (2, 3, 4)),
    "Td": (V(PointGroup("Td")), {0: 1}, (2, 3, 4)),
    "Ci": (V(PointGroup("Ci")), {0: 1, 2: 3}, (2, 2, 2)),
    "C2v": (V(PointGroup("C2v")), {0: 1}, (1, 2, 2)),
    "Q8": (V(Q8()), {0: 1, 6: 1}, (4, 4)),  # the singularity D₄
    "2T": (V(BinaryTetrahedral()), {0: 1, 12: 1}, (6, 8)),  # E₆ (Klein 1884)
    "C5": (V(C(5)), {0: 1, 5: 1}, (2, 5)),
}


@pytest.mark.parametrize("name", FINITE)
def test_the_invariants_of_finite_groups_are_those_of_the_tables(name: str) -> None:
    rep, numerator, degrees = FINITE[name]
    found = molien(rep, 20)
    assert list(found) == series(numerator, degrees, 20)
    assert found.denominator == degrees
    assert found.numerator is not None
    assert {k: a for k, a in enumerate(found.numerator) if a} == numerator


#: Invariants of binary forms (Sylvester and Franklin 1879; Springer, *Invariant theory*, 1977).
BINARY_FORMS = {
    2: ({0: 1}, (2,)),
    3: ({0: 1}, (4,)),
    4: ({0: 1}, (2, 3)),
    5: ({0: 1, 18: 1}, (4, 8, 12)),
    6: ({0: 1, 15: 1}, (2, 4, 6, 10)),
    8: ({0: 1, 8: 1, 9: 1, 10: 1, 18: 1}, (2, 3, 4, 5, 6, 7)),
}


@pytest.mark.parametrize("d", BINARY_FORMS)
def test_the_invariants_of_binary_forms_are_those_of_sylvester(d: int) -> None:
    numerator, degrees = BINARY_FORMS[d]
    found = molien(binary_form(d), 36)
    assert list(found) == series(numerator, degrees, 36)
    assert (found.method, found.closed_form) == ("weights", None)


@pytest.mark.parametrize("group", [SL(2), SU(2), Spin(3)], ids=repr)
def test_the_covariants_of_a_quadratic_form_are_a_polynomial_in_two(group: Group) -> None:
    # those of order 2j are the j-th power of the form, times powers of the discriminant
    for j in range(3):
        found = molien(binary_form(2, group), 8, binary_form(2 * j, group))
        assert list(found) == series({j: 1}, (2,), 8)


def vectors(k: int) -> tuple[int, ...]:
    return (2,) * (k * (k + 1) // 2)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_few_vectors_have_only_their_inner_products_as_invariants(n: int) -> None:
    # Weyl 1939: for k ≤ n vectors of O(n) without relations; for k < n also of SO(n)
    for k in range(1, min(n, 3) + 1):
        assert list(molien((k * V)(O(n)), 6)) == series({0: 1}, vectors(k), 6)
        if n > 1:
            signs = {0: 1, n: 1} if k == n else {0: 1}  # the determinant; its square is a product
            assert list(molien((k * V)(SO(n)), 6)) == series(signs, vectors(k), 6)


#: Counted by classical theorems: the first and second fundamental theorems, Schwarz 1978 for G₂.
CLASSICAL: dict[str, tuple[Rep, Rep, list[int]]] = {
    "a vector of two": ((2 * V)(O(3)), V(O(3)), series({1: 2}, (2, 2, 2), 8)),
    "a cross product": ((2 * V)(SO(3)), V(SO(3)), series({1: 2, 2: 1}, (2, 2, 2), 8)),
    "pairings": ((2 * V + V.T)(GL(3)), Scalar(GL(3)), series({0: 1}, (2, 2), 8)),
    "matrices": ((V * V.T)(GL(3)), Scalar(GL(3)), series({0: 1}, (1, 2, 3), 8)),
    "unitary": ((V + V.T)(U(3)), Scalar(U(3)), series({0: 1}, (2,), 8)),
    "a determinant": ((3 * V)(SL(3)), Scalar(SL(3)), series({0: 1}, (3,), 8)),
    "symplectic": ((3 * V)(Sp(2)), Scalar(Sp(2)), series({0: 1}, (2, 2, 2), 8)),
    "Lorentz": ((3 * V)(SO13()), Scalar(SO13()), series({0: 1}, vectors(3), 8)),
    "ten dimensions": ((2 * V)(SO(10)), V(SO(10)), series({1: 2}, (2, 2, 2), 4)),
    "octonions": ((3 * V)(G2()), Scalar(G2()), series({0: 1}, (*vectors(3), 3), 6)),
    "a quantum state": (V(SU(2)), Scalar(SU(2)), series({0: 1}, (), 8)),
    "scales": (V(Scaling(3)), Scalar(Scaling(3)), series({0: 1}, (), 8)),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_theorems_count_the_invariants_of_lie_groups(name: str) -> None:
    rep, rep_out, expected = CLASSICAL[name]
    found = molien(rep, len(expected) - 1, rep_out)
    assert list(found) == expected
    assert found.method == "weights"


#: Small reps of groups of every kind; those that are not reductive are solved.
SMALL: dict[str, tuple[Rep, Rep]] = {
    "Z": (V(Z(4)), V(Z(4))),
    "S": (V(S(4)), V(S(4)) ** 2),
    "complex, finite": (V(Q8()), V(Q8())),
    "O(2)": ((V + V**2)(O(2)), V(O(2))),
    "O(4)": ((2 * V)(O(4)), (V**2)(O(4))),
    "SO(4)": ((V**2)(SO(4)), Scalar),
    "O(3) as a matrix": ((V**2)(O(3)), V(O(3))),
    "U(2)": ((V + V.T)(U(2)), (V * V.T)(U(2))),
    "SL(2)": ((V + V.T)(SL(2)), V(SL(2))),
    "two groups": (V(O(2)) * V(S(3)), V(O(2)) * V(S(3))),
    "two Lie groups": (V(SO(2)) * V(SO(3)) + V(O(3)), Scalar),
    "a wreath product": (V(WreathProduct(O(2), S(2))), V(WreathProduct(O(2), S(2)))),
    "components": (V(O2eR3()), V(O2eR3())),
    "copies": (V(SO(3).copies(2)[0]) + V(SO(3).copies(2)[1]), Scalar),
    "scalars": (V(O(2)) + Scalar(O(2)), V(O(2))),
    "no group": (2 * Scalar, Scalar),
    "trivial": (V(Trivial(2)), V(Trivial(2))),
}


@cache
def ranks(name: str, degree: int) -> list[int]:
    rep, rep_out = SMALL[name]
    action = joint_action((rep, rep_out))
    return [solved(action, k, rep, rep_out).shape[1] for k in range(degree + 1)]


@pytest.mark.sampled(9)
@pytest.mark.parametrize("name", SMALL)
def test_there_are_as_many_as_the_solver_finds(name: str) -> None:
    degree = 2 if SMALL[name][0].size() > 6 else 3
    found = molien(SMALL[name][0], degree, SMALL[name][1])
    assert list(found) == ranks(name, degree)
    assert found.method in ("characters", "weights")


def test_groups_that_are_not_reductive_are_solved() -> None:
    # (x, y, 1) transforms by a rigid motion: its invariants are those of the last coordinate
    found = molien(V(SE(2)), 3)
    assert list(found) == [1, 1, 1, 1]
    assert found.method == "solve"
    shear = Group(discrete_generators=[np.array([[1, 1], [0, 1]])])
    assert list(molien(V(shear), 3)) == [1, 1, 1, 1]


@pytest.mark.parametrize("apart", [5e-10, 3e-12])
def test_charges_that_nearly_cancel_are_ambiguous_as_for_the_solver(apart: float) -> None:
    rep = V(Group(lie_algebra=[np.diag([1.0, -1 - apart])]))
    for count in (lambda: molien(rep, 2), (rep**2).equivariant_basis):
        with pytest.raises(AmbiguousRank):
            count()


@pytest.mark.slow
@laws
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=4), st.integers(2, 6))
def test_charges_are_counted_as_monomials_of_total_charge_zero(
    charges: list[int], order: int
) -> None:
    from itertools import combinations_with_replacement

    turns = np.diag(np.exp(2j * np.pi * np.array(charges) / order))
    group = Group(discrete_generators=[turns])
    circle = Group(lie_algebra=[1j * np.diag(charges).astype(complex)])
    for one, modulus in ((group, order), (circle, 10**6)):
        expected = [
            sum(sum(c) % modulus == 0 for c in combinations_with_replacement(charges, k))
            for k in range(5)
        ]
        assert list(molien(V(one), 4)) == expected


@pytest.mark.slow
@laws
@given(st.sampled_from(["O(2)", "SO(3)", "D(5)", "SL(2)"]), st.integers(0, 2**32 - 1))
def test_the_frame_does_not_matter(name: str, seed: int) -> None:
    group = parse_group(name)
    frame = np.eye(group.d) + 0.4 * np.random.default_rng(seed).uniform(-1, 1, (group.d,) * 2)
    assume(np.linalg.cond(frame) < 20)
    inverse = np.linalg.inv(frame)
    moved = Group(
        lie_algebra=[frame @ np.asarray(dense(a)) @ inverse for a in group.lie_generators],
        discrete_generators=[
            frame @ np.asarray(dense(h)) @ inverse for h in group.group_generators
        ],
    )
    for rep in (2 * V, V + V.T * V):
        found = molien(rep(moved), 3, V(moved))
        assert found == molien(rep(group), 3, V(group))
        assert found.method != "solve"


def test_a_rotation_by_golden_angles_is_counted_exactly_to_high_degrees() -> None:
    found = molien(V(PointGroup("Ih")), 600)
    assert list(found) == series({0: 1}, (2, 6, 10), 600)
    many = molien((4 * V)(SO(2)), 120)
    assert max(many) > 2**30
    assert many[2] == 16


def test_a_series_is_a_sequence_that_prints_as_mathematics() -> None:
    found = molien(V(Hyperoctahedral(2)), 4)
    assert found == HilbertSeries((1, 0, 1, 0, 2), "characters", (1,), (2, 4))
    assert repr(found) == "1 + t² + 2t⁴ + O(t⁵)"
    assert found._repr_latex_() == "$1 + t^{2} + 2t^{4} + O(t^{5})$"
    assert (found.degree, len(found), found[4], found[:3]) == (4, 5, 2, (1, 0, 1))
    assert str(found.closed_form) == "1/((1 - t**2)*(1 - t**4))"
    assert repr(molien(V(SO(2)), 0)) == "1 + O(t)"
    assert repr(molien(V(SO(3)), 1, V(SO(3)))) == "t + O(t²)"


def test_the_closed_form_has_the_coefficients() -> None:
    import sympy

    found = molien(V(PointGroup("T")), 12, V(PointGroup("T")))
    t = sympy.Symbol("t")
    expansion = sympy.series(found.closed_form, t, 0, 13).removeO()
    assert [expansion.coeff(t, k) for k in range(13)] == list(found)
    assert prod(found.denominator or ()) > 0


@pytest.mark.parametrize("ratio", [np.sqrt(2), 1 + 1e-7])
def test_charges_that_are_not_clearly_multiples_are_solved(ratio: float) -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    group = Group(lie_algebra=[np.kron(np.diag([1.0, ratio]), turn)])
    try:
        found = molien(V(group), 2)
    except AmbiguousRank:
        assert ratio < 1.1
    else:
        assert list(found) == [1, 0, 2]
        assert found.method == "solve"


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(NotConcrete, match="has no group yet"):
        molien(V, 3)
    for degree in (-1, 1001, 2.0, True):
        with pytest.raises(InvalidSetting, match="the degree is an integer from 0 to 1,000"):
            molien(V(S(3)), degree)
    with pytest.raises(TooLarge, match="polynomials of degree 3 in 32 variables"):
        molien((8 * V)(Group(lie_algebra=[np.diag(np.ones(3), 1)])), 3)
    nearly: Any = np.round(np.array([[np.cos(1.2), -np.sin(1.2)], [np.sin(1.2), np.cos(1.2)]]), 5)
    with pytest.raises(RoundedGenerators):
        molien(V(Group(discrete_generators=[nearly])), 3)
