"""Operators one above the other, and differences of operators: the constraints of a problem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from intertwine.arrays import Array, namespace
from intertwine.operators.base import LinearOperator, dense
from intertwine.operators.dense_matrix import as_operator


class Stacked(LinearOperator):
    """A₁, A₂, … one above the other: operators or matrices with equal numbers of columns.

    Raises `ValueError` without any, and for different numbers of columns.
    """

    def __init__(self, parts: Sequence[LinearOperator | Array]) -> None:
        self.parts = tuple(as_operator(part) for part in parts)
        widths = {part.shape[1] for part in self.parts}
        if len(widths) != 1:
            shapes = [part.shape for part in self.parts]
            raise ValueError(
                f"operators of the shapes {shapes} cannot be stacked: give at least "
                f"one, all with the same number of columns"
            )
        self.shape = (sum(part.shape[0] for part in self.parts), widths.pop())
        self.dtype = np.result_type(*(part.dtype for part in self.parts))

    def _matmat(self, matrix: Array) -> Array:
        images = [part @ matrix for part in self.parts]
        return namespace(*images).concatenate(images)

    def _adjoint(self) -> LinearOperator:
        return _Row([part.H for part in self.parts])

    def dense(self) -> Array:
        """Return the matrix."""
        matrices = [dense(part) for part in self.parts]
        return namespace(*matrices).concatenate(matrices)


class _Row(LinearOperator):
    """A₁, A₂, … side by side: x ↦ Σ Aᵢxᵢ, the adjoint of stacked operators."""

    def __init__(self, parts: Sequence[LinearOperator]) -> None:
        self.parts = tuple(parts)
        self.shape = (self.parts[0].shape[0], sum(part.shape[1] for part in self.parts))
        self.dtype = np.result_type(*(part.dtype for part in self.parts))

    def _matmat(self, matrix: Array) -> Array:
        total, at = 0, 0
        for part in self.parts:
            stop = at + part.shape[1]
            total = total + part @ matrix[at:stop]
            at = stop
        return total

    def _adjoint(self) -> LinearOperator:
        return Stacked([part.H for part in self.parts])


class Difference(LinearOperator):
    """A − B of two operators of one shape. Raises `ValueError` for different shapes."""

    def __init__(self, left: LinearOperator, right: LinearOperator) -> None:
        if left.shape != right.shape:
            raise ValueError(f"{left!r} and {right!r} cannot be subtracted: their shapes differ")
        self.left, self.right, self.shape = left, right, left.shape
        self.dtype = np.result_type(left.dtype, right.dtype)

    def _matmat(self, matrix: Array) -> Array:
        return self.left @ matrix - self.right @ matrix

    def _adjoint(self) -> LinearOperator:
        return Difference(self.left.H, self.right.H)
