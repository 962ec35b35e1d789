"""EMLP's address of `LinearOperator`, for code that was written for it."""

from intertwine.operators import DenseMatrix as Lazy
from intertwine.operators import LinearOperator

__all__ = ["Lazy", "LinearOperator"]
