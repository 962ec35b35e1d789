"""The size of a rep as a polynomial."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from intertwine.errors import TooLarge
from intertwine.reps.functors import Functor
from intertwine.reps.syntax import Base, Dual, Rep, Sum, Tensor, is_a

MAX_DEGREE = 256
"""The largest degree of a functor's dimension as a polynomial."""

#: A polynomial in d, as coefficients by degree.
_Polynomial = dict[int, int | Fraction]


def dimension(rep: Rep) -> Any:
    """Return the size as a SymPy expression: a polynomial in the base dimension d.

    Base reps without a group count as the symbol ``d``; other base reps and user-defined reps
    count as their size. The degree is bounded: Sym(256, Sym(256, V)) raises `TooLarge`.
    """
    import sympy

    d = sympy.Symbol("d")
    terms = _measure(rep).items()
    return sympy.Add(*(sympy.Rational(*c.as_integer_ratio()) * d**degree for degree, c in terms))


def _measure(rep: Rep) -> _Polynomial:
    if is_a(rep, Tensor):
        product: _Polynomial = {0: 1}
        for factor in rep.factors:
            product = _multiply(product, _measure(factor))
        return product
    if is_a(rep, Sum):
        total: _Polynomial = {}
        for multiplicity, term in rep.terms:
            for degree, coefficient in _measure(term).items():
                total[degree] = total.get(degree, 0) + multiplicity * coefficient
        return total
    inner = rep.rep if is_a(rep, Dual) else rep
    if is_a(inner, Base) and not rep.is_concrete:
        return {1: 1}
    if isinstance(inner, Functor) and not inner.is_concrete:
        return _composed(inner.size_polynomial, _measure(inner.part))
    return {0: rep.size()}


def _multiply(left: _Polynomial, right: _Polynomial) -> _Polynomial:
    product: _Polynomial = {}
    for i, a in left.items():
        for j, b in right.items():
            product[i + j] = product.get(i + j, 0) + a * b
    return product


def _composed(outer: Sequence[Fraction], inner: _Polynomial) -> _Polynomial:
    """Return outer(inner(d)), by Horner's rule."""
    degree = (len(outer) - 1) * max(inner, default=0)
    if degree > MAX_DEGREE:
        raise TooLarge(
            f"the dimension is a polynomial of degree {degree:,}; at most {MAX_DEGREE} is allowed"
        )
    found: _Polynomial = {}
    for coefficient in reversed(outer):
        found = _multiply(found, inner)
        found[0] = found.get(0, 0) + coefficient
    return {degree: value for degree, value in found.items() if value}
