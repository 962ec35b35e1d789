"""A basis as one label per index, for groups that permute coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int, Num

from intertwine.arrays import index, is_jax, namespace, working_dtype
from intertwine.bases.storage import Put, Storage, read_count
from intertwine.errors import FormatError


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
        return xp.asarray(self._weights, dtype=dtype)[:, None] * w[index(self.labels, w)]

    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Return Qᴴ v: weighted sums over the orbits."""
        xp, dtype = namespace(v), working_dtype(v, self.dtype)
        if self.shape[1] == 0:
            return xp.zeros((0, v.shape[1]), dtype=dtype)
        weighted = xp.asarray(self._weights, dtype=dtype)[:, None] * v
        if is_jax(v):
            import jax

            labels = index(np.maximum(self.labels, 0), v)  # rows of label −1 have weight 0
            return jax.ops.segment_sum(weighted, labels, num_segments=self.shape[1])
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

    def keeps(self, indices: Int[np.ndarray, " n"], signs: Int[np.ndarray, " n"]) -> bool:
        """Return whether every index stays in its orbit, with its sign there."""
        own = np.ones(self.shape[0], dtype=np.int8) if self.signs is None else self.signs
        kept = self.labels >= 0
        return np.array_equal(self.labels[indices], self.labels) and np.array_equal(
            (own[indices] * signs)[kept], own[kept]
        )

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
