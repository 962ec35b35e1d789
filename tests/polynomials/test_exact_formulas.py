"""Formulas evaluate as their maps do, and their coefficients are exact where they are simple."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from intertwine.errors import FormatError, TooLarge
from intertwine.groups import SO, SU, C, PointGroup, Z
from intertwine.polynomials import (
    Coefficient,
    PolynomialMaps,
    describe_maps,
    describe_series,
    formulas_of,
    generators,
    molien,
    polynomial_basis,
)
from intertwine.polynomials.cost import estimate_maps, estimate_series
from intertwine.polynomials.description import maps_from, series_from
from intertwine.reps import Rep, Scalar, V

FIVEFOLD = "2x₁⁶ + (-15+21√5)x₁⁴x₂² + (-15-21√5)x₁⁴x₃²"


@cache
def cubic() -> PolynomialMaps:
    return generators(V(PointGroup("m-3m")), 4)


@cache
def cross_product() -> PolynomialMaps:
    return polynomial_basis((2 * V)(SO(3)), V(SO(3)), 2)


@cache
def spinors() -> PolynomialMaps:
    return polynomial_basis((2 * V)(SU(2)), V(SU(2)), 1)


@cache
def charges() -> PolynomialMaps:
    """Of the cyclic group in its real rep of two dimensions."""
    return generators(V(C(5)), 5)


EXAMPLES = [cubic, cross_product, spinors, charges]


def test_known_invariants_are_written_with_integers() -> None:
    second, fourth = formulas_of(cubic())
    assert str(second) == "x₁² + x₂² + x₃²"
    assert str(fourth) == "x₁⁴ - 3x₁²x₂² - 3x₁²x₃² + x₂⁴ - 3x₂²x₃² + x₃⁴"
    assert str(formulas_of(cross_product())[2]) == "(x₂x₆ - x₃x₅, -x₁x₆ + x₃x₄, x₁x₅ - x₂x₄)"
    assert [str(one) for one in formulas_of(polynomial_basis(V(Z(2)), Scalar, 0))] == ["1"]


@pytest.mark.slow
def test_golden_ratios_are_recognised() -> None:
    found = formulas_of(generators(V(PointGroup("I")), 6))
    assert [one.is_exact for one in found] == [True, True]
    assert str(found[1]).startswith(FIVEFOLD)


@pytest.mark.parametrize("example", EXAMPLES)
def test_documents_are_read_as_the_same_maps(example: Callable[[], PolynomialMaps]) -> None:
    maps = example()
    document = describe_maps(maps)
    found = maps_from(document, maps.rep_in, maps.rep_out)
    x = np.random.default_rng(1).standard_normal((5, maps.rep_in.size()))
    np.testing.assert_allclose(found(x), maps(x), atol=1e-13)
    assert (found.counts, found.certificates) == (maps.counts, maps.certificates)
    assert len(document["maps"]) == len(maps)


@pytest.mark.parametrize("example", EXAMPLES)
def test_formulas_are_the_maps(example: Callable[[], PolynomialMaps]) -> None:
    maps = example()
    x = np.random.default_rng(2).standard_normal(maps.rep_in.size())
    for formula, value in zip(formulas_of(maps), maps(x), strict=True):
        assert formula.is_exact
        own = [
            sum(complex(c) * np.prod(x ** np.array(exponents)) for exponents, c in terms)
            for terms in formula.components
        ]
        np.testing.assert_allclose(formula.scale * np.array(own), value, atol=1e-12)


@pytest.mark.parametrize(
    ("parts", "m", "text"),
    [
        ((0, 0, 0, 0), 1, "0"),
        ((-3, 0, 0, 0), 1, "-3"),
        ((2, -1, 0, 0), 5, "2-√5"),
        ((0, 7, 0, 0), 2, "7√2"),
        ((0, 0, -1, 0), 1, "-i"),
        ((1, 0, 0, 2), 3, "1+2√3i"),
        ((1, 0, 1, 1), 3, "1+(1+√3)i"),
    ],
)
def test_coefficients_are_text(parts: tuple[int, int, int, int], m: int, text: str) -> None:
    assert str(Coefficient(parts, m)) == text


def test_other_coefficients_are_numbers() -> None:
    maps = cubic()
    bent = PolynomialMaps(
        maps.rep_in,
        maps.rep_out,
        (*maps.coefficients[:2], maps.coefficients[2] * np.exp(np.arange(6) / np.pi)),
        maps.certificates[:3],
    )
    (found,) = formulas_of(bent)
    assert (found.is_exact, found.scale) == (False, 1)
    assert str(found).startswith("0.57735x₁² + ")
    assert describe_maps(bent)["maps"][0]["is_exact"] is False


def test_too_many_terms_are_refused() -> None:
    many = (np.zeros((0, 1, 1)), np.zeros((0, 1, 20)), np.ones((100, 1, 210)))
    with pytest.raises(TooLarge, match="21,000 terms in 20 variables; at most 20,000"):
        formulas_of(PolynomialMaps(20 * Scalar, Scalar, many, ()))


@pytest.mark.parametrize("rep", [V(PointGroup("m-3m")), (2 * V)(SO(3))], ids=["finite", "Lie"])
def test_series_are_read_from_their_documents(rep: Rep) -> None:
    series = molien(rep, 6)
    document = describe_series(series, rep)
    assert document["coefficients"] == [str(a) for a in series]
    assert series_from(document) == series
    assert (document["closed_form"] is None) == (series.closed_form is None)


@pytest.mark.parametrize("document", [{}, {"coefficients": ["x"], "degree": 1, "maps": 3}])
def test_other_documents_are_refused(document: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="Hilbert series"):
        series_from(document)
    with pytest.raises(FormatError, match="polynomial maps"):
        maps_from(document, V(Z(2)), Scalar)


def test_costs_grow_with_the_rep_and_the_degree() -> None:
    rep = V(SO(3))
    assert estimate_series((9 * V)(SO(3)), 4).operations > estimate_series(rep, 4).operations
    assert estimate_maps(rep, 6).operations > estimate_maps(rep, 3).operations
    with pytest.raises(TooLarge, match="coefficients"):
        estimate_maps((9 * V)(SO(3)), 9)
    with pytest.raises(TooLarge, match="GB"):
        molien((V**20)(SO(3)), 2)
