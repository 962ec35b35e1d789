"""Read generators from arrays, permutations, operators or exact entries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from reprlib import repr as shortened
from typing import Any

import numpy as np
from jaxtyping import Num, Shaped

from intertwine.arrays import double_precision, is_sparse
from intertwine.errors import InvalidGroup, TooLarge
from intertwine.operators import LinearOperator, Permutation, as_signed_permutation, is_monomial
from intertwine.operators.permutation import exact_permutation

#: A stored generator: a float64 or complex128 matrix, or a permutation.
Generator = Num[np.ndarray, "_ _"] | Permutation

MAX_ENTRIES = 10_000_000
"""The most matrix entries that a group's generators may have together (80 MB of float64)."""


MAX_DIMENSION = 10**9
"""The largest space that a group may act on."""


_most_entries = ContextVar("most_entries", default=MAX_ENTRIES)


@contextmanager
def limited_entries(most: int) -> Iterator[None]:
    """Limit the entries of groups that are built in this block, as for requests, to `most`.

    The limit is a context variable, so that other threads and tasks keep their own.
    """
    token = _most_entries.set(min(most, MAX_ENTRIES))
    try:
        yield
    finally:
        _most_entries.reset(token)


def refuse_large(entries: int, what: str) -> None:
    """Raise `TooLarge` for generators with too many entries, before they are built.

    The limit is `MAX_ENTRIES`, or that of `limited_entries`.
    """
    most = _most_entries.get()
    if entries > most:
        raise TooLarge(
            f"{what} would need {entries:,} matrix entries for its generators; "
            f"at most {most:,} are built{'' if most == MAX_ENTRIES else ' here'}"
        )


def read_lie_algebra(values: Any) -> tuple[Generator, ...]:
    """Return the Lie algebra's generators: finite square matrices of one common size."""
    return _common_size([_read(value, "Lie algebra generator") for value in _items(values)])


def read_discrete(values: Any) -> tuple[Generator, ...]:
    """Return the discrete generators: invertible matrices or permutations of one size."""
    generators = [_read_discrete(value) for value in _items(values)]
    for generator in generators:
        if isinstance(generator, np.ndarray):
            _refuse_singular(generator)
    return _common_size(generators)


def _items(values: Any) -> list[Any]:
    if values is None or values is NotImplemented:
        return []
    if isinstance(values, LinearOperator) or is_sparse(values) or not isinstance(values, Iterable):
        raise InvalidGroup(
            f"generators are given as a sequence of square matrices, not as "
            f"{type(values).__name__}{': write [generator] for one' if is_sparse(values) else ''}"
        )
    items = list(values)
    if items and all(isinstance(item, int | np.integer) for item in items):
        raise InvalidGroup(
            f"generators are given as a list, but {shortened(items)} is a list of integers: write "
            f"discrete_generators=[{shortened([int(item) for item in items])}] for one permutation"
        )
    return items


def _read_discrete(value: Any) -> Generator:
    value = getattr(value, "array_form", value)  # a SymPy permutation
    if is_sparse(value):
        permutation = exact_permutation(value)
        return _read(value, "discrete generator") if permutation is None else permutation
    if not isinstance(value, LinearOperator) and _axes(value) == 1 and np.size(value):
        try:
            return Permutation(value)
        except ValueError as error:
            raise InvalidGroup(
                f"a discrete generator with one axis is read as a permutation, but {error}; "
                f"a matrix has two axes, and generators are given as a list"
                f"{_counted_from_one(value)}"
            ) from None
    return _read(value, "discrete generator")


def _axes(value: Any) -> int:
    """Return the number of axes; 2 for lists of unequal length, which `_read` rejects."""
    try:
        return np.ndim(value)
    except ValueError:
        return 2


def _counted_from_one(value: Any) -> str:
    entries = np.asarray(value)
    if not np.array_equal(np.sort(entries), np.arange(1, len(entries) + 1)):
        return ""
    return f". Indices count from 0: write {shortened([int(i) - 1 for i in entries])}"


def _read(value: Any, what: str) -> Generator:
    if isinstance(value, Permutation):
        return value
    if isinstance(value, LinearOperator):
        refuse_large(value.shape[0] * value.shape[1], f"a {what} of shape {value.shape}")
    if is_sparse(value):
        refuse_large(math.prod(value.shape), f"a {what} of shape {value.shape}")
        value = value.toarray()
    try:
        with double_precision():  # an operator may be written in JAX
            entries = np.asarray(value)
    except ValueError as error:
        hint = _CYCLES if what.startswith("discrete") and _seem_cycles(value) else ""
        raise InvalidGroup(f"a {what} is not a matrix: {error}{hint}") from None
    if entries.ndim != 2 or entries.shape[0] != entries.shape[1] or entries.size == 0:
        raise InvalidGroup(
            f"a {what} has shape {entries.shape}; it must be a square matrix"
            f"{_advice(entries, what)}"
        )
    if entries.dtype == object:
        entries = _evaluate(entries, what)
    if not (np.issubdtype(entries.dtype, np.number) or entries.dtype == bool):
        raise InvalidGroup(f"a {what} has entries of type {entries.dtype}; they must be numbers")
    matrix = entries.astype(np.complex128 if np.iscomplexobj(entries) else np.float64)
    if not np.all(np.isfinite(matrix)):
        raise InvalidGroup(f"a {what} has entries that are not finite:\n{matrix}")
    if np.iscomplexobj(matrix) and not np.any(matrix.imag):
        matrix = matrix.real.copy()
    matrix.flags.writeable = False
    # keep permutations compact: there may be many, of many coordinates
    permutation = as_signed_permutation(matrix) if isinstance(value, LinearOperator) else None
    return matrix if permutation is None else permutation


def _advice(entries: Shaped[np.ndarray, "..."], what: str) -> str:
    """Return a hint if the entries look like a permutation."""
    whole = entries.size > 0 and np.issubdtype(entries.dtype, np.integer)
    if whole and entries.ndim == 1 and what.startswith("Lie"):
        return (
            f". A permutation is a discrete generator: "
            f"discrete_generators=[{shortened(entries.tolist())}]"
        )
    if whole and entries.ndim == 2 and len(np.unique(entries)) == entries.size:
        return _CYCLES
    return ""


_CYCLES = ". A permutation is written as the list of its images, such as [1, 2, 0], not in cycles"


def _seem_cycles(value: Any) -> bool:
    """Return whether a ragged list consists of distinct integers, as cycles do."""
    flat = [n for cycle in value if isinstance(cycle, list | tuple) for n in cycle]
    whole = all(isinstance(n, int | np.integer) for n in flat)
    return bool(flat) and whole and len(set(flat)) == len(flat)


def _evaluate(entries: Shaped[np.ndarray, "..."], what: str) -> Shaped[np.ndarray, "..."]:
    """Convert exact (SymPy) entries to floating-point numbers, correctly rounded."""

    def number(entry: Any) -> complex:
        try:
            return complex(entry.evalf(30) if hasattr(entry, "evalf") else entry)
        except OverflowError:
            raise InvalidGroup(f"a {what} has an entry too large for float64") from None
        except (TypeError, ValueError):
            raise InvalidGroup(f"a {what} has the entry {entry!r}, which is not a number") from None

    return np.array([[number(entry) for entry in row] for row in entries], dtype=complex)


def _refuse_singular(matrix: Num[np.ndarray, "d d"]) -> None:
    if is_monomial(matrix):
        values = np.sort(np.abs(matrix).max(axis=1))[::-1]
    else:
        values = np.linalg.svd(matrix, compute_uv=False)
    if not values[-1] > 1e-14 * values[0]:
        raise InvalidGroup(
            f"a discrete generator is singular (its singular values go from {values[0]:.3g} "
            f"to {values[-1]:.3g}); group elements are invertible:\n{matrix}"
        )


def _common_size(generators: list[Generator]) -> tuple[Generator, ...]:
    sizes = {generator.shape[0] for generator in generators}
    if len(sizes) > 1:
        raise InvalidGroup(
            f"the generators have mixed sizes {sorted(sizes)}; they act on one space"
        )
    return tuple(generators)
