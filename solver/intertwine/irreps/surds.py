"""Square roots of rationals: recognised from numbers, and written as text."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

_DENOMINATOR = 100_000  # larger denominators of a square are not tried
_SAME = 1e-11  # the largest relative distance of a square from its fraction
_ZERO = 1e-12  # smaller values are 0


def root_of_rational(value: float) -> Fraction | None:
    """Return the rational q with |value| = √|q| and the value's sign; None without a simple one.

    Values below 1e-12 are 0.
    """
    if abs(value) <= _ZERO:
        return Fraction(0)
    square = Fraction(value * value).limit_denominator(_DENOMINATOR)
    is_near = square and abs(float(square) - value * value) <= _SAME * value * value
    if not is_near or square.denominator**2 > _DENOMINATOR**1.5:
        return None
    return square if value > 0 else -square


def root_text(signed_square: Fraction) -> str:
    """Return ±√|q| as text, such as 1/2, -√3/3 and √30/10."""
    p, q = abs(signed_square.numerator), signed_square.denominator
    if p == 0:
        return "0"
    inside, outside = p * q, 1
    for k in range(isqrt(inside), 1, -1):
        if inside % (k * k) == 0:
            inside, outside = inside // (k * k), k
            break
    factor = Fraction(outside, q)
    root = f"√{inside}" if inside > 1 else ""
    top = f"{factor.numerator if factor.numerator > 1 or not root else ''}{root}"
    bottom = f"/{factor.denominator}" if factor.denominator > 1 else ""
    return f"{'-' if signed_square < 0 else ''}{top}{bottom}"


def number_text(value: complex) -> str:
    """Return a number as text.

    It is exact if its parts are square roots of simple rationals, and else has four decimals. Parts
    below 1e-12 are 0.
    """
    real, imag = (_part(part) for part in (value.real, value.imag))
    if imag == "0":
        return real
    one = {"1": "i", "-1": "-i"}.get(imag, f"{imag}i")
    return one if real == "0" else f"{real}{'' if one.startswith('-') else '+'}{one}"


def _part(value: float) -> str:
    found = root_of_rational(value)
    return f"{value:.4f}" if found is None else root_text(found)
