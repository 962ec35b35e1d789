"""Permutations of coordinates, with or without signs."""

from __future__ import annotations

from math import lcm
from typing import Any

import numpy as np
from jaxtyping import Int, Num, Shaped

from intertwine.arrays import Array, constant, is_sparse, namespace, rows_at
from intertwine.operators.base import LinearOperator
from intertwine.torch_compilation import one_operation

#: Entries closer than this to 0, 1 or −1 are rounded to it: cos(π/2) is 6e-17.
ENTRY_TOLERANCE = 1e-12
_ROWS = 256  # of a matrix that are compared with 0 at a time


class Permutation(LinearOperator):
    """(P x)ᵢ = sᵢ x_{p(i)}, with signs sᵢ = ±1, all 1 by default.

    `indices` is p as an integer array of shape (n,), each of 0 … n − 1 once.
    """

    def __init__(self, indices: Any, signs: Any = None) -> None:
        self.indices: Int[np.ndarray, " n"] = np.asarray(indices)
        if not _is_permutation(self.indices):
            raise ValueError(f"{indices!r} is not a permutation of 0 … n − 1")
        self.indices = self.indices.astype(np.intp)
        self.signs: Int[np.ndarray, " n"] | None = None
        if signs is not None:
            given = np.asarray(signs)
            if given.shape != self.indices.shape or not np.all(np.abs(given) == 1):
                raise ValueError(f"{signs!r} are not signs ±1, one per index")
            self.signs = given.astype(np.int8) if np.any(given < 0) else None
        self.shape = (self.indices.size, self.indices.size)

    @one_operation
    def _matmat(self, matrix: Array) -> Array:
        moved = rows_at(self.indices, matrix)
        if self.signs is None:
            return moved
        xp = namespace(matrix)
        signs = constant(self.signs, matrix, xp.result_type(matrix.dtype, np.int8))
        return moved * signs[:, None]

    @property
    def inverse(self) -> Permutation:
        """P⁻¹, which is Pᵀ."""
        inverse = np.empty_like(self.indices)
        inverse[self.indices] = np.arange(self.indices.size)
        return Permutation(inverse, None if self.signs is None else self.signs[inverse])

    @property
    def order(self) -> int:
        """The least k ≥ 1 with Pᵏ = 1."""
        n = self.indices.size
        # the least index of each cycle, from 2ᵏ steps along it at a time
        first, step = np.arange(n), self.indices
        for _ in range(n.bit_length()):
            first, step = np.minimum(first, first[step]), step[step]
        lengths = np.bincount(first, minlength=n)
        if self.signs is not None:
            # once around a cycle of an odd number of signs is −1
            lengths <<= np.bincount(first, self.signs == -1, minlength=n).astype(np.intp) % 2
        return lcm(*(int(length) for length in np.unique(lengths) if length))

    def _adjoint(self) -> Permutation:
        return self.inverse

    def invT(self) -> Permutation:
        """Return P itself, which is orthogonal."""
        return self


def identity_permutation(n: int) -> Permutation:
    """Return the identity of size n as an operator."""
    return Permutation(np.arange(n))


def is_monomial(matrix: Num[np.ndarray, "m n"]) -> bool:
    """Return whether each row and column has at most one nonzero entry, as in a scaled
    permutation: then the entries are the singular values, up to phases.
    """
    nonzero = matrix != 0
    return bool(nonzero.sum(axis=0).max(initial=0) <= 1 and nonzero.sum(axis=1).max(initial=0) <= 1)


def _is_permutation(indices: Shaped[np.ndarray, "..."]) -> bool:
    """Return whether an array has each of 0 … n − 1 once."""
    n = indices.size
    if indices.ndim != 1 or n == 0:
        return indices.ndim == 1
    if not np.issubdtype(indices.dtype, np.integer) or indices.min() < 0 or indices.max() >= n:
        return False
    seen = np.zeros(n, dtype=bool)  # cheaper than sorting
    seen[indices] = True
    return bool(seen.all())


def as_signed_permutation(operator: LinearOperator | Num[np.ndarray, "n n"]) -> Permutation | None:
    """Return the operator as a signed permutation, or None if it is not one.

    Entries may differ from 0, 1 or −1 by `ENTRY_TOLERANCE`; see `exact_permutation`.
    """
    if isinstance(operator, Permutation):
        return operator
    matrix = np.asarray(operator)
    exact = exact_permutation(matrix)
    if exact is not None:
        return exact
    # the first row shows that most matrices are not permutations
    if not _is_near_integers(matrix[:1]) or not _is_near_integers(matrix):
        return None
    rounded = np.rint(matrix.real)
    magnitudes = np.abs(rounded)
    one_each = np.array_equal(magnitudes.sum(0), np.ones(len(matrix))) and np.array_equal(
        magnitudes.sum(1), np.ones(len(matrix))
    )
    if not one_each or magnitudes.max(initial=0) > 1:
        return None
    indices = magnitudes.argmax(axis=1)
    return Permutation(indices, rounded[np.arange(len(matrix)), indices])


def _is_near_integers(matrix: Num[np.ndarray, "m n"]) -> bool:
    # `<=` also rejects entries that are not finite
    return bool(np.all(np.abs(matrix - np.rint(matrix.real)) <= ENTRY_TOLERANCE))


def _single_entries(matrix: Num[np.ndarray, "n n"]) -> Int[np.ndarray, " n"] | None:
    """Return the column of the nonzero entry of each row; None unless each row has one."""
    columns = np.empty(len(matrix), dtype=np.intp)
    for start in range(0, len(matrix), _ROWS):
        rows = slice(start, start + _ROWS)
        nonzero = matrix[rows] != 0
        columns[rows] = nonzero.argmax(axis=1)
        if np.count_nonzero(nonzero) != len(nonzero):
            return None
    entries = matrix[np.arange(len(matrix)), columns]
    return columns if np.all(entries != 0) else None


def exact_permutation(matrix: Any) -> Permutation | None:
    """Return a matrix as a signed permutation, or None if its entries are not exactly one's.

    The matrix is an array, a SciPy sparse matrix or a `Permutation`. No other array of n² entries
    is made.
    """
    if isinstance(matrix, Permutation):
        return matrix
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "biufc":
        return None
    n = matrix.shape[0]
    if not n:
        return Permutation(np.arange(0))
    if is_sparse(matrix):
        entries = matrix.tocoo()
        order = np.argsort(entries.row, kind="stable")
        rows, columns, values = entries.row[order], entries.col[order], entries.data[order]
    else:
        # four rows rule out most matrices
        if np.any(np.count_nonzero(matrix[:4], axis=1) != 1):
            return None
        found = _single_entries(matrix)
        if found is None:
            return None
        rows, columns = np.arange(n), found
        values = matrix[rows, columns]
    if not np.array_equal(rows, np.arange(n)) or not np.all((values == 1) | (values == -1)):
        return None
    try:
        return Permutation(columns, values.real)
    except ValueError:
        return None  # two entries in one column
