"""Minimal generators of invariant rings against published degrees."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.groups import SE, SL, SO, SU, D, Hyperoctahedral, O, PointGroup, S, U
from intertwine.polynomials import generators, molien
from intertwine.polynomials.joint_groups import joint_action
from intertwine.polynomials.monomials import JointSymmetricPower, monomials_of
from intertwine.reps import Rep, Scalar, V


def binary_form(d: int) -> Rep:
    rep = V(SU(2))
    return JointSymmetricPower(d, rep, joint_action([rep]))


#: Humphreys 1990; Weyl 1939; Sylvester 1879 for binary forms; Noether's bound for the others.
DEGREES: dict[str, tuple[Rep, int, tuple[int, ...]]] = {
    "S(4)": (V(S(4)), 5, (1, 2, 3, 4)),
    "B3": (V(Hyperoctahedral(3)), 8, (2, 4, 6)),
    "H3": (V(PointGroup("Ih")), 10, (2, 6, 10)),
    "I2(5)": (V(D(5)), 6, (2, 5)),
    "Ci": (V(PointGroup("Ci")), 4, (2,) * 6),
    "C3": (V(PointGroup("C3")), 4, (1, 2, 3, 3)),
    "O(3) on two vectors": ((2 * V)(O(3)), 4, (2, 2, 2)),
    "SO(3) on three vectors": ((3 * V)(SO(3)), 3, (2,) * 6 + (3,)),
    "SO(2) on two vectors": ((2 * V)(SO(2)), 4, (2, 2, 2, 2)),
    "U(2)": ((2 * V + V.T)(U(2)), 3, (2, 2)),
    "SL(2) on three vectors": ((3 * V)(SL(2)), 4, (2, 2, 2)),
    "a matrix of O(2)": ((V**2)(O(2)), 4, (1, 2, 2)),
    "a binary quadratic": (binary_form(2), 4, (2,)),
    "a binary cubic": (binary_form(3), 5, (4,)),
    "a binary quartic": (binary_form(4), 5, (2, 3)),
    "a rigid motion": (V(SE(2)), 3, (1,)),
}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", DEGREES)
def test_generators_have_the_published_degrees(name: str) -> None:
    rep, degree, expected = DEGREES[name]
    found = generators(rep, degree)
    assert found.degrees == expected
    assert found.rep_out == Scalar
    x = np.random.default_rng(0).uniform(-1, 1, (4, rep.size()))
    g = joint_action([rep]).rho(rep, rep.G.sample(3))
    assert np.allclose(found(x @ g.T), found(x), atol=1e-8 * np.abs(g).max() ** degree)


@pytest.mark.slow
def test_groups_with_unbounded_elements_have_the_invariants_of_their_compact_forms() -> None:
    rep = V(SL(2))
    quartic = JointSymmetricPower(4, rep, joint_action([rep]))
    assert generators(quartic, 7).degrees == (2, 3)


@pytest.mark.slow
def test_generators_and_their_products_are_all_invariants() -> None:
    # the values of products at random points have the rank that the Hilbert series says
    rep = (3 * V)(SO(3))
    found = generators(rep, 4)
    x = np.random.default_rng(1).uniform(-1, 1, (80, 9))
    values = found(x)[..., 0]
    of_degree_2 = [i for i, k in enumerate(found.degrees) if k == 2]
    products = [values[:, i] * values[:, j] for i in of_degree_2 for j in of_degree_2 if i <= j]
    assert np.linalg.matrix_rank(np.stack(products), tol=1e-8) == molien(rep, 4)[4]


def test_generators_are_orthogonal_to_products_of_lower_ones() -> None:
    found = generators(V(Hyperoctahedral(2)), 4)
    square, fourth = found.coefficients[2][0, 0], found.coefficients[4][0, 0]
    assert np.allclose(np.abs(square), [np.sqrt(0.5), 0, np.sqrt(0.5)])
    # |x|⁴ = x⁴ + 2x²y² + y⁴, in √(k!/α!) x^α: (1, √(2/3)·…, 1) up to scale
    exponents = monomials_of(2, 4).exponents
    norm4 = {(4, 0): 1.0, (2, 2): 2 / np.sqrt(6), (0, 4): 1.0}
    vector = np.array([norm4.get(tuple(row), 0.0) for row in exponents.tolist()])
    assert abs(vector @ fourth) < 1e-12
    assert found.coefficients[0].shape == (0, 1, 1)
