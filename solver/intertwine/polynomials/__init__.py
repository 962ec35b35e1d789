"""Invariant and equivariant polynomials of any group: counted, as a basis, and as generators."""

from intertwine.polynomials.hilbert_series import HilbertSeries, molien

__all__ = ["HilbertSeries", "molien"]
