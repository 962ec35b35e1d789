"""Sym^k in Bombieri-orthonormal monomials, against full tensors."""

from __future__ import annotations

from itertools import product
from math import factorial, prod

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import TooLarge
from intertwine.groups import GL, SO, U
from intertwine.polynomials.joint_groups import joint_action
from intertwine.polynomials.monomials import (
    JointSymmetricPower,
    monomials_of,
    order_of,
    power_of,
    products_of,
)
from intertwine.reps import Scalar, V


def values(degree: int, x: np.ndarray) -> np.ndarray:
    """√(k!/α!) x^α for all α."""
    found = []
    for row in monomials_of(len(x), degree).exponents:
        size = factorial(degree) / prod(factorial(int(a)) for a in row)
        found.append(np.sqrt(size) * np.prod(x**row))
    return np.array(found)


@laws
@given(st.integers(0, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_monomials_have_the_inner_products_of_tensor_powers(degree: int, n: int, seed: int) -> None:
    x, y = np.random.default_rng(seed).standard_normal((2, n))
    assert np.isclose(values(degree, x) @ values(degree, y), (x @ y) ** degree)
    g = np.random.default_rng(seed + 1).standard_normal((n, n))
    rep = V(GL(n))
    power = JointSymmetricPower(degree, rep, joint_action([rep]))
    assert np.allclose(power.rho(g) @ values(degree, x), values(degree, g @ x))
    step = 1e-5
    moved = [power.rho(np.eye(n) + s * step * g) for s in (1, -1)]
    assert np.allclose(power.drho(g), (moved[0] - moved[1]) / (2 * step), atol=1e-5)


@pytest.mark.parametrize("rep", [V(SO(3)), V(U(2)), V(SO(2)) + V(SO(3))], ids=repr)
def test_it_is_a_representation_which_the_algebra_accepts(rep: object) -> None:
    from intertwine.reps import Rep

    assert isinstance(rep, Rep)
    action = joint_action([rep])
    power = JointSymmetricPower(3, rep, action)
    a, b = action.group.samples(2, seed=1)
    assert np.allclose(power.rho(a) @ power.rho(b), power.rho(a @ b))
    assert np.allclose(power.rho(a).conj().T @ power.rho(a), np.eye(power.size()))
    assert power.equivariant_basis().shape[0] == power.size()


@laws
@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_products_of_polynomials_are_products_of_their_values(
    k: int, m: int, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((2, len(monomials_of(n, k))))
    b = rng.standard_normal((3, len(monomials_of(n, m))))
    x = rng.standard_normal(n)
    expected = [p * q for p, q in product(a @ values(k, x), b @ values(m, x))]
    assert np.allclose(products_of(a, b, n, (k, m)) @ values(k + m, x), expected)


def test_too_many_monomials_are_refused() -> None:
    with pytest.raises(TooLarge, match="there are 2,220,075 monomials of degree 8 in 20 variables"):
        monomials_of(20, 8)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_the_power_of_a_sum_is_the_sum_of_products_in_another_order(degree: int) -> None:
    rep = 2 * V(SO(3)) + Scalar + V(SO(2))
    action = joint_action([rep])
    split, order = power_of(degree, rep, action), order_of(degree, rep)
    assert sorted(order) == list(range(len(order)))
    g = action.group.sample(1)
    whole = JointSymmetricPower(degree, rep, action).rho(g)
    assert np.allclose(split.rho_dense(action.group.sample(1)), whole[np.ix_(order, order)])
