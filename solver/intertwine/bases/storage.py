"""How a basis Q of shape (n, r) is kept: interchangeable storages of one interface.

Each can be applied (Q w, Qᴴ v) in NumPy and in JAX, and be written to named arrays and JSON
metadata and rebuilt from them; `docs/format.md` describes that format. What the check of a result
asks of a storage are methods too, so that a new storage needs its module, its export from
`intertwine.bases`, and tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Inexact, Int, Num, Shaped

from intertwine.errors import FormatError

_BLOCK_BYTES = 2**28

#: Takes an array and a hint at its meaning, and returns the name under which it was put.
Put = Callable[[str, Shaped[np.ndarray, "..."]], str]


#: What a malformed document makes a reader run into.
UNREADABLE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError)


def read_count(value: Any, what: str, least: int = 0) -> int:
    """An integer of a document. Raises `FormatError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise FormatError(f"{what} is an integer from {least} on, not {value!r}")
    return value


class Storage(ABC):
    """A matrix Q of shape (n, r) with orthonormal columns.

    The laws: ``adjoint`` is the adjoint of ``apply``; ``adjoint(apply(w)) = w``; the answer is in
    the array library and the precision of the argument; and ``read(write())`` is the same Q. The
    ``columns`` side by side are Q, and so is ``written_out`` where it is not None; ``keeps`` is
    exact where it is not None; and the ``orthonormality`` functions are upper bounds.

    A subclass has a `kind` of its own, under which it is found again when it is read, and defines
    the abstract methods. The others have a default that is right for every storage; a subclass
    redefines those that its structure answers faster or exactly.
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
        """The bytes of the arrays that are kept."""

    @property
    def written_out(self) -> Inexact[np.ndarray, "n r"] | None:
        """The matrix Q where its entries are kept, each with a rounding error of its own; else
        None. A check of single vectors needs these entries.
        """
        return None

    def columns(self) -> Iterator[Inexact[np.ndarray, "n _"]]:
        """The columns of Q in order, in blocks of bounded size; no block without columns."""
        r, width = self.shape[1], self._block_width
        for start in range(0, r, width):
            units = np.eye(r, min(width, r - start), -start, dtype=self.dtype)
            yield np.asarray(self.apply(units))

    def orthonormality(self) -> float:
        """A bound on the spectral norm of QᴴQ − 1: here its Frobenius norm."""
        square, start = 0.0, 0
        for block in self.columns():
            gram = np.asarray(self.adjoint(block))
            square += float(np.sum(np.abs(gram - np.eye(len(gram), gram.shape[1], -start)) ** 2))
            start += block.shape[1]
        return sqrt(square)

    def orthonormality_of_whole(self, part: float) -> float:
        """A bound on the spectral norm of QᴴQ − 1 if `part` is one for each basis that Q was put
        together from; here Q is the only one.
        """
        return part

    def keeps(self, indices: Int[np.ndarray, " n"], signs: Int[np.ndarray, " n"]) -> bool | None:
        """Whether x ↦ signs · x[indices] leaves every column as it is, where the structure tells
        it without rounding; None where it has to be measured.
        """
        return None

    @property
    def _block_width(self) -> int:
        return max(1, _BLOCK_BYTES // max(1, self.shape[0] * self.dtype.itemsize))

    @abstractmethod
    def write(self, put: Put) -> dict[str, Any]:
        """Hand the arrays to `put`, and return the JSON metadata that refers to them."""

    @staticmethod
    def read(meta: Any, arrays: Mapping[str, Any]) -> Storage:
        """The storage that `write` described. Raises `FormatError` for what it cannot be."""
        try:
            return Storage._kinds[meta["kind"]]._read(meta, arrays)
        except FormatError:
            raise
        except UNREADABLE as error:
            raise FormatError(f"this is no stored basis: {error!r}") from error

    @classmethod
    @abstractmethod
    def _read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Storage: ...
