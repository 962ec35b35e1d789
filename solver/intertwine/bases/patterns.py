"""A basis of patterns of equal indices, for groups of all permutations, without stored arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from math import perm, prod, sqrt
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int, Num

from intertwine.arrays import (
    constant,
    converted,
    is_jax,
    is_numpy,
    rows_at,
    sums_of_rows,
    working_dtype,
)
from intertwine.bases.orbits import Orbits
from intertwine.bases.storage import Put, Storage, read_count
from intertwine.errors import FormatError
from intertwine.groups.full_permutations import equality_patterns
from intertwine.memory import MAX_SIZE
from intertwine.operators import Permutation

MOST_SLOTS = 6
"""The largest number of slots: 203 patterns."""
_BLOCK = 2**20  # entries that are copied together


class EqualityPatterns(Storage):
    """Orbits of all permutations of the indices 0, …, size − 1: patterns of equal indices.

    Column j is 1/√m on the m index tuples with the j-th pattern, and zero elsewhere. Patterns are
    ordered by their first tuple. Q w is written, and Qᴴ v summed, diagonal by diagonal and in
    blocks, so that no other array of n entries is made.
    """

    kind = "patterns"
    signs: None = None
    """All entries are positive."""

    def __init__(self, size: int, slots: int) -> None:
        if not 1 <= slots <= MOST_SLOTS:
            raise ValueError(f"patterns have 1 to {MOST_SLOTS} slots, not {slots}")
        self.size, self.slots = size, slots
        self.patterns = tuple(equality_patterns([0] * slots, [size] * slots))
        self.shape = (size**slots, len(self.patterns))

    @cached_property
    def _weights(self) -> Inexact[np.ndarray, " r"]:
        """The nonzero entry of each column."""
        weights: Inexact[np.ndarray, " r"] = np.array([1 / sqrt(m) for m in self._counts])
        return weights

    @property
    def _counts(self) -> list[int]:
        """The number of tuples with each pattern."""
        return [perm(self.size, _parts(pattern)) for pattern in self.patterns]

    @cached_property
    def _by_parts(self) -> list[int]:
        """The columns, those of patterns with few different indices first."""
        return sorted(range(self.shape[1]), key=lambda j: _parts(self.patterns[j]))

    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Return Q w: each row is its pattern's entry of w, weighted."""
        dtype = working_dtype(w, self.dtype)
        values = constant(self._weights, w, dtype)[:, None] * w
        if is_jax(w):
            return values[self._labels_in_jax().ravel()]
        if not is_numpy(w):
            return rows_at(self._labels, values)
        found = np.empty((self.size,) * self.slots + (w.shape[1],), dtype=dtype)
        # a diagonal contains those of patterns with fewer different indices: these overwrite it
        for j in reversed(self._by_parts):
            _diagonal(found, self.patterns[j])[...] = values[j]
        return found.reshape(self.shape[0], w.shape[1])

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Return Qᴴ v: weighted sums over the tuples of each pattern.

        Entries of other patterns are in no intermediate result, so that large ones cost no digits.
        """
        dtype = working_dtype(v, self.dtype)
        if not is_numpy(v):
            labels = self._labels_in_jax().ravel() if is_jax(v) else self._labels
            totals = sums_of_rows(converted(v, dtype), labels, self.shape[1])
            return constant(self._weights, v, dtype)[:, None] * totals
        tensor: Any = v.reshape(*(self.size,) * self.slots, v.shape[1])
        double = np.result_type(dtype, np.float64)
        sums = np.empty((self.shape[1], v.shape[1]), dtype=double)
        for j, pattern in enumerate(self.patterns):
            sums[j] = _sum_over_different(_diagonal(tensor, pattern), double)
        return (self._weights[:, None] * sums).astype(dtype)

    @cached_property
    def _labels(self) -> Int[np.ndarray, " n"]:
        """The label of each tuple."""
        bits = np.zeros((self.size,) * self.slots, dtype=np.int32)
        for bit, (a, b) in enumerate(combinations(range(self.slots), 2)):
            equal = np.eye(self.size, dtype=np.int32) << bit
            bits += np.expand_dims(equal, [k for k in range(self.slots) if k not in (a, b)])
        return self._label_of_bits[bits].ravel()

    def _labels_in_jax(self) -> Any:
        """Return the label of each tuple as a JAX array, which a compiled program computes."""
        import jax.numpy as jnp

        bits: Any = jnp.zeros((self.size,) * self.slots, dtype=np.int32)
        for bit, (a, b) in enumerate(combinations(range(self.slots), 2)):
            first, second = (
                jnp.arange(self.size).reshape([-1 if k == axis else 1 for k in range(self.slots)])
                for axis in (a, b)
            )
            bits = bits + (first == second) * np.int32(2**bit)
        return jnp.asarray(self._label_of_bits)[bits]

    @cached_property
    def _label_of_bits(self) -> Int[np.ndarray, " m"]:
        """The column of a pattern by its pairs of equal indices, as the bits of a number."""
        pairs = list(combinations(range(self.slots), 2))
        found = np.zeros(2 ** len(pairs), dtype=np.int32)
        for j, pattern in enumerate(self.patterns):
            found[sum(2**bit for bit, (a, b) in enumerate(pairs) if pattern[a] == pattern[b])] = j
        return found

    @property
    def labels(self) -> Int[np.ndarray, " n"]:
        """The column in which each row is nonzero: n integers, computed on every access."""
        return pattern_labels(self.size, self.slots)

    def sparse(self) -> Any:
        """Return Q with one entry per row."""
        from scipy.sparse import coo_array

        labels, rows = self.labels, np.arange(self.shape[0])
        return coo_array((self._weights[labels], (rows, labels)), shape=self.shape).tocsc()

    @property
    def nbytes(self) -> int:
        """The bytes of the stored arrays: 0."""
        return 0

    def orthonormality(self) -> float:
        """Return the rounding error of the columns' norms. Different columns are disjoint."""
        counts = np.array([float(m) for m in self._counts])
        return float(np.abs(counts * self._weights**2 - 1).max(initial=0.0))

    def keeps(self, slots: Sequence[Permutation]) -> bool:
        """Return whether every tuple keeps its pattern, with the sign +.

        This holds if and only if all slots are permuted in the same way, each slot has one sign for
        all its indices, and the product of these signs is +. Permutations of other slots, such as
        one permutation of all tuples, are compared label by label.
        """
        if [slot.shape[0] for slot in slots] != [self.size] * self.slots:
            return Orbits(self.labels, None, self.shape[1]).keeps(slots)
        signs = [np.ones(1, dtype=np.int8) if s.signs is None else s.signs for s in slots]
        is_even = all(np.all(each == each[:1]) for each in signs)
        if not is_even or (self.size and prod(int(each[0]) for each in signs) < 0):
            return False
        return all(np.array_equal(slot.indices, slots[0].indices) for slot in slots)

    def write(self, put: Put) -> dict[str, Any]:
        """Return the size and the number of slots, which determine the basis."""
        return {"kind": self.kind, "size": self.size, "slots": self.slots}

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> EqualityPatterns:
        size = read_count(meta["size"], "the number of indices", least=1)
        slots = read_count(meta["slots"], "the number of slots", least=1)
        if slots > MOST_SLOTS or size**slots > MAX_SIZE:
            raise FormatError(
                f"a basis of patterns has {slots} slots of {size:,} indices: at most {MOST_SLOTS} "
                f"slots and {MAX_SIZE:,} tuples are allowed"
            )
        return cls(size, slots)


def pattern_labels(size: int, slots: int) -> Int[np.ndarray, " n"]:
    """Return the number of each tuple's pattern, in the order of `equality_patterns`.

    It is computed from the patterns of shorter tuples: one more index begins a new part, unless it
    equals an earlier index.
    """
    labels: Any = np.zeros((), dtype=np.int32)
    parts = np.zeros(1, dtype=np.int32)  # of each pattern
    part_of = np.zeros((1, 0), dtype=np.int32)  # of each pattern and place
    for place in range(slots):
        children = parts + (parts < size)
        first = np.cumsum(children, dtype=np.int32) - children
        longer = np.empty((size,) * (place + 1), dtype=np.int32)
        longer[...] = (first + parts)[labels][..., None]
        for other in range(place):
            axes = [*range(place), other]
            _diagonal(longer[..., None], axes)[..., 0] = (first + part_of[:, other])[labels]
        parent = np.repeat(np.arange(len(parts)), children)
        part = np.arange(len(parent), dtype=np.int32) - first[parent]
        parts = np.maximum(parts[parent], part + 1)
        part_of = np.concatenate([part_of[parent], part[:, None]], axis=1)
        labels = longer
    found: Int[np.ndarray, " n"] = labels.ravel()
    return found


def _parts(pattern: Sequence[int]) -> int:
    return max(pattern) + 1


def _sum_over_different(
    diagonal: Num[np.ndarray, "..."], dtype: np.dtype[Any]
) -> Num[np.ndarray, " k"]:
    """Return the sum over all tuples of different indices. The last axis is not summed."""
    parts, size = diagonal.ndim - 1, len(diagonal)
    axes = tuple(range(parts))
    step = max(1, _BLOCK // max(1, diagonal[0].size))
    total = np.zeros(diagonal.shape[-1], dtype=dtype)
    for start in range(0, size, step):
        block = diagonal[start : start + step].astype(dtype)
        here = np.arange(len(block))
        for a, b in combinations(axes, 2):
            places: list[Any] = [slice(None)] * parts
            places[a], places[b] = (np.arange(size),) * 2 if a else (here, here + start)
            block[tuple(places)] = 0
        total += block.sum(axis=axes)
    return total


def _diagonal(tensor: Num[np.ndarray, "..."], pattern: Sequence[int]) -> Num[np.ndarray, "..."]:
    """Return a view of the entries whose indices are equal where the pattern says so, with one axis
    for each different index, and the last axis of the tensor.
    """
    parts = _parts(pattern)
    strides = [0] * parts
    for axis, part in enumerate(pattern):
        strides[part] += tensor.strides[axis]
    shape = (*tensor.shape[:parts], tensor.shape[-1])
    view: Num[np.ndarray, "..."] = np.lib.stride_tricks.as_strided(
        tensor, shape, (*strides, tensor.strides[-1])
    )
    return view
