"""A subspace of the full tensors R^k, by an orthogonal basis of sparse vectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from jaxtyping import Float, Int, Num

from intertwine.arrays import Array, constant, is_numpy, namespace
from intertwine.errors import TooLarge
from intertwine.memory import require_memory
from intertwine.operators import CoordinateMatrix, Permutation

MAX_TENSOR_SIZE = 10_000_000
"""The largest size of the full tensors whose coordinates are written out."""
_DENSE_ENTRIES = 1_000_000  # a smaller basis is multiplied as a dense matrix


@dataclass(frozen=True, eq=False)
class TensorSubspace:
    """The span of orthogonal columns e_c = Σ values · e_row in the tensors of k slots of size n.

    `values` are integers where possible. Then an entry of the image of an integer matrix is an
    integer times the square root of a rational number, rounded once. Rows are flattened row-major.
    """

    n: int
    k: int
    size: int
    rows: Int[np.ndarray, " m"]
    columns: Int[np.ndarray, " m"]
    values: Float[np.ndarray, " m"]

    @cached_property
    def norms(self) -> Float[np.ndarray, " N"]:
        """The squared norms of the columns, which are integers."""
        found = np.bincount(self.columns, self.values**2, minlength=self.size)
        return found.astype(float)  # of no entries, it has integers

    @cached_property
    def embedding(self) -> CoordinateMatrix:
        """The isometry E of shape (nᵏ, N): the columns, scaled to norm 1."""
        values = self.values / np.sqrt(self.norms[self.columns])
        return CoordinateMatrix((self.n**self.k, self.size), self.rows, self.columns, values)

    @cached_property
    def _integers(self) -> CoordinateMatrix:
        shape = (self.n**self.k, self.size)
        return CoordinateMatrix(shape, self.rows, self.columns, self.values)

    @cached_property
    def _scale(self) -> Float[np.ndarray, "N N"]:
        found: Float[np.ndarray, "N N"] = np.sqrt(np.multiply.outer(self.norms, self.norms))
        return found

    def image(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Return Eᵀ(M ⊗ … ⊗ M)E, for a matrix M that maps the subspace to itself."""
        moved = self._written_out(matrix)
        for slot in range(self.k):
            moved = self._in_slot(matrix, slot, moved)
        return self._restricted(moved)

    def derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Return Eᵀ(M ⊗ 1 ⊗ … + … + … ⊗ 1 ⊗ M)E."""
        if is_numpy(matrix) and self.n**self.k * self.size > _DENSE_ENTRIES:
            return self._sparse_derivative(np.asarray(matrix))
        vectors = self._written_out(matrix)
        return self._restricted(sum(self._in_slot(matrix, s, vectors) for s in range(self.k)))

    def _sparse_derivative(self, matrix: Num[np.ndarray, "n n"]) -> Num[np.ndarray, "N N"]:
        """Return the derivative by sparse products: each term moves one slot only."""
        from scipy.sparse import csr_array, eye_array, kron

        require_memory(3 * 16 * self.size**2, f"a matrix on {self.size:,} tensors of {self.k}")
        shape = (self.n**self.k, self.size)
        vectors = csr_array((self.values, (self.rows, self.columns)), shape=shape)
        total = csr_array(shape, dtype=np.result_type(matrix.dtype, float))
        for slot in range(self.k):
            before, after = eye_array(self.n**slot), eye_array(self.n ** (self.k - 1 - slot))
            moves = kron(kron(before, csr_array(matrix), format="csr"), after, format="csr")
            total = total + moves @ vectors
        found = (vectors.T @ total).tocoo()
        scale = np.sqrt(self.norms[found.row] * self.norms[found.col])
        found.data = found.data / scale
        whole: Num[np.ndarray, "N N"] = found.toarray()
        return whole.astype(np.result_type(matrix.dtype, np.float32), copy=False)

    def _written_out(self, matrix: Num[Array, "n n"]) -> Num[Array, "m N"]:
        require_memory(5 * 16 * self.n**self.k * self.size, f"{self.size:,} tensors of {self.k}")
        xp = namespace(matrix)
        vectors = np.zeros((self.n**self.k, self.size))
        np.add.at(vectors, (self.rows, self.columns), self.values)
        return xp.asarray(vectors, dtype=xp.result_type(matrix.dtype, np.float32))

    def _in_slot(self, matrix: Num[Array, "n n"], slot: int, x: Num[Array, "m N"]) -> Array:
        before, after = self.n**slot, self.n ** (self.k - 1 - slot) * self.size
        moved = namespace(matrix).matmul(matrix, x.reshape(before, self.n, after))
        return moved.reshape(x.shape)

    def _restricted(self, moved: Num[Array, "m N"]) -> Num[Array, "N N"]:
        found: Num[Array, "N N"] = self._integers.H @ moved
        return found / constant(self._scale, found, found.real.dtype)


def flat_tuples(n: int, k: int) -> Int[np.ndarray, "m k"]:
    """Return all tuples of k indices below n, in lexicographic order. Raises `TooLarge`."""
    require_tensor_size(n, k)
    found: Int[np.ndarray, "m k"] = np.indices((n,) * k).reshape(k, -1).T
    return found


def require_tensor_size(n: int, k: int) -> None:
    """Raise `TooLarge` if the full tensors of k slots of size n are too large to write out."""
    if n > 1 and (k > 64 or n**k > MAX_TENSOR_SIZE):
        raise TooLarge(
            f"the tensors of {k} slots of size {n:,} have too many entries to write them out; at "
            f"most {MAX_TENSOR_SIZE:,} are allowed"
        )


def flat_index(tuples: Int[np.ndarray, "m k"], n: int) -> Int[np.ndarray, " m"]:
    """Return the row-major places of index tuples."""
    weights = np.array([prod([n] * j) for j in reversed(range(tuples.shape[1]))], dtype=np.int64)
    found: Int[np.ndarray, " m"] = tuples @ weights
    return found


def monomial(
    subspace: TensorSubspace, move: Permutation, first: Int[np.ndarray, "N k"]
) -> Permutation:
    """Return the image of a signed permutation of the coordinates of a slot on a subspace.

    The columns of the subspace are signed sums over disjoint sets of tuples. `first` has one tuple
    of each set, with value 1.
    """
    place = np.empty(subspace.n**subspace.k, dtype=np.int64)
    sign = np.empty(len(place), dtype=np.int64)
    place[subspace.rows], sign[subspace.rows] = subspace.columns, subspace.values
    at = flat_index(move.indices[first], subspace.n)
    signs = sign[at]
    if move.signs is not None:
        signs = signs * np.prod(move.signs[first], axis=1, dtype=np.int64)
    return Permutation(place[at], signs)
