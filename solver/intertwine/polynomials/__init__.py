"""Invariant and equivariant polynomials of any group: counted, as a basis, and as generators."""

from intertwine.polynomials.hilbert_series import HilbertSeries, molien
from intertwine.polynomials.invariant_ring import invariant_generators as generators
from intertwine.polynomials.polynomial_maps import PolynomialMaps, polynomial_basis

__all__ = ["HilbertSeries", "PolynomialMaps", "generators", "molien", "polynomial_basis"]
