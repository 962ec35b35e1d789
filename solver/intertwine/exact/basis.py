"""Exact bases, for generators with entries that are rational or contain one square root."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float

from intertwine.bases import Basis
from intertwine.errors import MethodNotApplicable, NotConcrete, SolveError, TooLarge
from intertwine.exact.generators import ExactImage, exact_generators
from intertwine.exact.recognition import Surd
from intertwine.invariants.problem import Problem, problems_of
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.syntax import Rep

MAX_SIZE = 600
"""The largest size for which constraints are solved exactly."""
_AGREE = 1e-11
_SHOWN_TERMS = 60


@dataclass(frozen=True, eq=False)
class ExactBasis:
    """A basis of the invariants of a product of reps of one group, not orthonormal, with exact
    entries: `vectors` are the columns, as SymPy numbers, each as {multi-index: entry}.
    """

    rep: Rep
    sizes: tuple[int, ...]
    vectors: tuple[dict[tuple[int, ...], Any], ...]

    @property
    def rank(self) -> int:
        """r."""
        return len(self.vectors)

    def dense(self) -> Float[np.ndarray, "n r"]:
        """Return the entries, rounded."""
        found = np.zeros((prod(self.sizes), self.rank))
        for column, vector in enumerate(self.vectors):
            for index, value in vector.items():
                found[np.ravel_multi_index(index, self.sizes) if index else 0, column] = value
        return found

    def __str__(self) -> str:
        return "\n".join(self._line(vector, "e", "*") for vector in self.vectors) or "0"

    def __repr__(self) -> str:
        return f"<exact basis of {self.rep!r}, rank {self.rank}>"

    def _repr_latex_(self) -> str:
        lines = r" \\ ".join(self._line(vector, "e", "") for vector in self.vectors)
        return rf"$\begin{{array}}{{l}} {lines or '0'} \end{{array}}$"

    def _line(self, vector: dict[tuple[int, ...], Any], letter: str, times: str) -> str:
        """Return terms such as e₁₁ + 2 e₁₂ − e₂₁, with indices counted from 1."""
        from sympy import latex

        is_latex, text = not times, ""
        for count, (index, value) in enumerate(vector.items()):
            if count == _SHOWN_TERMS:
                rest = len(vector) - count
                return text + (r" + \dots" if is_latex else f" + … ({rest:,} more terms)")
            separator = "," if max(self.sizes, default=0) > 9 else ""
            label = separator.join(str(i + 1) for i in index)
            unit = f"{letter}_{{{label}}}" if is_latex else f"{letter}{label}"
            negative = value.could_extract_minus_sign()
            size = -value if negative else value
            factor = "" if size == 1 else (latex(size) if is_latex else f"{size}")
            if factor and size.is_Add:
                factor = f"({factor})"
            term = f"{factor}{times if factor else ''}{unit}"
            sign = (" - " if negative else " + ") if text else ("-" if negative else "")
            text += sign + term
        return text


def exact_basis(rep: Rep) -> ExactBasis:
    """Return the invariants of a product of reps of one group, from exact constraints.

    Entries of generators are read as roundings of small rationals, or of a + b√m with such a, b
    and one m of 2, 3, 5, 6, 7; those of a Lie generator up to an irrelevant common factor. Raises
    `MethodNotApplicable` for other entries, sums and several groups, `RoundedGenerators`, and
    `TooLarge` past `MAX_SIZE`.
    """
    if not rep.is_concrete:
        raise NotConcrete(f"{rep} has no group yet, so it has no invariants")
    terms = canonical_terms(rep)
    problems = problems_of(terms[0][1]) if len(terms) == 1 and terms[0][0] == 1 else []
    if len(problems) != 1:
        raise MethodNotApplicable(f"exact bases need a product of reps of one group, not {rep}")
    (problem,) = problems
    if problem.size > MAX_SIZE:
        raise TooLarge(
            f"{rep} has {problem.size:,} dimensions; exact bases have at most {MAX_SIZE:,}"
        )
    from sympy import Matrix, eye
    from sympy.polys.matrices import DomainMatrix

    constraints = _constraints(problem)
    if constraints is None:
        columns = eye(problem.size).tolist()
    else:
        matrix = DomainMatrix.from_Matrix(Matrix(constraints), extension=True).to_field()
        columns = matrix.nullspace().to_Matrix().tolist()
    return ExactBasis(rep, problem.sizes, tuple(_vector(row, problem.sizes) for row in columns))


def certify(basis: Basis, exact: ExactBasis) -> float:
    """Compare a numeric basis with the exact one. Return the largest relative distance of an exact
    vector from the numeric span.

    Raises `SolveError` if the ranks differ or a vector is further away than rounding.
    """
    columns = exact.dense()
    if basis.shape != columns.shape:
        raise SolveError(
            f"the exact basis of {exact.rep!r} has the shape {columns.shape}, and the numeric one "
            f"{basis.shape}"
        )
    if not basis.rank:
        return 0.0
    columns = columns / np.linalg.norm(columns, axis=0)
    distance = float(np.abs(columns - np.asarray(basis.project(columns))).max())
    if not distance <= _AGREE:
        raise SolveError(f"an exact invariant is {distance:.1e} away from the numeric ones")
    return distance


def _vector(row: list[Any], sizes: tuple[int, ...]) -> dict[tuple[int, ...], Any]:
    """Scale a solution so that rational entries are coprime integers, the first positive."""
    from sympy import Integer, ilcm

    values = list(row)
    if all(value.is_Rational for value in values):
        scale = ilcm(1, *(value.q for value in values))
        whole = [value * scale for value in values]
        divisor = np.gcd.reduce([abs(int(value)) for value in whole])
        first = next(value for value in whole if value)
        values = [value / Integer(int(divisor)) * (1 if first > 0 else -1) for value in whole]
    else:
        first = next(value for value in values if value)
        values = [(value / first).simplify() for value in values]
    return {
        tuple(int(i) for i in np.unravel_index(k, sizes)) if sizes else (): value
        for k, value in enumerate(values)
        if value
    }


def _constraints(problem: Problem) -> Any:
    """Return C as a SymPy matrix; None without constraints."""
    from sympy import Matrix, eye, kronecker_product

    rows, exact = [], exact_generators(problem)
    for images in exact.lie:
        total = Matrix.zeros(problem.size)
        for i, image in enumerate(images):
            factors = [eye(s) if j != i else _exact(image) for j, s in enumerate(problem.sizes)]
            total += kronecker_product(*factors)
        rows.append(total)
    for images in exact.discrete:
        rows.append(kronecker_product(*map(_exact, images)) - eye(problem.size))
    return Matrix.vstack(*rows) if rows and problem.sizes else None


def _exact(image: ExactImage) -> Any:
    from sympy import Matrix
    from sympy.matrices.exceptions import NonInvertibleMatrixError

    if any(entry.imag != Surd(Fraction(0)) for row in image.rows for entry in row):
        raise MethodNotApplicable("the generators are complex; exact bases need real ones")
    matrix = Matrix([[_number(entry.real) for entry in row] for row in image.rows])
    try:
        return matrix.inv().T if image.is_dual else matrix
    except NonInvertibleMatrixError as error:
        raise MethodNotApplicable("a discrete generator is read as a singular matrix") from error


def _number(surd: Surd) -> Any:
    from sympy import Rational, sqrt

    a, b = (Rational(x.numerator, x.denominator) for x in (surd.a, surd.b))
    return a + b * sqrt(surd.m)
