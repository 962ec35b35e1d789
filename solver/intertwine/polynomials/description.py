"""Hilbert series and polynomial maps as JSON documents, with exact numbers as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from intertwine.bases import Certificate
from intertwine.errors import FormatError
from intertwine.polynomials.exact_formulas import (
    Formula,
    coefficient_text,
    formulas_of,
    scale_text,
)
from intertwine.polynomials.hilbert_series import HilbertSeries
from intertwine.polynomials.monomials import monomials_of, norms_of
from intertwine.polynomials.polynomial_maps import PolynomialMaps
from intertwine.reps import Rep, Scalar


def describe_series(series: HilbertSeries, rep: Rep, rep_out: Rep | None = None) -> dict[str, Any]:
    """Return a Hilbert series as JSON values: integers as text, because they can be very large.

    `numerator`, `denominator` and `closed_form` are None if the generating function is not known.
    """
    closed_form = series.closed_form
    return {
        **_reps(rep, Scalar if rep_out is None else rep_out),
        "degree": series.degree,
        "method": series.method,
        "series": repr(series),
        "coefficients": [str(a) for a in series],
        "numerator": None if series.numerator is None else [str(a) for a in series.numerator],
        "denominator": None if series.denominator is None else list(series.denominator),
        "closed_form": None if closed_form is None else str(closed_form),
    }


def series_from(document: Mapping[str, Any]) -> HilbertSeries:
    """Return the series of a document of `describe_series`. Raises `FormatError` for others."""
    try:
        numerator, denominator = document["numerator"], document["denominator"]
        return HilbertSeries(
            tuple(map(int, document["coefficients"])),
            document["method"],
            None if numerator is None else tuple(map(int, numerator)),
            None if denominator is None else tuple(map(int, denominator)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the document has no Hilbert series: {error!r}") from error


def describe_maps(maps: PolynomialMaps) -> dict[str, Any]:
    """Return polynomial maps as JSON values.

    Each map is its `scale` times a polynomial with the `formula` and the `terms` of each
    coordinate: for each monomial x^α, the exponents α, the coefficient as text, and the `value`
    (and `imaginary` part) of scale times coefficient in floating point. Raises `TooLarge` as
    `formulas_of`.
    """
    return {
        **_reps(maps.rep_in, maps.rep_out),
        "degree": maps.degree,
        "counts": list(maps.counts),
        "maps": [_map(formula) for formula in formulas_of(maps)],
        "certificates": [certificate.to_json() for certificate in maps.certificates],
    }


def maps_from(document: Mapping[str, Any], rep_in: Rep, rep_out: Rep) -> PolynomialMaps:
    """Return the maps between two reps of a document of `describe_maps`.

    Raises `FormatError` for other documents.
    """
    try:
        degrees, given = range(int(document["degree"]) + 1), document["maps"]
        coefficients = tuple(
            _coefficients([one for one in given if one["degree"] == k], k, rep_in, rep_out)
            for k in degrees
        )
        certificates = tuple(map(Certificate.from_json, document["certificates"]))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise FormatError(f"the document has no polynomial maps: {error!r}") from error
    return PolynomialMaps(rep_in, rep_out, coefficients, certificates)


def _reps(rep: Rep, rep_out: Rep) -> dict[str, Any]:
    return {
        "rep": str(rep),
        "rep_out": str(rep_out),
        "group": None if rep.G is None else repr(rep.G),
    }


def _map(formula: Formula) -> dict[str, Any]:
    return {
        "degree": formula.degree,
        "scale": scale_text(formula.scale),
        "formula": list(formula.texts()),
        "is_exact": formula.is_exact,
        "terms": [
            [
                {"exponents": list(exponents), "coefficient": coefficient_text(coefficient)}
                | _numbers(formula.scale * complex(coefficient))
                for exponents, coefficient in terms
            ]
            for terms in formula.components
        ],
    }


def _numbers(value: complex) -> dict[str, float]:
    return {"value": value.real} | ({"imaginary": value.imag} if value.imag else {})


def _coefficients(maps: Sequence[Mapping[str, Any]], k: int, rep_in: Rep, rep_out: Rep) -> Any:
    """Return the coefficients of the orthonormal monomials, of shape (maps, n_out, N)."""
    these = monomials_of(rep_in.size(), k)
    found = np.zeros((len(maps), rep_out.size(), len(these)), complex)
    for i, one in enumerate(maps):
        for c, terms in enumerate(one["terms"]):
            for term in terms:
                place = these.places[np.array(term["exponents"], np.int64).tobytes()]
                found[i, c, place] = complex(term["value"], term.get("imaginary", 0.0))
    found /= norms_of(these)
    return found if np.any(found.imag) else found.real.copy()
