"""Bases of equivariant polynomial maps: complete, orthonormal, for any array library."""

from __future__ import annotations

import sys
from math import factorial, prod
from typing import Any

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import InvalidRep, InvalidSetting, NotConcrete, TooLarge
from intertwine.groups import (
    SE,
    SO,
    SU,
    Group,
    Hyperoctahedral,
    O,
    PointGroup,
    S,
    Trivial,
    WreathProduct,
    parse_group,
)
from intertwine.operators import dense
from intertwine.polynomials import molien, polynomial_basis
from intertwine.polynomials.joint_groups import joint_action
from intertwine.polynomials.polynomial_maps import in_fixed_gauge
from intertwine.reps import Rep, Scalar, V

#: Reps in and out of groups of every kind, and the degree.
CASES: dict[str, tuple[Rep, Rep, int]] = {
    "permutations": (V(S(3)), V(S(3)), 3),
    "a reflection group": (V(Hyperoctahedral(3)), V(Hyperoctahedral(3)), 3),
    "a point group": (V(PointGroup("C3")), (V**2)(PointGroup("C3")), 2),
    "vectors": ((2 * V)(O(3)), V(O(3)), 3),
    "cross products": ((2 * V)(SO(3)), V(SO(3)), 2),
    "complex": ((V + V.T)(SU(2)), V(SU(2)), 3),
    "not reductive": (V(SE(2)), V(SE(2)), 3),
    "two groups": (V(O(2)) * V(S(2)), V(O(2)), 3),
    "scalars": (Scalar(O(2)) + V(O(2)), Scalar, 2),
    "no symmetry": (V(Trivial(2)), V(Trivial(2)), 2),
    "a wreath product": (
        V(WreathProduct(O(2), S(2))),
        V(WreathProduct(O(2), S(2))),
        3,
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", CASES)
def test_every_equivariant_polynomial_is_one_combination(name: str) -> None:
    rep_in, rep_out, degree = CASES[name]
    maps = polynomial_basis(rep_in, rep_out, degree)
    assert list(maps.counts) == list(molien(rep_in, degree, rep_out))
    action = joint_action((rep_in, rep_out))
    x = np.random.default_rng(0).uniform(-1, 1, (2, 5, rep_in.size()))
    values = maps(x)
    assert values.shape == (2, 5, len(maps), rep_out.size())
    for g in action.group.samples(2, seed=3):
        moved = maps(x @ action.rho(rep_in, g).T)
        expected = values @ action.rho(rep_out, g).T
        assert np.allclose(moved, expected, rtol=1e-9, atol=1e-9 * np.abs(moved).max(initial=1))
    for k, own in enumerate(maps.coefficients):
        rows = own.reshape(len(own), prod(own.shape[1:]))
        assert np.allclose(rows.conj() @ rows.T, np.eye(len(rows)), atol=1e-10)
        assert maps.certificates[k].rank == len(own)
    # homogeneous: p(2x) = 2ᵏp(x)
    assert np.allclose(maps(2 * x), 2.0 ** np.array(maps.degrees)[:, None] * values)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vectors", "cross products", "a reflection group"])
def test_the_polynomials_of_networks_have_the_same_span(name: str) -> None:
    from intertwine.nn import EquivariantPolynomial

    rep_in, rep_out, degree = CASES[name]
    maps = polynomial_basis(rep_in, rep_out, degree)
    network = EquivariantPolynomial(rep_in, rep_out, degree=degree)
    x = np.random.default_rng(0).uniform(-1, 1, (60, rep_in.size()))
    (irrep,) = network.space_out.kinds
    columns = network.columns(irrep, x)
    rows = maps(x).transpose(1, 0, 2).reshape(len(maps), -1)
    assert columns.shape[1] == len(maps)
    for column in columns.T:
        value = network.untargeted({irrep: column[:, None]}).reshape(-1)
        rest = value - np.linalg.lstsq(rows.T, value)[0] @ rows
        assert np.abs(rest).max() < 1e-9 * np.abs(value).max()


def test_values_are_those_of_the_coefficients_and_exponents() -> None:
    maps = polynomial_basis((2 * V)(O(2)), V(O(2)), 3)
    x = np.random.default_rng(1).standard_normal(4)
    expected = []
    for k, own in enumerate(maps.coefficients):
        exponents = maps.exponents(k)
        sizes = [factorial(k) / prod(factorial(int(a)) for a in row) for row in exponents]
        expected += list(own @ (np.sqrt(sizes) * np.prod(x**exponents, axis=1)))
    assert np.allclose(maps(x), expected)


def test_the_first_map_of_a_cube_is_x_and_the_norm_is_an_invariant() -> None:
    maps = polynomial_basis(V(Hyperoctahedral(3)), V(Hyperoctahedral(3)), 1)
    x = np.array([1.0, 2.0, 3.0])
    assert np.allclose(maps(x), [x / np.sqrt(3)])
    assert repr(maps) == (
        "<1 polynomial maps of degree up to 1, V(Hyperoctahedral(3)) → V(Hyperoctahedral(3))>"
    )
    norm = polynomial_basis(V(O(3)), Scalar, 2)
    assert norm.degrees == (0, 2)
    assert np.allclose(norm(x)[:, 0], [1, 14 / np.sqrt(3)])


@laws
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(0, 3), st.booleans())
def test_the_gauge_depends_on_the_span_alone(seed: int, n: int, r: int, is_complex: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, min(r, n))) + 1j * is_complex * rng.standard_normal(
        (n, min(r, n))
    )
    first = np.linalg.qr(vectors)[0]
    turn = np.linalg.qr(rng.standard_normal((first.shape[1],) * 2))[0]
    found = in_fixed_gauge(first)
    assert np.allclose(in_fixed_gauge(first @ turn), found)
    assert np.allclose(found.conj() @ found.T, np.eye(len(found)))
    assert np.allclose(found.T @ found.conj(), first @ first.conj().T)


@pytest.mark.slow
def test_bases_are_the_same_in_another_order_of_generators() -> None:
    group = parse_group("O(3)")
    lie, discrete = (
        [np.asarray(dense(a)) for a in own]
        for own in (group.lie_generators, group.group_generators)
    )
    other = Group(lie_algebra=lie[::-1], discrete_generators=discrete)
    one, two = (polynomial_basis((2 * V)(g), V(g), 3) for g in (group, other))
    for a, b in zip(one.coefficients, two.coefficients, strict=True):
        assert np.allclose(a, b, atol=1e-9)


@pytest.mark.slow
def test_jax_arrays_are_traced_in_their_own_precision() -> None:
    import jax
    import jax.numpy as jnp

    maps = polynomial_basis((2 * V)(SO(3)), V(SO(3)), 2)
    x = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    found = jax.jit(maps)(jnp.asarray(x))
    assert found.dtype == np.float32
    assert maps(x).dtype == np.float32
    assert np.allclose(found, maps(x), atol=1e-5)
    one = jax.jacobian(maps)(jnp.asarray(x[0]))
    h = 1e-3 * np.eye(6, dtype=np.float32)
    assert np.allclose(
        one,
        np.moveaxis((maps(x[0] + h) - maps(x[0] - h)) / 2e-3, 0, -1),
        atol=1e-2,
    )
    assert np.array_equal(jax.vmap(maps)(jnp.asarray(x)), maps(jnp.asarray(x)))


def test_integers_and_complex_numbers_are_accepted() -> None:
    real = polynomial_basis(V(O(2)), Scalar, 2)
    assert np.allclose(real([3, 4])[:, 0], [1, 25 / np.sqrt(2)])
    assert np.isclose(real(np.array([1j, 0]))[1, 0], -1 / np.sqrt(2))
    compl = polynomial_basis((V + V.T)(SU(2)), V(SU(2)), 1)
    assert compl(np.ones((2, 4), np.float32)).dtype == np.complex64


def test_tensors_of_pytorch_keep_their_gradients() -> None:
    torch = pytest.importorskip("torch")
    maps = polynomial_basis((2 * V)(SO(3)), V(SO(3)), 2)
    x = np.random.default_rng(0).standard_normal((3, 6))
    given_tensor = torch.tensor(x, requires_grad=True)
    found = maps(given_tensor)
    assert found.dtype == torch.float64
    assert np.allclose(found.detach().numpy(), maps(x))
    found.sum().backward()
    assert np.isfinite(given_tensor.grad.numpy()).all()


def test_pytorch_is_not_imported() -> None:
    before = "torch" in sys.modules
    polynomial_basis(V(O(2)), Scalar, 1)(np.ones(2))
    assert ("torch" in sys.modules) == before


def test_what_cannot_be_solved_is_refused() -> None:
    with pytest.raises(NotConcrete):
        polynomial_basis(V, V, 2)
    for degree in (-1, 65, "2"):
        with pytest.raises(InvalidSetting, match="an integer from 0 to 64"):
            polynomial_basis(V(O(2)), V(O(2)), degree)
    with pytest.raises(InvalidRep, match="has size 0"):
        polynomial_basis((0 * V)(O(2)), V(O(2)), 2)
    with pytest.raises(TooLarge, match="are solved for: give a lower degree"):
        polynomial_basis((10 * V)(O(3)), V(O(3)), 4)
    maps = polynomial_basis(V(O(2)), V(O(2)), 1)
    broken: Any
    for broken in (np.ones(3), np.float64(1.0)):
        with pytest.raises(InvalidRep, match=r"give one of shape \(…, 2\)"):
            maps(broken)


@pytest.mark.parametrize("name", ["cross products", "complex", "a point group", "two groups"])
def test_formulas_have_the_values_of_the_maps(name: str) -> None:
    import sympy

    rep_in, rep_out, degree = CASES[name]
    maps = polynomial_basis(rep_in, rep_out, degree)
    point = np.random.default_rng(3).standard_normal(rep_in.size())
    x = sympy.symbols(f"x1:{len(point) + 1}")
    for formula, value in zip(maps.formulas(), maps(point), strict=True):
        found = np.array(sympy.lambdify([x], formula, "numpy")(point)).ravel()
        np.testing.assert_allclose(found, value, atol=1e-12)


def test_formulas_are_exact_and_in_named_variables() -> None:
    maps = polynomial_basis((2 * V)(SO(2)), Scalar, 2)
    assert str(maps.formulas("a b c d")[1]) == "sqrt(2)*a**2/2 + sqrt(2)*b**2/2"
    with pytest.raises(InvalidRep, match="2 variables are named: name 4"):
        maps.formulas(["a", "b"])
