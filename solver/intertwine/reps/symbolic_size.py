"""The size of a rep as a polynomial."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from intertwine.errors import TooLarge
from intertwine.reps.functors.functor import Functor
from intertwine.reps.syntax import Base, Dual, Rep, Sum, Tensor, is_a

MAX_DEGREE = 256
"""The largest degree of a dimension as a polynomial in d."""

MAX_PRODUCTS = 200_000
"""The most products of fractional coefficients. Dimensions of functors have such coefficients."""

#: A polynomial in d, as coefficients by degree.
_Polynomial = dict[int, int | Fraction]


class _Work:
    """The products of fractional coefficients so far."""

    def __init__(self) -> None:
        self.products = 0

    def spend(self, products: int) -> None:
        """Count products. Raises `TooLarge` beyond `MAX_PRODUCTS`."""
        self.products += products
        if self.products > MAX_PRODUCTS:
            raise TooLarge(
                f"the dimension of the rep takes over {MAX_PRODUCTS:,} products of coefficients: "
                f"take it over a group, as in rep(SO(3)).size()"
            )


def dimension(rep: Rep) -> Any:
    """Return the size as a SymPy expression: a polynomial in the base dimension d.

    Base reps without a group count as the symbol ``d``; other base reps and user-defined reps
    count as their size. The degree is bounded: Sym(256, Sym(256, V)) raises `TooLarge`.
    """
    import sympy

    d = sympy.Symbol("d")
    terms = _measure(rep, _Work()).items()
    return sympy.Add(*(sympy.Rational(*c.as_integer_ratio()) * d**degree for degree, c in terms))


def _measure(rep: Rep, work: _Work) -> _Polynomial:
    if is_a(rep, Tensor):
        product: _Polynomial = {0: 1}
        for factor in rep.factors:
            product = _multiply(work, product, _measure(factor, work))
        return product
    if is_a(rep, Sum):
        total: _Polynomial = {}
        for multiplicity, term in rep.terms:
            for degree, coefficient in _measure(term, work).items():
                total[degree] = total.get(degree, 0) + multiplicity * coefficient
        return total
    inner = rep.rep if is_a(rep, Dual) else rep
    if is_a(inner, Base) and not rep.is_concrete:
        return {1: 1}
    if isinstance(inner, Functor) and not inner.is_concrete:
        return _composed(work, inner.size_polynomial, _measure(inner.part, work))
    return {0: rep.size()}


def _multiply(work: _Work, left: _Polynomial, right: _Polynomial) -> _Polynomial:
    if any(isinstance(value, Fraction) for value in (*left.values(), *right.values())):
        work.spend(len(left) * len(right))
    product: _Polynomial = {}
    for i, a in left.items():
        for j, b in right.items():
            product[i + j] = product.get(i + j, 0) + a * b
    return product


def _composed(work: _Work, outer: Sequence[Fraction], inner: _Polynomial) -> _Polynomial:
    """Return outer(inner(d)), by Horner's rule."""
    work.spend(len(outer) ** 2)
    degree = (len(outer) - 1) * max(inner, default=0)
    if degree > MAX_DEGREE:
        raise TooLarge(
            f"the dimension is a polynomial of degree {degree:,}; at most {MAX_DEGREE} is allowed: "
            f"take it over a group, as in rep(SO(3)).size()"
        )
    found: _Polynomial = {}
    for coefficient in reversed(outer):
        found = _multiply(work, found, inner)
        found[0] = found.get(0, 0) + coefficient
    return {degree: value for degree, value in found.items() if value}
