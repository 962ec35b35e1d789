"""A matrix as an operator."""

from __future__ import annotations

from typing import Any

import numpy as np

from intertwine.arrays import Array, is_sparse
from intertwine.operators.base import LinearOperator


class DenseMatrix(LinearOperator):
    """The operator of a matrix of NumPy or of JAX, of shape (m, n).

    Raises `ValueError` for an array of other than two dimensions.
    """

    def __init__(self, matrix: Any) -> None:
        if is_sparse(matrix):
            matrix = matrix.toarray()
        matrix = matrix if hasattr(matrix, "ndim") else np.asarray(matrix)
        if matrix.ndim != 2:
            raise ValueError(f"an operator has two dimensions, and the array {matrix.ndim}")
        self.matrix = matrix
        self.shape = (int(matrix.shape[0]), int(matrix.shape[1]))
        self.dtype = np.dtype(matrix.dtype)

    def _matmat(self, matrix: Array) -> Array:
        return self.matrix @ matrix

    def _adjoint(self) -> DenseMatrix:
        return DenseMatrix(self.matrix.conj().T)

    def dense(self) -> Array:
        """Return the matrix itself."""
        return self.matrix


def as_operator(value: Any) -> LinearOperator:
    """Return an operator as it is, and a matrix as a `DenseMatrix`."""
    return value if isinstance(value, LinearOperator) else DenseMatrix(value)
