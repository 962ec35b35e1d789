"""Equivariant polynomials: all of them, equivariant, and found by least squares."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from helpers.example_networks import CASES, IN_IRREPS, Case, double_precision, error, moved, points
from intertwine.architecture.conjugates import with_dual
from intertwine.errors import InvalidRep, InvalidSetting, MethodNotApplicable, TooLarge
from intertwine.groups import SO, Group, O, S, SO13p, parse_group
from intertwine.nn import EquivariantPolynomial, bake, export, load, save
from intertwine.reps import Rep, Scalar, T, V

LARGEST = 6_000
"""The solver finds a basis for maps with at most this many entries."""
#: Cases of every kind of irrep, for tests that need no more.
SOME = ("SO(3)", "SO(2), of complex type", "quaternionic type", "SU(2)", "SO13p", "S(4)")


def polynomial(case: Case, degree: int, **settings: Any) -> EquivariantPolynomial:
    return EquivariantPolynomial(case.rep_in, case.rep_out, case.group, degree, **settings)


def counts(model: EquivariantPolynomial) -> list[int]:
    """The number of independent equivariant polynomials of each degree."""
    space, found = model.space_out, np.zeros(model.degree + 1, int)
    for name, m in space.multiplicities.items():
        degrees = model.degrees(name)
        found += m * np.bincount(degrees, minlength=len(found))
    return found[1:].tolist()


def symmetric_rank(rep_in: Rep, rep_out: Rep, degree: int) -> int:
    """The dimension of Hom_G(Sym^k ρ_in, ρ_out), from the solver's basis of the tensor power."""
    basis = (rep_in**degree >> rep_out).equivariant_basis().dense()
    if not basis.shape[1]:
        return 0
    maps = basis.reshape(rep_out.size(), *[rep_in.size()] * degree, -1)
    axes = range(1, degree + 1)
    orders = [(0, *order, degree + 1) for order in permutations(axes)]
    symmetric = np.mean([maps.transpose(order) for order in orders], axis=0)
    flat = symmetric.reshape(-1, basis.shape[1])
    return int(np.linalg.matrix_rank(flat, tol=1e-8))


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_IRREPS)
def test_their_number_is_that_of_the_symmetric_equivariant_maps(name: str) -> None:
    case = CASES[name]
    source = with_dual(case.rep_in)
    size, out = source.size(), case.rep_out.size()
    degree = max(k for k in (1, 2, 3, 4) if k == 1 or size**k * out <= LARGEST)
    found = counts(polynomial(case, degree))
    assert found == [symmetric_rank(source, case.rep_out, k) for k in range(1, degree + 1)]


@pytest.mark.parametrize(
    ("rep_in", "group", "expected"),
    [
        # products of scalar products and of one determinant of three vectors, by degree
        (3 * V, SO(3), [0, 6, 1, 21, 6, 56]),
        (3 * V, O(3), [0, 6, 0, 21, 0, 56]),
        (4 * V, SO13p(), [0, 10, 0, 56, 0, 230]),
        # symmetric functions of four numbers: partitions into at most four parts
        (V, S(4), [1, 2, 3, 5, 6, 9]),
    ],
)
def test_invariants_of_classical_groups(rep_in: Rep, group: Group, expected: list[int]) -> None:
    assert counts(EquivariantPolynomial(rep_in, Scalar, group, 6)) == expected


@pytest.mark.sampled(14)
@pytest.mark.parametrize("norms", [False, True], ids=["plain", "with norms"])
@pytest.mark.parametrize("name", IN_IRREPS)
def test_they_are_equivariant(name: str, norms: bool) -> None:
    case = CASES[name]
    with double_precision() as dtype:
        model = moved(polynomial(case, 3, norms=norms, dtype=dtype))
        assert error(model, case.rep_in, case.rep_out) < 1e-11


@pytest.mark.slow
@pytest.mark.parametrize("norms", [False, True], ids=["plain", "with norms"])
@pytest.mark.parametrize(
    "group",
    [
        *("Trivial(2)", "SO(2)", "O(2)", "SO(4)", "O(5)", "C(5)", "D(4)", "Z(4)", "S(5)", "SL(2)"),
        *("Sp(2)", "U(1)", "SU(3)", "SO11p()", "O11()", "SO13()", "O13()", "Lorentz()"),
        *("SO2eR3()", "O2eR3()", "DkeR3(4)", "Cube()", "Scaling(3)", "GL(2)"),
    ],
)
def test_they_are_equivariant_for_the_groups_of_the_catalogue(group: str, norms: bool) -> None:
    found = parse_group(group)
    case = Case((2 * V + Scalar)(found), (V + Scalar)(found), found)
    with double_precision() as dtype:
        model = moved(polynomial(case, 3, norms=norms, dtype=dtype))
        assert error(model, case.rep_in, case.rep_out) < 1e-10


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", SOME)
def test_least_squares_recover_a_polynomial(name: str) -> None:
    case = CASES[name]
    with double_precision() as dtype:
        model = polynomial(case, 2, dtype=dtype)
        hidden, is_complex = moved(model), model.space_out.is_complex
        x, more = (points(case.rep_in, 400, is_complex=is_complex, seed=s) for s in (1, 2))
        found = model.fit(x, np.asarray(hidden(x)))
        expected = np.asarray(hidden(more))
        assert np.abs(np.asarray(found(more)) - expected).max() < 1e-10 * np.abs(expected).max()


def test_norms_and_angles_are_among_the_functions() -> None:
    rng = np.random.default_rng(0)
    x, more = rng.standard_normal((2, 300, 10))

    def target(x: np.ndarray) -> np.ndarray:
        a, b = x[:, :5], x[:, 5:]
        lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        return (lengths[0] ** 3 - (a * b).sum(1) / (lengths[0] * lengths[1]))[:, None]

    with double_precision() as dtype:
        wide, plain = (
            EquivariantPolynomial(2 * V, Scalar, O(5), 3, norms=norms, dtype=dtype)
            for norms in (True, False)
        )
        errors = [
            np.abs(np.asarray(model.fit(x, target(x))(more)) - target(more)).max()
            for model in (wide, plain)
        ]
    assert errors[0] < 1e-10 < 1e-2 < errors[1]


@pytest.mark.slow
def test_norms_are_finite_and_have_finite_derivatives_at_zero() -> None:
    model = moved(EquivariantPolynomial(2 * V, V + Scalar, SO(3), 2, norms=True))
    assert np.isfinite(np.asarray(model(np.zeros(6)))).all()
    assert np.isfinite(np.asarray(jax.jacobian(model)(np.zeros(6, np.float32)))).all()


def test_a_ridge_shrinks_and_the_smallest_of_several_solutions_is_taken() -> None:
    model = EquivariantPolynomial(2 * V, Scalar, SO(3), 4)
    x = points(model.rep_in, 6)
    y = np.random.default_rng(0).standard_normal((6, 1))
    assert np.abs(np.asarray(model.fit(x, y)(x)) - y).max() < 1e-3  # nine unknowns, six points
    spreads = [np.asarray(model.fit(x, y, ridge)(x)).std() for ridge in (0, 1e-3, 1, 1e3)]
    assert spreads == sorted(spreads, reverse=True)
    constant = np.asarray(model.fit(x, y, 1e12)(x))
    np.testing.assert_allclose(constant, np.full((6, 1), y.mean()), rtol=1e-4)


def test_data_in_blocks_give_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    model = EquivariantPolynomial(V + Scalar, V, SO(3), 3)
    x, y = points(model.rep_in, 300), points(model.rep_out, 300, seed=2)
    whole = model.fit(x, y, 1e-3)
    monkeypatch.setattr("intertwine.nn.polynomial._NUMBERS", 100)
    np.testing.assert_allclose(model.fit(x, y, 1e-3)(x), whole(x), rtol=1e-4, atol=1e-6)


def test_beyond_the_generators_only_products_with_invariants_are_taken() -> None:
    every = EquivariantPolynomial(3 * V, Scalar, SO(3), 5)
    without = EquivariantPolynomial(3 * V, Scalar, SO(3), 5, generators=2)
    assert counts(every) == [0, 6, 1, 21, 6]
    assert counts(without) == [0, 6, 0, 21, 0]


def test_fitted_polynomials_have_only_the_products_that_their_solutions_use() -> None:
    model = EquivariantPolynomial(2 * V, Scalar, SO(3), 6)
    name = model.features.trivial
    lower = model.with_weights({name: np.ones((4, 1))})  # the constant and three of degree 2
    assert (lower.degree, counts(lower)) == (2, [0, 3])
    sparse = model.with_weights({name: np.eye(9)[:, [8]]})  # one product of two scalar products
    assert (sparse.degree, counts(sparse)[3], len(sparse.features.steps)) == (4, 1, 2)
    np.testing.assert_allclose(
        np.asarray(sparse(points(model.rep_in)))[:, 0],
        np.asarray(model.columns(name, points(model.rep_in)))[:, 8],
        rtol=1e-5,
    )
    x = points(model.rep_in)
    a, b = x[:, :3], x[:, 3:]
    forms = [np.asarray(model.columns(name, x))[:, i] for i in (1, 2, 3)]
    np.testing.assert_allclose(np.asarray(lower(x))[:, 0], 1 + sum(forms), rtol=1e-5)
    assert np.abs(forms[0] / (a * a).sum(1)).std() < 1e-6
    assert np.abs(forms[1] / (a * b).sum(1)).std() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SO(3)", "SU(2)"])
def test_they_are_saved_exported_and_baked(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = moved(polynomial(case, 2, norms=True))
    x = points(case.rep_in, is_complex=model.space_out.is_complex)
    save(model, tmp_path)
    again = load(tmp_path)
    assert np.array_equal(again(x), model(x))
    assert (again.features, again.space_out) == (model.features, model.space_out)
    assert bake(model) is model
    program = jax.export.deserialize(bytearray(export(model)))
    kind = np.complex64 if model.space_out.is_complex else np.float32
    np.testing.assert_allclose(program.call(x.astype(kind)), model(x), rtol=1e-4, atol=1e-5)


def test_batches_have_any_shape() -> None:
    model = moved(EquivariantPolynomial(V, T(2), SO(3), 2))
    x = points(V(SO(3)), 6)
    whole = np.asarray(model(x))
    assert model(x[0]).shape == (9,)
    np.testing.assert_allclose(model(x.reshape(2, 3, 3)), whole.reshape(2, 3, 9), rtol=1e-5)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="degree or generators is 0"):
        EquivariantPolynomial(V, Scalar, SO(3), 0)
    with pytest.raises(InvalidRep, match="rep_in has size 0"):
        EquivariantPolynomial(0, Scalar, SO(3))
    for inputs in (10, 3000):  # the latter refused before its millions of products are listed
        with pytest.raises(TooLarge, match="give a lower degree, or a larger most"):
            EquivariantPolynomial(inputs, Scalar, SO(3), 6, most=500)
    with pytest.raises(MethodNotApplicable, match="polynomials need reps of one group"):
        EquivariantPolynomial(V(SO(3)), V(SO(2)))
    with pytest.raises(MethodNotApplicable):
        polynomial(CASES["not reductive"], 2)
    model = EquivariantPolynomial(V, Scalar, SO(3), 2)
    with pytest.raises(InvalidRep, match="give one of shape"):
        model.fit(np.ones((5, 4)), np.ones((5, 1)))
    with pytest.raises(InvalidSetting, match="give as many of both"):
        model.fit(np.ones((5, 3)), np.ones((4, 1)))
    with pytest.raises(InvalidSetting, match="give a finite number of at least 0"):
        model.fit(np.ones((5, 3)), np.ones((5, 1)), -1)
