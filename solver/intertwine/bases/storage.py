"""How a basis Q of shape (n, r) is kept: interchangeable storages of one interface.

Each can be applied (Q w, Qᴴ v) in NumPy and in JAX, and be written to named arrays and JSON
metadata and rebuilt from them; `docs/format.md` describes that format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Num, Shaped

from intertwine.errors import FormatError

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
    the array library and the precision of the argument; and ``read(write())`` is the same Q.
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
