"""The size of a rep as a polynomial."""

from __future__ import annotations

from typing import Any

from intertwine.reps.syntax import Base, Dual, Rep, Sum, Tensor, is_a

#: A polynomial in d, as coefficients by degree.
_Polynomial = dict[int, int]


def dimension(rep: Rep) -> Any:
    """Return the size as a SymPy expression: a polynomial in the base dimension d.

    Base reps without a group count as the symbol ``d``; other base reps and user-defined reps
    count as their size.
    """
    import sympy

    d = sympy.Symbol("d")
    return sympy.Add(*(coefficient * d**degree for degree, coefficient in _measure(rep).items()))


def _measure(rep: Rep) -> _Polynomial:
    if is_a(rep, Tensor):
        product = {0: 1}
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
    return {0: rep.size()}


def _multiply(left: _Polynomial, right: _Polynomial) -> _Polynomial:
    product: _Polynomial = {}
    for i, a in left.items():
        for j, b in right.items():
            product[i + j] = product.get(i + j, 0) + a * b
    return product
