"""Constants of a model, compared by content.

They are static in JAX's trees: a loaded, copied or unpickled model has the tree structure of its
original, and shares its compiled programs, only if its constants are equal. `cleaned` makes
the program of a process that solved for a basis equal to that of one that loaded it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.bases import Basis
from intertwine.bases.format import to_arrays
from intertwine.reps import Rep

_ROUNDING = 1e-12
"""Relative to the largest entry of an array, smaller differences from 0 and ±1 are rounding."""


class ByContent:
    """A frozen dataclass that is compared by its fields, and arrays by their entries."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ByContent):
            return NotImplemented
        if self._equals is other._equals:
            return True
        if type(self) is not type(other) or not all(map(_equal, self._values(), other._values())):
            return False
        vars(other)["_equals"] = self._equals  # speeds up the lookup of compiled programs
        return True

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """Return only the fields: hashes of strings differ between processes."""
        return {name: vars(self)[name] for name in self._names()}

    @cached_property
    def _equals(self) -> object:
        """An object that values share once they were found equal."""
        return object()

    @cached_property
    def _hash(self) -> int:
        return hash((type(self).__name__, *map(_summary, self._values())))

    def _values(self) -> list[Any]:
        return [vars(self)[name] for name in self._names()]

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))  # type: ignore[arg-type]  # a dataclass


def content_digest(*values: Any) -> str | None:
    """Return a digest of values by their content, the same in each process. It is None for values
    whose content is unknown, such as decompositions.

    A rep counts by its text and its size: what layers need of it otherwise is in other fields.
    """
    found = sha256()
    for piece in _pieces(values):
        if piece is None:
            return None
        found.update(len(piece).to_bytes(8, "little") + piece)
    return found.hexdigest()


def cleaned(constants: Inexact[np.ndarray, "*shape"]) -> Inexact[np.ndarray, "*shape"]:
    """Return the constants of a layer, in which entries within rounding of 0, 1 and −1 are exactly
    these numbers.

    Other entries keep all their digits: their rounding errors vanish in programs in single
    precision.
    """
    if np.iscomplexobj(constants):
        parts = np.ascontiguousarray(constants)[..., None].view(constants.real.dtype)
        found = np.ascontiguousarray(cleaned(parts)).view(constants.dtype)[..., 0]
    else:
        near = np.rint(constants)
        rounding = _ROUNDING * np.abs(constants).max(initial=0)
        found = np.where(
            (np.abs(near) <= 1) & (np.abs(constants - near) <= rounding), near, constants
        )
        found = found + 0.0  # −0 is 0
    return found


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and [*a] == [*b] and all(map(_equal, a.values(), b.values()))
    if isinstance(a, tuple | list):
        return isinstance(b, tuple | list) and len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, Basis):
        return isinstance(b, Basis) and _equal(to_arrays(a), to_arrays(b))
    return bool(a == b)


def _summary(value: Any) -> Any:
    """Return a hashable summary of a value, the same for equal values."""
    if isinstance(value, np.ndarray | Basis):
        return value.shape
    if isinstance(value, Mapping):
        return tuple((key, _summary(inner)) for key, inner in value.items())
    if isinstance(value, tuple | list):
        return tuple(map(_summary, value))
    return value


def _pieces(value: Any) -> Iterator[bytes | None]:
    """Yield the content of a value in bytes; None if it is unknown."""
    if isinstance(value, ByContent):
        yield type(value).__qualname__.encode()
        yield from _pieces(value._values())
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield f"{value.dtype.str} {value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}".encode()
        for item in value.items():
            yield from _pieces(item)
    elif isinstance(value, tuple | list):
        yield f"sequence {len(value)}".encode()
        for item in value:
            yield from _pieces(item)
    elif isinstance(value, Basis):
        yield from _pieces(to_arrays(value))
    elif isinstance(value, Rep):
        yield f"rep {value!r} {value.size()}".encode()
    elif isinstance(value, str | int | float | None):
        yield f"{type(value).__name__} {value!r}".encode()
    else:
        yield None
