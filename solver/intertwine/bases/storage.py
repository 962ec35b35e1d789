"""The interface of storages of a basis Q of shape (n, r).

A storage computes Q w and Qᴴ v in NumPy and in JAX, and can be written to named arrays and JSON
metadata and read back; `docs/format.md` describes that format. It also has the methods that the
check of a result needs. A new storage needs its module, its export from `intertwine.bases`, and
tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Inexact, Num, Shaped

from intertwine.errors import FormatError
from intertwine.integers import checked_integer
from intertwine.operators import Permutation

_BLOCK_BYTES = 2**28

#: Stores an array, given with a hint at its meaning, and returns the name that it was stored under.
Put = Callable[[str, Shaped[np.ndarray, "..."]], str]


#: The errors that a malformed document causes in a reader.
UNREADABLE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)


def read_count(value: Any, what: str, least: int = 0) -> int:
    """Return an integer of a document. Raises `FormatError` for anything else."""
    return checked_integer(value, what, least, FormatError)


class Storage(ABC):
    """A matrix Q of shape (n, r) with orthonormal columns.

    The laws: ``adjoint`` is the adjoint of ``apply``; ``adjoint(apply(w)) = w``; results have
    the array library and the precision of the argument; and ``read(write())`` is the same Q. The
    ``columns`` side by side are Q, and so is ``written_out`` if it is not None; ``keeps`` is
    exact if it is not None; and the ``orthonormality`` functions return upper bounds.

    A subclass has a unique `kind`, by which files refer to it, and defines the abstract methods.
    The other methods have a default that is correct for every storage; a subclass overrides those
    that its structure answers faster or exactly.
    """

    kind: ClassVar[str]
    _kinds: ClassVar[dict[str, type[Storage]]] = {}
    shape: tuple[int, int]
    dtype: np.dtype[Any] = np.dtype(np.float64)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Storage._kinds[cls.kind] = cls

    @abstractmethod
    def apply(self, w: Num[Any, "r k"]) -> Num[Any, "n k"]:
        """Q w."""

    @abstractmethod
    def adjoint(self, v: Num[Any, "n k"]) -> Num[Any, "r k"]:
        """Qᴴ v."""

    @abstractmethod
    def sparse(self) -> Any:
        """Q as a SciPy sparse array in CSC format."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """The bytes of the stored arrays."""

    @property
    def written_out(self) -> Inexact[np.ndarray, "n r"] | None:
        """Return the matrix Q if its entries are stored, with independent rounding errors; else
        None. A check of single vectors needs these entries.
        """
        return None

    def columns(self, block_bytes: int | None = None) -> Iterator[Inexact[np.ndarray, "n _"]]:
        """Yield the columns of Q in order, in nonempty blocks of bounded size.

        A block has at most `block_bytes`, or one column.
        """
        r, width = self.shape[1], self._block_width(block_bytes)
        for start in range(0, r, width):
            units = np.eye(r, min(width, r - start), -start, dtype=self.dtype)
            yield np.asarray(self.apply(units))

    def orthonormality(self) -> float:
        """Return a bound on the spectral norm of QᴴQ − 1: by default its Frobenius norm."""
        square, start = 0.0, 0
        for block in self.columns():
            gram = np.asarray(self.adjoint(block))
            square += float(np.sum(np.abs(gram - np.eye(len(gram), gram.shape[1], -start)) ** 2))
            start += block.shape[1]
        return sqrt(square)

    def orthonormality_of_whole(self, part: float) -> float:
        """Return a bound on the spectral norm of QᴴQ − 1, if `part` bounds that of each basis that
        Q is assembled from; by default Q itself.
        """
        return part

    def keeps(self, slots: Sequence[Permutation]) -> bool | None:
        """Return whether signed permutations of the slots, together, fix every column, if the
        structure shows it without rounding; None if it has to be measured.
        """
        return None

    def _block_width(self, block_bytes: int | None) -> int:
        return max(1, (block_bytes or _BLOCK_BYTES) // max(1, self.shape[0] * self.dtype.itemsize))

    @abstractmethod
    def write(self, put: Put) -> dict[str, Any]:
        """Pass the arrays to `put`, and return the JSON metadata that refers to them."""

    @staticmethod
    def read(meta: Any, arrays: Mapping[str, Any]) -> Storage:
        """Read the storage that `write` described. Raises `FormatError` for anything else."""
        try:
            return Storage._kinds[meta["kind"]]._read(meta, arrays)
        except FormatError:
            raise
        except UNREADABLE as error:
            raise FormatError(f"this is not a stored basis: {error!r}") from error

    @classmethod
    @abstractmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Storage: ...
