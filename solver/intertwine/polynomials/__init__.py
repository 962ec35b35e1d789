"""Invariant and equivariant polynomials of any group: counted, as a basis, and as generators."""

from intertwine.polynomials.description import describe_maps, describe_series
from intertwine.polynomials.exact_formulas import Coefficient, Formula, formulas_of
from intertwine.polynomials.hilbert_series import HilbertSeries, molien
from intertwine.polynomials.invariant_ring import invariant_generators as generators
from intertwine.polynomials.polynomial_maps import PolynomialMaps, polynomial_basis

__all__ = [
    "Coefficient",
    "Formula",
    "HilbertSeries",
    "PolynomialMaps",
    "describe_maps",
    "describe_series",
    "formulas_of",
    "generators",
    "molien",
    "polynomial_basis",
]
