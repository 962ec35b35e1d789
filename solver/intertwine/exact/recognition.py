"""From floating-point entries back to the numbers that were meant."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import sqrt

import numpy as np
from jaxtyping import Num

from intertwine.errors import MethodNotApplicable

_DENOMINATOR = 1000
_ROUNDED = 4e-16
_ROOTS = (2, 3, 5, 6, 7)
_ROOT_DENOMINATOR = 12
_LARGEST = 3


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


@lru_cache(4096)
def as_surd(value: float) -> Surd | None:
    """The rational of denominator up to 1000 whose rounding a value of magnitude around 1 is, or
    a + b√m for small rationals a and b and m one of 2, 3, 5, 6, 7.
    """
    rational = _rational(value, _DENOMINATOR)
    if rational is not None:
        return Surd(rational)
    for m in _ROOTS:
        for q in range(1, _ROOT_DENOMINATOR + 1):
            for p in range(-_LARGEST * q, _LARGEST * q + 1):
                a = _rational(value - p / q * sqrt(m), _ROOT_DENOMINATOR)
                if a is not None and abs(a) <= _LARGEST:
                    return Surd(a, Fraction(p, q), m)
    return None


def recognise(matrix: Num[np.ndarray, "m n"]) -> list[list[Entry]]:
    """The matrix of exact entries whose rounding this is.

    Raises `MethodNotApplicable` where one is recognised as nothing.
    """
    rows = []
    for row in np.asarray(matrix, dtype=complex).tolist():
        entries = []
        for value in row:
            real, imag = as_surd(value.real), as_surd(value.imag)
            if real is None or imag is None:
                raise MethodNotApplicable(
                    f"the generators' entry {value.real or value.imag!r} is neither a rational of "
                    f"denominator up to {_DENOMINATOR} nor a small one with a square root, and "
                    f"what is exact needs one"
                )
            entries.append(Entry(real, imag))
        rows.append(entries)
    return rows


def _rational(value: float, denominator: int) -> Fraction | None:
    found = Fraction(value).limit_denominator(denominator)
    return found if abs(float(found) - value) <= _ROUNDED * max(1.0, abs(value)) else None
