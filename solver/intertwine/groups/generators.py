"""Reading generators: arrays, permutations, operators or exact entries become one kind of value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Num, Shaped

from intertwine.arrays import double_precision
from intertwine.errors import InvalidGroup, TooLarge
from intertwine.operators import LinearOperator, Permutation, as_signed_permutation

#: A generator as it is kept: a float64 or complex128 matrix, or a permutation.
Generator = Num[np.ndarray, "_ _"] | Permutation

MAX_ENTRIES = 10_000_000
"""The most matrix entries that a group's generators may have together (80 MB of float64)."""


MAX_DIMENSION = 10**9
"""The largest space that a group may act on."""


def refuse_large(entries: int, what: str) -> None:
    """Raise `TooLarge` for generators of more than `MAX_ENTRIES` entries, before they are built."""
    if entries > MAX_ENTRIES:
        raise TooLarge(
            f"{what} would need {entries:,} matrix entries for its generators; "
            f"at most {MAX_ENTRIES:,} are built"
        )


def read_lie_algebra(values: Any) -> tuple[Generator, ...]:
    """The Lie algebra's generators, each a finite square matrix of one common size."""
    return _common_size([_read(value, "Lie algebra generator") for value in _items(values)])


def read_discrete(values: Any) -> tuple[Generator, ...]:
    """The discrete generators: invertible matrices, permutations or operators of one size."""
    generators = [_read_discrete(value) for value in _items(values)]
    for generator in generators:
        if isinstance(generator, np.ndarray):
            _refuse_singular(generator)
    return _common_size(generators)


def _items(values: Any) -> list[Any]:
    if values is None or values is NotImplemented:
        return []
    if isinstance(values, LinearOperator) or not isinstance(values, Iterable):
        raise InvalidGroup(
            f"generators are given as a sequence of square matrices, not as {type(values).__name__}"
        )
    return list(values)


def _read_discrete(value: Any) -> Generator:
    if not isinstance(value, LinearOperator) and np.ndim(value) == 1 and np.size(value):
        try:
            return Permutation(value)
        except ValueError as error:
            raise InvalidGroup(
                f"a discrete generator with one axis is read as a permutation, but {error}; "
                f"a matrix has two axes, and generators stand in a list"
            ) from None
    return _read(value, "discrete generator")


def _read(value: Any, what: str) -> Generator:
    if isinstance(value, Permutation):
        return value
    if isinstance(value, LinearOperator):
        refuse_large(value.shape[0] * value.shape[1], f"a {what} of shape {value.shape}")
    try:
        with double_precision():  # an operator may be written in JAX
            entries = np.asarray(value)
    except ValueError as error:
        raise InvalidGroup(f"a {what} is not a matrix: {error}") from None
    if entries.ndim != 2 or entries.shape[0] != entries.shape[1] or entries.size == 0:
        raise InvalidGroup(f"a {what} has shape {entries.shape}; it must be a square matrix")
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
    # an operator that permutes stays one: there may be many, of many coordinates
    permutation = as_signed_permutation(matrix) if isinstance(value, LinearOperator) else None
    return matrix if permutation is None else permutation


def _evaluate(entries: Shaped[np.ndarray, "..."], what: str) -> Shaped[np.ndarray, "..."]:
    """Exact (SymPy) entries as floating-point numbers, correctly rounded."""

    def number(entry: Any) -> complex:
        try:
            return complex(entry.evalf(30) if hasattr(entry, "evalf") else entry)
        except OverflowError:
            raise InvalidGroup(f"a {what} has an entry that no float64 holds") from None
        except (TypeError, ValueError):
            raise InvalidGroup(f"a {what} has the entry {entry!r}, which is no number") from None

    return np.array([[number(entry) for entry in row] for row in entries], dtype=complex)


def _refuse_singular(matrix: Num[np.ndarray, "d d"]) -> None:
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
