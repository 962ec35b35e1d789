"""Lazily applied linear operators, conjugate gradients, exp, and blocks of coordinates."""

from intertwine.operators.base import LinearOperator, Product, dense
from intertwine.operators.block_diagonal import DirectSum
from intertwine.operators.block_structure import coordinate_blocks, diagonal_blocks
from intertwine.operators.coordinate_matrix import CoordinateMatrix
from intertwine.operators.dense_matrix import DenseMatrix, as_operator
from intertwine.operators.kronecker import Kronecker, KroneckerSum
from intertwine.operators.linear_system import conjugate_gradients
from intertwine.operators.matrix_exponential import exponential
from intertwine.operators.permutation import (
    Permutation,
    as_signed_permutation,
    identity_permutation,
    is_monomial,
)
from intertwine.operators.stacked import Difference, Stacked

__all__ = [
    "CoordinateMatrix",
    "DenseMatrix",
    "Difference",
    "DirectSum",
    "Kronecker",
    "KroneckerSum",
    "LinearOperator",
    "Permutation",
    "Product",
    "Stacked",
    "as_operator",
    "as_signed_permutation",
    "conjugate_gradients",
    "coordinate_blocks",
    "dense",
    "diagonal_blocks",
    "exponential",
    "identity_permutation",
    "is_monomial",
]
