"""Polynomial maps as formulas: a factor times a polynomial with small exact coefficients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial, gcd, lcm, prod

import numpy as np
from jaxtyping import Complex, Inexact

from intertwine.errors import TooLarge
from intertwine.irreps.surds import number_text, root_of_rational
from intertwine.polynomials.polynomial_maps import PolynomialMaps
from intertwine.scanner import superscript

MAX_FORMULA_TERMS = 20_000
"""The most terms of all formulas together; fewer in more than 50 variables, in proportion."""
_ZERO = 1e-12
"""Coefficients of at most this size, relative to the largest, are left out."""
_SAME = 1e-10  # a number this near to an exact one is read as it
_RATIONAL_DENOMINATOR = 1000
_ROOTS = (2, 3, 5, 6, 7)
_ROOT_DENOMINATOR = 12  # of a and b in a + b√m
_LARGEST_ROOT = 60  # the largest |b|
_SCALES = 6  # coefficients that are tried as the unit
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True)
class Coefficient:
    """The number a + b√m + i(c + d√m), with integers a, b, c, d."""

    parts: tuple[int, int, int, int]
    m: int = 1

    def __complex__(self) -> complex:
        a, b, c, d = self.parts
        root = self.m**0.5
        return complex(a + b * root, c + d * root)

    def __str__(self) -> str:
        a, b, c, d = self.parts
        real, imaginary = self._real(a, b), self._real(c, d)
        if imaginary == "0":
            return real
        times = f"({imaginary})i" if c and d else {"1": "i", "-1": "-i"}.get(imaginary)
        times = times or f"{imaginary}i"
        return times if real == "0" else f"{real}{'' if times[0] == '-' else '+'}{times}"

    def _real(self, a: int, b: int) -> str:
        if not b:
            return str(a)
        root = {1: "", -1: "-"}.get(b, str(b)) + f"√{self.m}"
        return root if not a else f"{a}{'' if b < 0 else '+'}{root}"

    @property
    def is_sum(self) -> bool:
        """Whether its text is a sum."""
        return sum(map(bool, self.parts)) > 1


#: A polynomial: the exponents of each monomial x^α, and its coefficient.
Terms = tuple[tuple[tuple[int, ...], Coefficient | complex], ...]


@dataclass(frozen=True)
class Formula:
    """An equivariant polynomial p = `scale` · q, homogeneous of a degree.

    `components` has the terms of q for each of the n_out coordinates. If `is_exact`, their
    coefficients are numbers a + b√m + i(c + d√m) with coprime integers a, b, c, d and one m in the
    whole map, recognised to a precision of 1e-10. Otherwise they are those of p in floating point,
    and `scale` is 1.
    """

    degree: int
    scale: complex
    components: tuple[Terms, ...]
    is_exact: bool

    def texts(self) -> tuple[str, ...]:
        """Return q as text such as ``x₁² + x₂² - 2x₁x₃``, for each coordinate."""
        return tuple(map(_polynomial_text, self.components))

    def __str__(self) -> str:
        texts = self.texts()
        return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def formulas_of(maps: PolynomialMaps) -> tuple[Formula, ...]:
    """Return each of the maps as a formula, in their order.

    Raises `TooLarge` if they have more than 20,000 terms together, or in proportion fewer for more
    than 50 variables.
    """
    count = sum(
        int(np.sum(np.abs(own) > _ZERO * max(1.0, float(np.abs(own).max(initial=0.0)))))
        for own in maps.coefficients
    )
    if count * max(1, maps.rep_in.size() // 50) > MAX_FORMULA_TERMS:
        raise TooLarge(
            f"the formulas of these {len(maps):,} maps have {count:,} terms in "
            f"{maps.rep_in.size():,} variables; at most {MAX_FORMULA_TERMS:,} are written (fewer "
            f"in more than 50 variables): give a lower degree, or use the arrays "
            f"`coefficients` of intertwine.polynomials in Python"
        )
    return tuple(_formulas(maps))


def _formulas(maps: PolynomialMaps) -> Iterator[Formula]:
    for k, own in enumerate(maps.coefficients):
        exponents = [tuple(row) for row in maps.exponents(k).tolist()]
        factors = np.sqrt([_multinomial(row) for row in exponents])
        for entries in own:
            yield _formula(k, exponents, entries * factors)


def _formula(
    degree: int, exponents: Sequence[tuple[int, ...]], plain: Inexact[np.ndarray, "n N"]
) -> Formula:
    """Return the formula of a map from its coefficients of the monomials x^α."""
    largest = float(np.abs(plain).max(initial=0.0))
    used = np.abs(plain) > _ZERO * largest
    values = plain[used].astype(complex)
    found = _recognised(values)
    coefficients: list[Coefficient | complex]
    if found is None:
        coefficients, scale = [complex(value) for value in values], 1.0 + 0.0j
    else:
        exact, scale = found
        coefficients = list(exact)
    iterator = iter(coefficients)
    components = tuple(
        tuple((exponents[j], next(iterator)) for j in np.flatnonzero(row).tolist()) for row in used
    )
    return Formula(degree, scale, components, found is not None)


def _recognised(values: Complex[np.ndarray, " t"]) -> tuple[list[Coefficient], complex] | None:
    """Return exact coefficients c and a scale s with values ≈ s·c; None if none are found.

    Each of the smallest few values, up to their size, is tried as the unit.
    """
    if not len(values):
        return [], 1.0 + 0.0j
    sizes = np.abs(values)
    _, firsts = np.unique((sizes / sizes.max()).round(9), return_index=True)
    for unit in values[firsts[:_SCALES]]:
        ratios = values / unit
        for m in (1, *_ROOTS):
            rows = _surds(ratios, m)
            if rows is not None:
                return _in_integers(rows, m, values)
    return None


def _surds(
    ratios: Complex[np.ndarray, " t"], m: int
) -> list[tuple[Fraction, Fraction, Fraction, Fraction]] | None:
    """Return (a, b, c, d) with a + b√m + i(c + d√m) for each number; None if one has none."""
    rows = []
    for z in ratios.tolist():
        real, imaginary = _surd(z.real, m), _surd(z.imag, m)
        if real is None or imaginary is None:
            return None
        rows.append((*real, *imaginary))
    return rows


def _surd(value: float, m: int) -> tuple[Fraction, Fraction] | None:
    """Return small rationals a and b with a + b√m = value; None without such numbers."""
    tolerance = _SAME * max(1.0, abs(value))
    plain = Fraction(value).limit_denominator(_RATIONAL_DENOMINATOR)
    if abs(float(plain) - value) <= tolerance:
        return plain, Fraction(0)
    if m == 1:
        return None
    pure = Fraction(value / m**0.5).limit_denominator(_RATIONAL_DENOMINATOR)
    if abs(float(pure) * m**0.5 - value) <= tolerance:
        return Fraction(0), pure
    steps = np.arange(-_LARGEST_ROOT * _ROOT_DENOMINATOR, _LARGEST_ROOT * _ROOT_DENOMINATOR + 1)
    rest = _ROOT_DENOMINATOR * (value - steps / _ROOT_DENOMINATOR * m**0.5)
    whole = np.rint(rest)
    near = np.flatnonzero(np.abs(rest - whole) <= tolerance * _ROOT_DENOMINATOR)
    if not len(near):
        return None
    best = near[np.argmin(np.abs(whole[near]) + np.abs(steps[near]))]
    return (
        Fraction(int(whole[best]), _ROOT_DENOMINATOR),
        Fraction(int(steps[best]), _ROOT_DENOMINATOR),
    )


def _in_integers(
    rows: Sequence[tuple[Fraction, Fraction, Fraction, Fraction]],
    m: int,
    values: Complex[np.ndarray, " t"],
) -> tuple[list[Coefficient], complex]:
    """Multiply by the common denominator, and divide by the common factor."""
    common = lcm(*(x.denominator for row in rows for x in row))
    whole = [[int(x * common) for x in row] for row in rows]
    divisor = gcd(*(x for row in whole for x in row))
    found = [
        Coefficient((a // divisor, b // divisor, c // divisor, d // divisor), m)
        for a, b, c, d in whole
    ]
    if complex(found[0]).real < 0:
        found = [Coefficient((-a, -b, -c, -d), m) for a, b, c, d in (x.parts for x in found)]
    numbers = np.array(list(map(complex, found)))
    scale = complex(np.vdot(numbers, values) / np.vdot(numbers, numbers))
    if abs(scale.imag) <= _ZERO * abs(scale):
        scale = complex(scale.real)
    return found, scale


def scale_text(scale: complex) -> str:
    """Return a factor as text: exact for square roots of rationals, else with all its digits."""
    parts = (scale.real, scale.imag)
    if all(root_of_rational(part) is not None for part in parts):
        return number_text(scale)
    return repr(scale.real) if abs(scale.imag) <= _ZERO * abs(scale) else repr(scale)


def coefficient_text(value: Coefficient | complex) -> str:
    """Return a coefficient as text: exact, or with all the digits of floating point."""
    return str(value) if isinstance(value, Coefficient) else scale_text(value)


def _polynomial_text(terms: Terms) -> str:
    text = ""
    for exponents, value in terms:
        monomial = "".join(
            f"x{str(i + 1).translate(_SUBSCRIPTS)}{superscript(k) if k > 1 else ''}"
            for i, k in enumerate(exponents)
            if k
        )
        number = str(value) if isinstance(value, Coefficient) else _rounded(value)
        is_sum = isinstance(value, Coefficient) and value.is_sum
        if monomial:
            number = f"({number})" if is_sum else {"1": "", "-1": "-"}.get(number, number)
        if not text:
            text = number + monomial
        elif number.startswith("-") and not is_sum:
            text += f" - {number[1:]}{monomial}"
        else:
            text += f" + {number}{monomial}"
    return text or "0"


def _rounded(value: complex) -> str:
    if abs(value.imag) <= _ZERO * abs(value):
        return f"{value.real:.6g}"
    return f"({value:.6g})"


def _multinomial(exponents: Sequence[int]) -> int:
    """Return k!/α!."""
    return factorial(sum(exponents)) // prod(map(factorial, exponents))
