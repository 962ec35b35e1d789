"""Real spherical harmonics in e3nn's convention, as exact polynomials.

The components of degree l are ordered from m = −l to l. The axis of the m is y, and azimuths count
from z to x: x, y, z of the usual formulas are z, x, y here, and Y₁ is (x, y, z) (Geiger and Smidt,
*e3nn: Euclidean Neural Networks*, 2022, arXiv:2207.09453). There is no Condon–Shortley phase, and
|Y| = 1 on the unit sphere (e3nn's normalization "norm").
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from html import escape
from math import comb, factorial
from typing import Any

import numpy as np
from jaxtyping import Float

from intertwine.errors import InvalidSetting
from intertwine.integers import is_integer
from intertwine.irreps.surds import root_text
from intertwine.scanner import superscript

MAX_DEGREE = 24
"""The largest degree of spherical harmonics."""

#: A polynomial in x, y, z: coefficients by exponents.
_Polynomial = dict[tuple[int, int, int], Fraction]


@dataclass(frozen=True)
class SphericalHarmonics:
    """Y of degree l: homogeneous polynomials of x, y and z that ``le`` or ``lo`` of O(3) acts on.

    Called with points of shape (…, 3), it returns values of shape (…, 2l + 1). ``str`` and
    notebooks show the polynomials.

    >>> print(SphericalHarmonics(1))
    x
    y
    z
    """

    degree: int

    def __post_init__(self) -> None:
        if not is_integer(self.degree) or not 0 <= self.degree <= MAX_DEGREE:
            raise InvalidSetting(
                f"the degree of spherical harmonics is an integer from 0 to {MAX_DEGREE}, not "
                f"{self.degree!r}"
            )

    def __call__(self, points: Float[Any, "*batch 3"]) -> Float[np.ndarray, "*batch m"]:
        """Return the values at some points."""
        x, y, z = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
        values = []
        for square, polynomial in _polynomials(self.degree):
            total = np.zeros_like(x)
            for (a, b, c), coefficient in polynomial.items():
                total = total + float(coefficient) * x**a * y**b * z**c
            values.append(float(square) ** 0.5 * total)
        return np.stack(values, axis=-1)

    @property
    def texts(self) -> list[str]:
        """The polynomials as text, such as √3/2(z²-x²)."""
        return [_text(square, polynomial) for square, polynomial in _polynomials(self.degree)]

    def __str__(self) -> str:
        return "\n".join(self.texts)

    def _repr_html_(self) -> str:
        rows = (
            f"<tr><td>m = {m}</td><td>{escape(text)}</td></tr>"
            for m, text in enumerate(self.texts, -self.degree)
        )
        return f"<table>{''.join(rows)}</table>"


@lru_cache(MAX_DEGREE + 1)
def _polynomials(degree: int) -> tuple[tuple[Fraction, _Polynomial], ...]:
    """Return (c, p) for m = −l, …, l, where the harmonic is √c p.

    It is √(2 (l − m)!/(l + m)!) times the m-th derivative of Legendre's polynomial of y, made
    homogeneous with r², times the real or imaginary part of (z + ix)ᵐ.
    """
    found = []
    for m in range(-degree, degree + 1):
        k = abs(m)
        polynomial: _Polynomial = defaultdict(Fraction)
        for j in range((degree - k) // 2 + 1):
            power = degree - 2 * j
            height = Fraction(
                (-1) ** j * comb(degree, j) * comb(2 * (degree - j), degree), 2**degree
            )
            height = height * factorial(power) / factorial(power - k)
            for part in range(k + 1):  # of (z + ix)ᵏ
                if part % 2 != (m < 0):
                    continue
                sign = (-1) ** (part // 2) * comb(k, part)
                for a in range(j + 1):  # of (x² + y² + z²)ʲ
                    for b in range(j - a + 1):
                        c = j - a - b
                        several = comb(j, a) * comb(j - a, b)
                        place = (2 * a + part, 2 * b + power - k, 2 * c + k - part)
                        polynomial[place] += height * sign * several
        square = Fraction((2 if k else 1) * factorial(degree - k), factorial(degree + k))
        found.append((square, {place: x for place, x in polynomial.items() if x}))
    return tuple(found)


def _text(square: Fraction, polynomial: _Polynomial) -> str:
    """Return √c p as text, with the common factor of the coefficients in front."""
    order = sorted(polynomial, key=lambda place: (-place[1], -place[2]))
    numerator = int(np.gcd.reduce([abs(polynomial[place].numerator) for place in order]))
    bottom = int(np.lcm.reduce([polynomial[place].denominator for place in order]))
    factor = Fraction(numerator, bottom)
    outside = root_text(square * factor * factor)
    terms = []
    for place in order:
        coefficient = polynomial[place] / factor
        powers = zip("xyz", place, strict=True)
        letters = "".join(
            f"{name}{superscript(power) if power > 1 else ''}" for name, power in powers if power
        )
        size = "" if abs(coefficient) == 1 and letters else str(abs(coefficient))
        terms.append(f"{'-' if coefficient < 0 else '+'}{size}{letters}")
    inside = "".join(terms).removeprefix("+")
    if outside == "1":
        return inside
    return f"{outside}({inside})" if len(terms) > 1 else f"{outside} {inside}"


def rotation_generators_of(degree: int) -> Float[np.ndarray, "3 n n"]:
    """Return dD(Lₓ), dD(L_y) and dD(L_z) on e3nn's components, where Y(Rx) = D(R)Y(x).

    Lₓ, L_y and L_z are the generators of counterclockwise rotations.
    """
    n = 2 * degree + 1
    m = np.arange(-degree, degree + 1)
    raising = np.zeros((n, n), dtype=complex)
    raising[1:, :-1] = np.diag(np.sqrt(degree * (degree + 1) - m[:-1] * (m[:-1] + 1)))
    j_x, j_y = (raising + raising.T) / 2, (raising - raising.T) / 2j
    to_real = np.zeros((n, n), dtype=complex)  # columns: real harmonics, of the complex ones
    to_real[degree, degree] = 1
    for k in range(1, degree + 1):
        phase = (-1) ** k
        to_real[[degree - k, degree + k], degree + k] = np.array([1, phase]) / np.sqrt(2)
        to_real[[degree - k, degree + k], degree - k] = 1j * np.array([1, -phase]) / np.sqrt(2)
    usual = [np.real(to_real.conj().T @ (-1j * j) @ to_real) for j in (j_x, j_y, np.diag(m))]
    return np.stack([usual[1], usual[2], usual[0]])  # x, y, z of the usual formulas are z, x, y
