"""How a basis Q of shape (n, r) is kept: interchangeable storages of one interface.

Each can be applied (Q w, Qᴴ v) in NumPy and in JAX, and be written to named arrays and JSON
metadata and rebuilt from them; `docs/format.md` describes that format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.arrays import Array, is_jax, namespace, working_dtype
from intertwine.errors import FormatError

#: Takes an array and a hint at its meaning, and returns the name under which it was put.
Put = Callable[[str, "np.ndarray[Any, Any]"], str]


class Storage(ABC):
    """A matrix Q of shape (n, r) with orthonormal columns.

    The laws: ``adjoint`` is the adjoint of ``apply``; ``adjoint(apply(w)) = w``; the answer is in
    the array library and the precision of the argument; and ``read(write())`` is the same Q.
    """

    kind: ClassVar[str]
    shape: tuple[int, int]
    dtype: np.dtype[Any] = np.dtype(np.float64)

    @abstractmethod
    def apply(self, w: Inexact[Any, "r k"]) -> Inexact[Any, "n k"]:
        """Q w."""

    @abstractmethod
    def adjoint(self, v: Inexact[Any, "n k"]) -> Inexact[Any, "r k"]:
        """Qᴴ v."""

    @abstractmethod
    def sparse(self) -> Any:
        """Q as a SciPy sparse array in CSC format."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """The bytes of the arrays that are kept."""

    @abstractmethod
    def write(self, put: Put) -> dict[str, Any]:
        """Hand the arrays to `put`, and return the JSON metadata that refers to them."""

    @staticmethod
    def read(meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Storage:
        """The storage that `write` described. Raises `FormatError` for what it cannot be."""
        kinds = {cls.kind: cls for cls in (Dense, Orbits, Sum, Kronecker, Permuted)}
        try:
            return kinds[meta["kind"]]._read(meta, arrays)
        except FormatError:
            raise
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise FormatError(f"this is no stored basis: {error!r}") from error

    @classmethod
    @abstractmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Storage: ...


class Dense(Storage):
    """The matrix itself, float64 or complex128."""

    kind = "dense"

    def __init__(self, matrix: Inexact[np.ndarray, "n r"]) -> None:
        self.matrix = matrix
        self.shape = (matrix.shape[0], matrix.shape[1])
        self.dtype = matrix.dtype

    def apply(self, w: Inexact[Any, "r k"]) -> Inexact[Any, "n k"]:
        """Q w."""
        return self._in(w) @ w

    def adjoint(self, v: Inexact[Any, "n k"]) -> Inexact[Any, "r k"]:
        """Qᴴ v."""
        return self._in(v).conj().T @ v

    def _in(self, argument: Array) -> Array:
        dtype = working_dtype(argument, self.dtype)
        return namespace(argument).asarray(self.matrix, dtype=dtype)

    def sparse(self) -> Any:
        """Q without the entries that are rounding errors of zero."""
        from scipy.sparse import csc_array

        return csc_array(np.where(np.abs(self.matrix) > 1e-14, self.matrix, 0))

    @property
    def nbytes(self) -> int:
        """The bytes of the matrix."""
        return self.matrix.nbytes

    def write(self, put: Put) -> dict[str, Any]:
        """One array."""
        return {"kind": self.kind, "matrix": put("matrix", self.matrix)}

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Dense:
        matrix = arrays[meta["matrix"]]
        if matrix.ndim != 2 or matrix.dtype not in (np.float64, np.complex128):
            raise FormatError(
                f"a dense basis is a float64 matrix, not {matrix.dtype}{matrix.shape}"
            )
        return cls(matrix)


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
        sizes = np.bincount(self.labels[kept], minlength=self.shape[1])
        weights = np.where(kept, 1 / np.sqrt(np.maximum(sizes, 1))[self.labels], 0.0)
        return weights if self.signs is None else weights * self.signs

    @cached_property
    def _grouped(self) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " r"]]:
        """The indices of the rows that are not zero, orbit by orbit, and where orbits start."""
        order = np.argsort(self.labels, kind="stable")
        order = order[np.searchsorted(self.labels[order], 0) :]
        return order, np.searchsorted(self.labels[order], np.arange(self.shape[1]))

    def apply(self, w: Inexact[Any, "r k"]) -> Inexact[Any, "n k"]:
        """Q w: each row is its orbit's entry of w, weighted."""
        xp, dtype = namespace(w), working_dtype(w, self.dtype)
        if self.shape[1] == 0:
            return xp.zeros((self.shape[0], w.shape[1]), dtype=dtype)
        return xp.asarray(self._weights, dtype=dtype)[:, None] * w[self.labels]

    def adjoint(self, v: Inexact[Any, "n k"]) -> Inexact[Any, "r k"]:
        """Qᴴ v: weighted sums over the orbits."""
        xp, dtype = namespace(v), working_dtype(v, self.dtype)
        if self.shape[1] == 0:
            return xp.zeros((0, v.shape[1]), dtype=dtype)
        weighted = xp.asarray(self._weights, dtype=dtype)[:, None] * v
        if is_jax(v):
            import jax

            labels = np.maximum(self.labels, 0)  # rows of label −1 have weight 0
            return jax.ops.segment_sum(weighted, labels, num_segments=self.shape[1])
        order, starts = self._grouped
        return np.add.reduceat(weighted[order], starts, axis=0)

    def sparse(self) -> Any:
        """Q with one entry a row."""
        from scipy.sparse import coo_array

        rows = np.flatnonzero(self.labels >= 0)
        entries = (self._weights[rows], (rows, self.labels[rows]))
        return coo_array(entries, shape=self.shape).tocsc()

    @property
    def nbytes(self) -> int:
        """The bytes of labels and signs."""
        return self.labels.nbytes + (0 if self.signs is None else self.signs.nbytes)

    def write(self, put: Put) -> dict[str, Any]:
        """Labels, and signs where there are any."""
        meta: dict[str, Any] = {"kind": self.kind, "rank": self.shape[1]}
        meta["labels"] = put("labels", self.labels)
        meta["signs"] = None if self.signs is None else put("signs", self.signs)
        return meta

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Orbits:
        labels, rank = arrays[meta["labels"]], int(meta["rank"])
        signs = None if meta["signs"] is None else arrays[meta["signs"]]
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise FormatError(
                f"labels are integers, one an index, not {labels.dtype}{labels.shape}"
            )
        if not np.array_equal(np.unique(labels[labels >= 0]), np.arange(rank)):
            raise FormatError(f"the labels do not name {rank} orbits")
        if signs is not None and (signs.shape != labels.shape or np.any(np.abs(signs) != 1)):
            raise FormatError("the signs are not ±1, one an index")
        return cls(labels, signs, rank)


class Sum(Storage):
    """The block-diagonal matrix m₁Q₁ ⊕ m₂Q₂ ⊕ …, each block kept once."""

    kind = "sum"

    def __init__(self, blocks: Sequence[tuple[int, Storage]]) -> None:
        self.blocks = tuple(blocks)
        rows, columns = (sum(m * block.shape[axis] for m, block in blocks) for axis in (0, 1))
        self.shape = (rows, columns)
        self.dtype = np.result_type(np.float64, *(block.dtype for _, block in blocks))

    def apply(self, w: Inexact[Any, "r k"]) -> Inexact[Any, "n k"]:
        """Q w, block by block."""
        return self._blockwise(w, 1, lambda block: block.apply)

    def adjoint(self, v: Inexact[Any, "n k"]) -> Inexact[Any, "r k"]:
        """Qᴴ v, block by block."""
        return self._blockwise(v, 0, lambda block: block.adjoint)

    def _blockwise(self, x: Array, axis: int, operation: Any) -> Array:
        xp, k, at, results = namespace(x), x.shape[1], 0, []
        for multiplicity, block in self.blocks:
            size = block.shape[axis]
            part = x[at : at + multiplicity * size].reshape(multiplicity, size, k)
            at += multiplicity * size
            columns = xp.swapaxes(part, 0, 1).reshape(size, multiplicity * k)
            moved = operation(block)(columns).reshape(-1, multiplicity, k)
            results.append(xp.swapaxes(moved, 0, 1).reshape(-1, k))
        if not results:
            return xp.zeros((0, k), dtype=working_dtype(x, self.dtype))
        return xp.concatenate(results)

    def sparse(self) -> Any:
        """The block-diagonal sparse array."""
        from scipy.sparse import block_diag, csc_array

        blocks = [block.sparse() for m, block in self.blocks for _ in range(m)]
        return block_diag(blocks, format="csc") if blocks else csc_array(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the blocks, each once."""
        return sum(block.nbytes for _, block in self.blocks)

    def write(self, put: Put) -> dict[str, Any]:
        """The blocks in order."""
        blocks = [{"multiplicity": m, "storage": block.write(put)} for m, block in self.blocks]
        return {"kind": self.kind, "blocks": blocks}

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Sum:
        blocks = [
            (int(b["multiplicity"]), Storage.read(b["storage"], arrays)) for b in meta["blocks"]
        ]
        if any(multiplicity < 1 for multiplicity, _ in blocks):
            raise FormatError("a block of a sum has a multiplicity below one")
        return cls(blocks)


class Kronecker(Storage):
    """The Kronecker product Q₁ ⊗ Q₂ ⊗ … of bases over different groups."""

    kind = "kronecker"

    def __init__(self, factors: Sequence[Storage]) -> None:
        self.factors = tuple(factors)
        rows, columns = (prod(factor.shape[axis] for factor in factors) for axis in (0, 1))
        self.shape = (rows, columns)
        self.dtype = np.result_type(np.float64, *(factor.dtype for factor in factors))

    def apply(self, w: Inexact[Any, "r k"]) -> Inexact[Any, "n k"]:
        """Q w, factor by factor."""
        return self._factorwise(w, 1, lambda factor: factor.apply)

    def adjoint(self, v: Inexact[Any, "n k"]) -> Inexact[Any, "r k"]:
        """Qᴴ v, factor by factor."""
        return self._factorwise(v, 0, lambda factor: factor.adjoint)

    def _factorwise(self, x: Array, axis: int, operation: Any) -> Array:
        xp, k = namespace(x), x.shape[1]
        tensor = x.reshape(*(factor.shape[axis] for factor in self.factors), k)
        for slot, factor in enumerate(self.factors):
            moved = xp.moveaxis(tensor, slot, 0)
            # zero-sized axes leave -1 ambiguous, so the shape is spelled out
            flat = moved.reshape(moved.shape[0], prod(moved.shape[1:]))
            result = operation(factor)(flat).reshape(factor.shape[1 - axis], *moved.shape[1:])
            tensor = xp.moveaxis(result, 0, slot)
        return tensor.reshape(self.shape[1 - axis], k)

    def sparse(self) -> Any:
        """The Kronecker product of the sparse factors."""
        from functools import reduce

        from scipy.sparse import csc_array, kron

        product = reduce(lambda a, b: kron(a, b, format="csc"), [f.sparse() for f in self.factors])
        return csc_array(product)

    @property
    def nbytes(self) -> int:
        """The bytes of the factors."""
        return sum(factor.nbytes for factor in self.factors)

    def write(self, put: Put) -> dict[str, Any]:
        """The factors in order."""
        return {"kind": self.kind, "factors": [factor.write(put) for factor in self.factors]}

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Kronecker:
        return cls([Storage.read(factor, arrays) for factor in meta["factors"]])


class Permuted(Storage):
    """A basis whose coordinates are reordered: row i is row `rows[i]` of the inner one."""

    kind = "permuted"

    def __init__(self, rows: Int[np.ndarray, " n"], inner: Storage) -> None:
        self.rows, self.inner = rows, inner
        self.shape, self.dtype = inner.shape, inner.dtype

    @cached_property
    def _inverse(self) -> Int[np.ndarray, " n"]:
        inverse = np.empty_like(self.rows)
        inverse[self.rows] = np.arange(len(self.rows))
        return inverse

    def apply(self, w: Inexact[Any, "r k"]) -> Inexact[Any, "n k"]:
        """Q w, reordered."""
        return self.inner.apply(w)[self.rows]

    def adjoint(self, v: Inexact[Any, "n k"]) -> Inexact[Any, "r k"]:
        """Qᴴ v, of v in the inner order."""
        return self.inner.adjoint(v[self._inverse])

    def sparse(self) -> Any:
        """The inner one with its rows reordered."""
        return self.inner.sparse().tocsr()[self.rows].tocsc()

    @property
    def nbytes(self) -> int:
        """The bytes of the order and of the inner storage."""
        return self.rows.nbytes + self.inner.nbytes

    def write(self, put: Put) -> dict[str, Any]:
        """The order, and the inner storage."""
        return {
            "kind": self.kind,
            "rows": put("rows", self.rows),
            "storage": self.inner.write(put),
        }

    @classmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Permuted:
        rows, inner = arrays[meta["rows"]], Storage.read(meta["storage"], arrays)
        if not np.array_equal(np.sort(rows), np.arange(inner.shape[0])):
            raise FormatError("the order of a permuted basis is no permutation")
        return cls(rows, inner)
