"""EMLP's names of sums and products of reps, at its address, for code that was written for it.

They are for ``isinstance``. Reps are made with ``+`` and ``*``.
"""

from intertwine.reps.syntax import Sum as SumRep
from intertwine.reps.syntax import Tensor as ProductRep

#: In EMLP, a product of reps of different groups; here it is a `Tensor` as well.
DirectProduct = ProductRep

__all__ = ["DirectProduct", "ProductRep", "SumRep"]
