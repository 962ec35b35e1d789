"""Recognise exact numbers from floating-point entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import isfinite, sqrt
from typing import TypeAlias

import numpy as np
from jaxtyping import Num

from intertwine.errors import MethodNotApplicable

_DENOMINATOR = 10_000
_DENSITY = 5e4  # above 1 denominators are smaller, so that chance matches stay as rare
_DIGITS = 6
_WHOLE = 2.0**40  # near 2⁵³ every number is an integer
_ROUNDED = 8e-16
_ROOTS = (2, 3, 5, 6, 7)
_PURE_DENOMINATOR = 1000
_ROOT_DENOMINATOR = 12
_LARGEST = 3
_MODERATE = (2.0**-10, 2.0**20)
_SCALES = 24
_NOISE = 1e-8


@dataclass(frozen=True)
class Surd:
    """a + b√m for rationals a and b; m is 1 for a rational number."""

    a: Fraction
    b: Fraction = Fraction(0)
    m: int = 1

    def __float__(self) -> float:
        return float(self.a) + float(self.b) * sqrt(self.m)


@dataclass(frozen=True)
class Entry:
    """A complex number whose parts are surds."""

    real: Surd
    imag: Surd

    @property
    def roots(self) -> set[int]:
        """The numbers whose square roots occur; −1 for i."""
        found = {part.m for part in (self.real, self.imag) if part.b}
        return found | ({-1} if self.imag.a or self.imag.b else set())


#: The exact entries of a matrix, row by row.
Rows: TypeAlias = list[list[Entry]]


@lru_cache(4096)
def as_rational(value: float) -> Fraction | None:
    """Return the rational that rounds to a value: an integer, a decimal of up to six digits, or a
    fraction of denominator up to 10,000 (less for values above 25); else None.
    """
    if not isfinite(value):
        return None
    if value.is_integer() and abs(value) <= _WHOLE:
        return Fraction(int(value))
    decimal = Decimal(repr(value)).normalize()
    if len(decimal.as_tuple().digits) <= _DIGITS:
        return Fraction(decimal)
    denominator = int(min(_DENOMINATOR, _DENSITY / sqrt(max(1.0, abs(value)))))
    return _rational(value, denominator) if denominator else None


@lru_cache(4096)
def as_surd(value: float) -> Surd | None:
    """Return `as_rational`, or the b√m or a + b√m, for small rationals a and b and m one of 2, 3,
    5, 6, 7, that rounds to a value of magnitude around 1; else None.
    """
    rational = as_rational(value)
    if rational is not None:
        return Surd(rational)
    if not isfinite(value):
        return None
    for m in _ROOTS:
        multiple = _rational(value / sqrt(m), _PURE_DENOMINATOR)
        if multiple is not None:
            return Surd(Fraction(0), multiple, m)
    for m in _ROOTS:
        for q in range(1, _ROOT_DENOMINATOR + 1):
            for p in range(-_LARGEST * q, _LARGEST * q + 1):
                a = _rational(value - p / q * sqrt(m), _ROOT_DENOMINATOR)
                if a is not None and abs(a) <= _LARGEST:
                    return Surd(a, Fraction(p, q), m)
    return None


def recognise(matrix: Num[np.ndarray, "m n"]) -> Rows:
    """Return the matrix of exact entries that round to these.

    Raises `MethodNotApplicable` if an entry is not recognised.
    """
    return _recognise(matrix, only_rationals=False)


def recognise_up_to_scale(matrices: Sequence[Num[np.ndarray, "_ _"]]) -> tuple[Rows, ...]:
    """Return the exact entries of matrices up to a common factor, such as the images of a Lie
    generator: as given, or divided by one of their entries.

    Real rational entries come first: i√2 or iπ times a rational matrix is read as the rational
    one. Raises `MethodNotApplicable` if no such scale is found.
    """
    given = [np.asarray(matrix, dtype=complex) for matrix in matrices]
    references = _references(given)
    if not references:
        return tuple(map(recognise, given))
    stages = ((True, True, _SCALES), (False, True, _SCALES), (False, False, 2))
    for only_real, only_rationals, count in stages:
        for reference in references[:count]:
            scaled = [matrix / reference for matrix in given]
            if only_real and any(np.abs(m.imag).max(initial=0.0) > _ROUNDED for m in scaled):
                continue
            try:
                return tuple(_recognise(matrix, only_rationals) for matrix in scaled)
            except MethodNotApplicable:
                continue
    return tuple(map(recognise, given))


def _references(matrices: Sequence[Num[np.ndarray, "_ _"]]) -> list[complex]:
    """Return candidate divisors of the matrices, in order: 1 if their entries have moderate size,
    then entries of different magnitudes, the largest first.
    """
    entries = np.concatenate([matrix.ravel() for matrix in matrices] or [np.zeros(0)])
    sizes = np.abs(entries)
    largest = float(sizes.max(initial=0.0))
    if not largest:
        return []
    found: list[complex] = [1.0 + 0.0j] if _MODERATE[0] <= largest <= _MODERATE[1] else []
    _, first = np.unique((sizes / largest).round(12), return_index=True)
    chosen = [k for k in first[::-1] if sizes[k] > _NOISE * largest]
    return found + [complex(entries[k]) for k in chosen]


def _recognise(matrix: Num[np.ndarray, "m n"], only_rationals: bool) -> Rows:
    return [
        [Entry(*_parts(value, only_rationals)) for value in row]
        for row in np.asarray(matrix, dtype=complex).tolist()
    ]


def _parts(value: complex, only_rationals: bool) -> Iterator[Surd]:
    """Yield the real and the imaginary part, exactly."""
    for part in (value.real, value.imag):
        rational = as_rational(part)
        found = Surd(rational) if rational is not None else None
        if found is None and not only_rationals:
            found = as_surd(part)
        if found is None:
            raise MethodNotApplicable(
                f"the generators' entry {part!r} is neither a rational of denominator up to "
                f"{_DENOMINATOR:,} nor a small one with a square root, as exact arithmetic needs"
            )
        yield found


def _rational(value: float, denominator: int) -> Fraction | None:
    found = Fraction(value).limit_denominator(denominator)
    return found if abs(float(found) - value) <= _ROUNDED * max(1.0, abs(value)) else None
