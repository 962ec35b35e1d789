"""The size of a rep as a polynomial."""

from __future__ import annotations

from typing import Any

from intertwine.reps.syntax import Base, Dual, Rep, Sum, Tensor


def dimension(rep: Rep) -> Any:
    """The size as a SymPy expression: a polynomial in the base dimension d.

    Base reps that have no group count as the symbol ``d``; those that have one, and reps of the
    user's own, as their size.
    """
    import sympy

    d = sympy.Symbol("d")

    def measure(part: Rep) -> Any:
        if isinstance(part, Tensor):
            return sympy.Mul(*(measure(factor) for factor in part.factors))
        if isinstance(part, Sum):
            return sympy.Add(*(m * measure(term) for m, term in part.terms))
        if isinstance(part, Base | Dual) and not part.is_concrete:
            return d
        return sympy.Integer(part.size())

    return sympy.expand(measure(rep))
