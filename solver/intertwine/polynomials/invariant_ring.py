"""Minimal generators of the ring of invariant polynomials, degree by degree."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import AmbiguousRank
from intertwine.polynomials.monomials import products_of
from intertwine.polynomials.polynomial_maps import (
    PolynomialMaps,
    in_fixed_gauge,
    polynomial_basis,
)
from intertwine.reps import Rep, Scalar

_NULL, _CLEAR = 1e-10, 1e-6
"""Singular values of normalised products below the first are zero; those between are ambiguous."""
_OUTSIDE = 1e-9
"""Products of invariants are invariant up to this, relative to their norm."""


def invariant_generators(rep: Rep, degree: Any) -> PolynomialMaps:
    """Return minimal generators of the invariant polynomials of a concrete rep up to a degree.

    Every invariant of at most that degree is a polynomial in them, and none of them is a polynomial
    in the others. Their number in each degree k, `counts`, does not depend on any choice: it is the
    dimension of the invariants of degree k, minus that of the sums of products of invariants of
    lower degrees. The generators are orthogonal to these products in the Bombieri inner product.
    For a reductive group finitely many generate all invariants (Hilbert 1890); some may have a
    degree above the given one.

    The result evaluates x of shape (…, n) to shape (…, generators, 1). Invariants are those of
    `polynomial_basis`, with its certificates. Raises its errors, and `AmbiguousRank` if the
    products do not have a clear rank.
    """
    invariants = polynomial_basis(rep, Scalar, degree)
    n, generators = rep.size(), list[Inexact[np.ndarray, "c N"]]()
    for k, basis in enumerate(invariants.coefficients):
        whole = basis[:, 0]
        if not k:
            generators.append(whole[:0])
            continue
        found = []
        for j, own in enumerate(generators):
            others = invariants.coefficients[k - j][:, 0]
            if len(own) and len(others):
                found.append(_coordinates(products_of(own, others, n, (j, k - j)), whole))
        generators.append(_complement(found, whole, k))
    return PolynomialMaps(
        invariants.rep_in,
        invariants.rep_out,
        tuple(own[:, None] for own in generators),
        invariants.certificates,
    )


def _coordinates(
    products: Inexact[np.ndarray, "q N"], whole: Inexact[np.ndarray, "r N"]
) -> Inexact[np.ndarray, "r q"]:
    """Return normalised products as columns of coordinates in an orthonormal basis."""
    lengths = np.linalg.norm(products, axis=1, keepdims=True)
    unit = products / lengths  # Bombieri: |pq| ≥ √(j! l! / (j + l)!) |p| |q|
    found: Inexact[np.ndarray, "r q"] = whole.conj() @ unit.T
    outside = np.abs(found.T @ whole - unit).max(initial=0.0)
    if not outside <= _OUTSIDE:
        raise AmbiguousRank(
            f"products of invariants differ from invariants by {outside:.0e}: the generators of "
            f"the group may be rounded; see group.refined()"
        )
    return found


def _complement(
    found: list[Inexact[np.ndarray, "r _"]], whole: Inexact[np.ndarray, "r N"], k: int
) -> Inexact[np.ndarray, "c N"]:
    """Return an orthonormal basis of the invariants that are orthogonal to the products."""
    if not found or not len(whole):
        return whole
    left, values, _ = np.linalg.svd(np.concatenate(found, axis=1))
    scale = float(values.max(initial=1.0))
    unclear = values[(values > _NULL * scale) & (values < _CLEAR * scale)]
    if len(unclear):
        raise AmbiguousRank(
            f"the products of invariants of degree {k} have no clear rank: a relative singular "
            f"value is {unclear[0] / scale:.0e}; give a lower degree"
        )
    rank = int(np.sum(values >= _CLEAR * scale))
    outside = left[:, rank:]
    found_rows: Inexact[np.ndarray, "c N"] = in_fixed_gauge(whole.T @ outside)
    return found_rows
