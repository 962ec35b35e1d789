"""Estimate from a matrix's entries to how many digits they were rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Num

_DYADIC = 2.0**6  # multiples of 1/64 are taken as exact
_FEWEST, _MOST = 3, 11
"""Entries with fewer decimals are exact; with more, they are as good as exact."""
_LOOKED_AT = 4096
_HALF_OF_FLOAT16, _HALF_OF_FLOAT32 = 2.0**-12, 2.0**-25
_REPRESENTATION = 4 * np.finfo(float).eps


def is_dyadic(matrix: Num[np.ndarray, "m n"]) -> bool:
    """Return whether all entries are multiples of 2⁻⁶: such numbers were not rounded."""
    scaled = matrix[matrix != 0] * _DYADIC  # most entries of a large matrix are zero
    return bool(np.array_equal(scaled, np.round(scaled)))


def half_unit(matrix: Num[np.ndarray, "m n"]) -> float:
    """Return half a unit of the entries' last digit; 0 if they are exact.

    Entries of 3 to 11 decimals count as rounded, unless long runs of zeros or nines suggest
    otherwise (1.00001). So do entries that float16 or float32 represents exactly. Entries of a
    magnitude far from one are scaled by a power of ten first.
    """
    values = np.abs(np.concatenate([matrix.real.ravel(), matrix.imag.ravel()]))
    values = np.unique(values[values > 0])[:_LOOKED_AT]
    if not values.size or is_dyadic(values[None]):
        return 0.0
    largest = float(values.max())
    if _holds(np.float16, values):
        return largest * _HALF_OF_FLOAT16
    exponent = 0 if 0.1 <= largest < 10 else int(np.floor(np.log10(largest)))
    if abs(exponent) <= 250:  # beyond, the powers of ten are out of range
        unit = _unit(values / 10.0**exponent)
        if unit is not None:
            return 0.5 * unit * 10.0**exponent
    return largest * _HALF_OF_FLOAT32 if _holds(np.float32, values) else 0.0


def _holds(kind: type[np.floating[Any]], values: Float[np.ndarray, " n"]) -> bool:
    with np.errstate(over="ignore", under="ignore"):
        return np.array_equal(values.astype(kind).astype(np.float64), values)


def half_units(matrices: list[Num[np.ndarray, "m n"]]) -> list[float]:
    """Return the half units of matrices rounded together: one with small entries has the last
    digit of the others.
    """
    own = [half_unit(matrix) for matrix in matrices]
    common = max(own, default=0.0)
    return [
        common if not half and common and ends_at(matrix, 2 * common) else half
        for half, matrix in zip(own, matrices, strict=True)
    ]


def ends_at(matrix: Num[np.ndarray, "m n"], unit: float) -> bool:
    """Return whether all entries are multiples of a unit, but not all of ten units."""
    values = np.abs(np.concatenate([matrix.real.ravel(), matrix.imag.ravel()]))

    def are_multiples(of: float) -> bool:
        return bool(np.all(np.abs(values / of - np.rint(values / of)) <= 1e-6))

    return not is_dyadic(matrix) and are_multiples(unit) and not are_multiples(10 * unit)


def relative_error(matrix: Num[np.ndarray, "m n"], half: float, scale: float) -> float:
    """Return a bound on the norm of a rounding by half a unit, relative to a scale."""
    return float(half * np.sqrt(np.count_nonzero(matrix)) / scale)


def _unit(values: Float[np.ndarray, " n"]) -> float | None:
    """Return the largest unit of the last digit among values that look rounded; 0 if none does,
    None if the values are not decimals.

    Values were rounded to a common number of decimals, or of significant digits: a value with
    fewer ends in zeros that are not visible.
    """
    decimals = np.full(len(values), -1)
    for k in range(_MOST + 1):
        scaled = values * 10.0**k
        ends = np.abs(scaled - np.rint(scaled)) <= _REPRESENTATION * scaled
        decimals[ends & (decimals < 0)] = k
    if (decimals < 0).any():
        return None
    cut = [i for i, k in enumerate(decimals) if k >= _FEWEST and _is_generic(values[i], int(k))]
    if not cut:
        return 0.0
    places = np.floor(np.log10(values[cut])) + 1
    most, significant = decimals[cut].max(), (decimals[cut] + places).max()
    units = np.maximum(10.0 ** -float(most), 10.0 ** (places - significant))
    return float(np.minimum(units, 10.0 ** -decimals[cut].astype(float)).max())


def _is_generic(value: float, decimals: int) -> bool:
    """Return whether decimals look like those of a number rounded there."""
    text = f"{round(value * 10**decimals) % 10**decimals:0{decimals}d}"
    longest = max(2, decimals // 2)
    return not any(run * (longest + 1) in text for run in "09")
