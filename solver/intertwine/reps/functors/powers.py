"""Symmetric and alternating powers of matrices, in orthonormal bases of sorted index tuples.

With i = (i₁ ≤ … ≤ i_k) and m(i) the number of its different rearrangements, the basis of Symᵏ is
eᵢ = m(i)^(−½) Σ e_{i₁} ⊗ … ⊗ e_{i_k} over these, and that of Λᵏ, with i₁ < … < i_k,
eᵢ = (k!)^(−½) Σ sgn(σ) e_{iσ(1)} ⊗ … ⊗ e_{iσ(k)}. Both are orthonormal in the full tensors, and in
lexicographic order. A power is computed from the one before it, without the full tensors: for Symᵏ
as a product of linear forms, whose coefficients are permanents (Minc, *Permanents*, 1978), for Λᵏ
by expanding minors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, combinations, combinations_with_replacement
from math import comb

import numpy as np
from jaxtyping import Float, Int, Num

from intertwine.arrays import Array, namespace, with_entries
from intertwine.memory import require_memory
from intertwine.operators import Permutation

_EXACT_UP_TO = 12
"""Up to this power the coefficients of the forms are computed as integers if the entries are."""
_MINORS_UP_TO = 2_000
"""The most minors of one size that are expanded on the way to larger ones."""
_KEPT = 64
_MOST_BINOMIAL = 2**62  # larger binomials are not needed for the rank of a tuple


@dataclass(frozen=True)
class IndexTuples:
    """The sorted tuples of k indices below n: i₁ ≤ … ≤ i_k, or i₁ < … < i_k if `strict`."""

    n: int
    k: int
    strict: bool

    @property
    def count(self) -> int:
        """The number of tuples."""
        return comb(self.n, self.k) if self.strict else comb(self.n + self.k - 1, self.k)

    @cached_property
    def tuples(self) -> Int[np.ndarray, "N k"]:
        """The tuples in lexicographic order. Raises `TooLarge` if they do not fit into memory."""
        require_memory(24 * self.count * (self.k + 1), f"{self.count:,} index tuples")
        kind = combinations if self.strict else combinations_with_replacement
        flat = chain.from_iterable(kind(range(self.n), self.k))
        found = np.fromiter(flat, np.int64, count=self.count * self.k)
        return found.reshape(self.count, self.k)

    def rank(self, tuples: Int[np.ndarray, "M k"]) -> Int[np.ndarray, " M"]:
        """Return the places of sorted tuples in the lexicographic order."""
        # i₁ ≤ i₂ ≤ … becomes i₁ < i₂ + 1 < …, in the same order
        moved = tuples if self.strict else tuples + np.arange(self.k)
        top = self.n if self.strict else self.n + self.k - 1
        later = np.zeros(len(tuples), dtype=np.int64)
        binomials = _binomials(top, self.k)
        for place in range(self.k):
            later += binomials[top - 1 - moved[:, place], self.k - place]
        return self.count - 1 - later

    @cached_property
    def counts(self) -> Int[np.ndarray, "N n"]:
        """How often each index occurs in each tuple."""
        found = np.zeros((self.count, self.n), dtype=np.int64)
        np.add.at(found, (np.arange(self.count)[:, None], self.tuples), 1)
        return found

    @cached_property
    def rearrangements(self) -> Float[np.ndarray, " N"]:
        """m(i), the number of different rearrangements of each tuple."""
        binomials = np.ones(self.count)
        total = np.zeros(self.count, dtype=np.int64)
        for count in self.counts.T:
            total += count
            binomials *= [comb(t, c) for t, c in zip(total.tolist(), count.tolist(), strict=True)]
        return binomials

    @cached_property
    def removals(self) -> Removals:
        """The ways to remove one index from each tuple."""
        fewer, tuples = index_tuples(self.n, self.k - 1, self.strict), self.tuples
        width = min(self.k, self.n)
        rests = np.zeros((self.count, width), dtype=np.int64)
        letters = np.zeros((self.count, width), dtype=np.int64)
        weights = np.zeros((self.count, width))
        used = np.zeros(self.count, dtype=np.int64)
        for place in range(self.k):
            is_first = np.full(self.count, True)
            if place and not self.strict:
                is_first = tuples[:, place] != tuples[:, place - 1]
            at, to = np.flatnonzero(is_first), used[is_first]
            letters[at, to] = tuples[at, place]
            rests[at, to] = fewer.rank(np.delete(tuples[at], place, axis=1))
            sign = (-1) ** place
            weights[at, to] = sign if self.strict else self.counts[at, tuples[at, place]]
            used += is_first
        return Removals(rests, letters, weights)


@dataclass(frozen=True)
class Removals:
    """For each tuple and each of its different indices, the tuple without that index.

    `rests` has the place of the shorter tuple, `letters` the index, and `weights` its multiplicity
    (for strict tuples the sign of moving it to the front). Rows of fewer indices are padded with
    the weight 0.
    """

    rests: Int[np.ndarray, "N w"]
    letters: Int[np.ndarray, "N w"]
    weights: Float[np.ndarray, "N w"]


@lru_cache(_KEPT)
def index_tuples(n: int, k: int, strict: bool) -> IndexTuples:
    """Return the sorted tuples of k indices below n, cached with what is computed from them."""
    return IndexTuples(n, k, strict)


@lru_cache(_KEPT)
def _binomials(top: int, k: int) -> Int[np.ndarray, "m j"]:
    """Return C(a, b) for a ≤ top and b ≤ k."""
    row = [1] + [0] * k
    rows = [row]
    for _ in range(top):
        row = [1, *(min(row[b] + row[b - 1], _MOST_BINOMIAL) for b in range(1, k + 1))]
        rows.append(row)
    return np.array(rows, dtype=np.int64)


def symmetric_power(matrix: Num[Array, "n n"], k: int) -> Num[Array, "N N"]:
    """Return Symᵏ(M), for k from 1 on; in the array library of M."""
    xp, n, found = namespace(matrix), matrix.shape[0], matrix
    is_exact = k <= _EXACT_UP_TO  # else the forms' coefficients could exceed single precision
    for degree in range(2, k + 1):
        table, before = index_tuples(n, degree, False).removals, found
        rows = table.weights if is_exact else np.sqrt(table.weights)
        columns = np.sign(table.weights) if is_exact else np.sqrt(table.weights)
        size = len(rows)
        found = xp.zeros((size, size), dtype=matrix.dtype)
        for p in range(rows.shape[1]):
            rests, letters = before[table.rests[:, p]], matrix[table.letters[:, p]]
            for q in range(rows.shape[1]):
                moved = rests[:, table.rests[:, q]] * letters[:, table.letters[:, q]]
                weights = np.multiply.outer(rows[:, p], columns[:, q])
                found = found + moved * xp.asarray(weights, dtype=moved.real.dtype)
        found = found / degree
    if not is_exact or k == 1:
        return found
    sizes = index_tuples(n, k, False).rearrangements
    scale = np.sqrt(sizes[:, None] / sizes[None, :])
    return found * xp.asarray(scale, dtype=found.real.dtype)


def alternating_power(matrix: Num[Array, "n n"], k: int) -> Num[Array, "N N"]:
    """Return Λᵏ(M), the matrix of minors, for k from 1 on; in the array library of M."""
    xp, n, found = namespace(matrix), matrix.shape[0], matrix
    if k > n:
        return matrix[:0, :0]
    if 2 * k > n and comb(n, n // 2) > _MINORS_UP_TO:
        return _by_complements(matrix, k)
    for degree in range(2, k + 1):
        tuples, before = index_tuples(n, degree, True), found
        table, last = tuples.removals, tuples.tuples[:, -1]
        # the last index of a row stands in the last place, and the rest in the last removal
        rests, letters = before[table.rests[:, -1]], matrix[last]
        found = xp.zeros((tuples.count, tuples.count), dtype=matrix.dtype)
        for q in range(degree):
            sign = (-1) ** (degree - 1 + q)
            found = found + sign * rests[:, table.rests[:, q]] * letters[:, table.letters[:, q]]
    return found


def determinant(matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
    """Return det M as a matrix; exactly, for small matrices of integers."""
    n = matrix.shape[0]
    if not n:
        return namespace(matrix).ones((1, 1), dtype=matrix.dtype)
    return alternating_power(matrix, n)


def _by_complements(matrix: Num[Array, "n n"], k: int) -> Num[Array, "N N"]:
    """Return Λᵏ(M) of an invertible matrix by Jacobi's complementary minors."""
    xp, n = namespace(matrix), matrix.shape[0]
    whole = xp.linalg.det(matrix)
    if k == n:
        return whole.reshape(1, 1)
    inverse = xp.linalg.inv(matrix).T
    minors = xp.flip(alternating_power(inverse, n - k))  # complements are in reverse order
    signs = (-1.0) ** index_tuples(n, k, True).tuples.sum(axis=1)
    return whole * minors * xp.asarray(np.outer(signs, signs), dtype=minors.real.dtype)


def power_derivative(matrix: Num[Array, "n n"], k: int, *, strict: bool) -> Num[Array, "N N"]:
    """Return the derivative of Symᵏ, or of Λᵏ if `strict`, at 1 in the direction of a matrix.

    It is Σ aᵢ† aⱼ Mᵢⱼ with creation and annihilation operators.
    """
    xp, n = namespace(matrix), matrix.shape[0]
    entries = _pairs(n, k, strict)
    tuples = index_tuples(n, k, strict)
    counts = xp.asarray(tuples.counts, dtype=matrix.real.dtype)
    diagonal = xp.matmul(counts, xp.diagonal(matrix))
    weights = xp.asarray(entries.weights, dtype=matrix.real.dtype)
    values = matrix[entries.letters_to, entries.letters_from] * weights
    places = np.arange(tuples.count)
    found = xp.zeros((tuples.count, tuples.count), dtype=matrix.dtype)
    found = with_entries(found, (entries.rows, entries.columns), values)
    return with_entries(found, (places, places), diagonal)


@dataclass(frozen=True)
class _Pairs:
    """The pairs of tuples that differ in one index, i in the row and j in the column."""

    rows: Int[np.ndarray, " m"]
    columns: Int[np.ndarray, " m"]
    letters_to: Int[np.ndarray, " m"]
    letters_from: Int[np.ndarray, " m"]
    weights: Float[np.ndarray, " m"]


@lru_cache(_KEPT)
def _pairs(n: int, k: int, strict: bool) -> _Pairs:
    tuples = index_tuples(n, k, strict)
    table, fewer = tuples.removals, index_tuples(n, k - 1, strict)
    weights = table.weights if strict else np.sqrt(table.weights)
    used, columns = np.nonzero(table.weights)
    rests, letters = table.rests[used, columns], table.letters[used, columns]
    added = np.full((fewer.count, n), -1)
    factor = np.zeros((fewer.count, n))
    added[rests, letters], factor[rests, letters] = used, weights[used, columns]
    rows, starts = np.repeat(used, n), np.repeat(rests, n)
    to, source = np.repeat(letters, n), np.tile(np.arange(n), len(used))
    kept = (to != source) & (added[starts, source] >= 0)
    rows, starts, to, source = rows[kept], starts[kept], to[kept], source[kept]
    weight = np.repeat(weights[used, columns], n)[kept] * factor[starts, source]
    if not strict:  # √a √b of integers, rounded once
        weight = np.sqrt(np.rint(weight**2))
    return _Pairs(rows, added[starts, source], to, source, weight)


def power_of_permutation(move: Permutation, k: int, *, strict: bool) -> Permutation:
    """Return Symᵏ of a signed permutation, or Λᵏ if `strict`: a signed permutation too."""
    tuples = index_tuples(len(move.indices), k, strict)
    moved = move.indices[tuples.tuples]
    signs = np.ones(tuples.count, dtype=np.int64)
    if move.signs is not None:
        signs = signs * np.prod(move.signs[tuples.tuples], axis=1, dtype=np.int64)
    if strict:
        for place in range(k):
            inversions = (moved[:, place, None] > moved[:, place + 1 :]).sum(axis=1)
            signs *= 1 - 2 * (inversions % 2)
    return Permutation(tuples.rank(np.sort(moved, axis=1)), signs)
