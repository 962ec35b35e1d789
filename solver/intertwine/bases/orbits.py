"""A basis as one label per index, for groups that permute coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Bool, Inexact, Int, Num

from intertwine.arrays import (
    constant,
    index,
    is_numpy,
    is_torch,
    namespace,
    rows_at,
    sums_of_rows,
    working_dtype,
)
from intertwine.bases.storage import Put, Storage, read_count
from intertwine.errors import FormatError
from intertwine.operators import Permutation

_AT_ONCE = 2**18  # labels that are compared at a time


class Orbits(Storage):
    """Orbits of indices: column j is ±1/√|orbit j| on orbit j, and zero elsewhere.

    `labels` has the orbit of each index, −1 for indices on which every invariant vanishes;
    `signs` is ±1, or None where all are 1.
    """

    kind = "orbits"

    def __init__(
        self,
        labels: Int[np.ndarray, " n"],
        signs: Int[np.ndarray, " n"] | None,
        rank: int,
    ) -> None:
        self.labels, self.signs = labels, signs
        self.shape = (len(labels), rank)

    @cached_property
    def _weights(self) -> Inexact[np.ndarray, " n"]:
        """The one nonzero entry of each row."""
        kept = self.labels >= 0
        sizes = np.bincount(self.labels[kept], minlength=max(1, self.shape[1]))
        weights = np.where(kept, 1 / np.sqrt(np.maximum(sizes, 1))[self.labels], 0.0)
        return weights if self.signs is None else weights * self.signs

    @cached_property
    def _places(self) -> Int[np.ndarray, " n"]:
        """The labels, with 0 in place of −1: these rows have weight 0."""
        places: Int[np.ndarray, " n"] = np.maximum(self.labels, 0)
        return places

    @cached_property
    def _grouped(self) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " r"]]:
        """The indices of the nonzero rows, orbit by orbit, and the start of each orbit."""
        order = np.argsort(self.labels, kind="stable")
        order = order[np.searchsorted(self.labels[order], 0) :]
        return order, np.searchsorted(self.labels[order], np.arange(self.shape[1]))

    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Return Q w: each row is its orbit's entry of w, weighted."""
        xp, dtype = namespace(w), working_dtype(w, self.dtype)
        if self.shape[1] == 0:
            return xp.zeros((self.shape[0], w.shape[1]), dtype=dtype)
        weights = constant(self._weights, w, dtype)[:, None]
        return weights * (rows_at(self._places, w) if is_torch(w) else w[index(self.labels, w)])

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Return Qᴴ v: weighted sums over the orbits."""
        xp, dtype = namespace(v), working_dtype(v, self.dtype)
        if self.shape[1] == 0:
            return xp.zeros((0, v.shape[1]), dtype=dtype)
        weighted = constant(self._weights, v, dtype)[:, None] * v
        if not is_numpy(v):
            labels = self._places if is_torch(v) else index(self._places, v)
            return sums_of_rows(weighted, labels, self.shape[1])
        order, starts = self._grouped
        return np.add.reduceat(weighted[order], starts, axis=0)

    def sparse(self) -> Any:
        """Return Q with one entry per row."""
        from scipy.sparse import coo_array

        rows = np.flatnonzero(self.labels >= 0)
        entries = (self._weights[rows], (rows, self.labels[rows]))
        return coo_array(entries, shape=self.shape).tocsc()

    @property
    def nbytes(self) -> int:
        """The bytes of labels and signs."""
        return self.labels.nbytes + (0 if self.signs is None else self.signs.nbytes)

    def orthonormality(self) -> float:
        """Return the rounding error of the columns' norms: different orbits are disjoint."""
        sizes = np.bincount(self.labels[self.labels >= 0], minlength=self.shape[1])
        return float(np.abs(sizes * (1 / np.sqrt(sizes)) ** 2 - 1).max(initial=0.0))

    def keeps(self, slots: Sequence[Permutation]) -> bool:
        """Return whether every index stays in its orbit, with its sign there."""
        sizes = [slot.shape[0] for slot in slots]
        labels = self.labels + 1
        if self.signs is not None:
            labels = labels * self.signs
        pairs = moved_labels(labels.reshape(sizes), slots)
        return all(np.array_equal(own, other) for own, other in pairs)

    def write(self, put: Put) -> dict[str, Any]:
        """Write the labels, and the signs if there are any."""
        meta: dict[str, Any] = {"kind": self.kind, "rank": self.shape[1]}
        meta["labels"] = put("labels", self.labels)
        meta["signs"] = None if self.signs is None else put("signs", self.signs)
        return meta

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Orbits:
        labels, rank = arrays[meta["labels"]], read_count(meta["rank"], "the rank")
        signs = None if meta["signs"] is None else arrays[meta["signs"]]
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise FormatError(
                f"labels must be integers, one per index, not {labels.dtype}{labels.shape}"
            )
        fits = rank <= len(labels) and np.all((labels >= -1) & (labels < rank))
        if not fits or not np.all(np.bincount(labels[labels >= 0], minlength=rank)):
            raise FormatError(f"the labels do not name {rank} orbits")
        if signs is not None and (signs.shape != labels.shape or np.any(np.abs(signs) != 1)):
            raise FormatError("the signs are not ±1, one per index")
        return cls(labels, signs, rank)


def moved_labels(
    labels: Int[np.ndarray, " *n"], slots: Sequence[Permutation]
) -> Iterator[tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]]:
    """Yield the labels of index tuples, and those of their images with the signs there.

    The first array has `labels[i, j, …]`, and the second s(i) t(j) … `labels[p(i), q(j), …]`, for
    permutations p, q, … of the slots with the signs s, t, …. Tuples that are not moved, and have
    the sign +, are left out. Each pair has at most about 2¹⁸ labels, or those of one first index.
    """
    sizes, signs_of = labels.shape, [slot.signs for slot in slots]
    is_signed = any(signs is not None for signs in signs_of)
    moved = [_moved(slot) for slot in slots]
    for place in range(len(slots)):
        # of the tuples whose first moved index is in this slot, the indices so far, and the rest
        chosen = [np.flatnonzero(~each) for each in moved[:place]] + [np.flatnonzero(moved[place])]
        if not all(map(len, chosen)):
            continue
        rest = slots[place + 1 :]
        rows = labels.reshape(prod(sizes[: place + 1]), prod(sizes[place + 1 :]))
        columns = _flat_index([slot.indices for slot in rest], sizes[place + 1 :])
        signs = _flat_signs(signs_of[place + 1 :], sizes[place + 1 :])
        total = prod(map(len, chosen)) * len(columns)
        for piece in np.array_split(chosen[0], min(len(chosen[0]), -(-total // _AT_ONCE))):
            starts = [piece, *chosen[1:]]
            images = [slot.indices[at] for slot, at in zip(slots, starts, strict=False)]
            other = np.take(rows[_flat_index(images, sizes)], columns, axis=1)
            if is_signed:
                here = [s if s is None else s[at] for s, at in zip(signs_of, starts, strict=False)]
                other *= _flat_signs(here, [len(at) for at in starts])[:, None]
                other *= signs
            yield rows[_flat_index(starts, sizes)], other


def _moved(slot: Permutation) -> Bool[np.ndarray, " n"]:
    moved: Bool[np.ndarray, " n"] = slot.indices != np.arange(slot.shape[0])
    return moved if slot.signs is None else moved | (slot.signs < 0)


def _flat_index(
    chosen: Sequence[Int[np.ndarray, " _"]], sizes: Sequence[int]
) -> Int[np.ndarray, " m"]:
    """Return the positions of all tuples of the chosen indices in an array of these sizes."""
    found = np.zeros(1, dtype=np.intp)
    for indices, size in zip(chosen, sizes, strict=False):
        found = (found[:, None] * size + indices).ravel()
    return found


def _flat_signs(
    signs_of: Sequence[Int[np.ndarray, " _"] | None], sizes: Sequence[int]
) -> Int[np.ndarray, " m"]:
    """Return the products of the signs of all tuples; None has the sign + everywhere."""
    found = np.ones(1, dtype=np.int8)
    for signs, size in zip(signs_of, sizes, strict=True):
        each = np.ones(size, dtype=np.int8) if signs is None else signs
        found = (found[:, None] * each).ravel()
    return found
