"""Lazily applied linear operators: what a group element does, without its matrix."""

from intertwine.operators.base import LinearOperator, Product, dense
from intertwine.operators.block_diagonal import DirectSum
from intertwine.operators.kronecker import Kronecker, KroneckerSum
from intertwine.operators.permutation import Permutation, as_signed_permutation, is_monomial

__all__ = [
    "DirectSum",
    "Kronecker",
    "KroneckerSum",
    "LinearOperator",
    "Permutation",
    "Product",
    "as_signed_permutation",
    "dense",
    "is_monomial",
]
