"""Determinants of reps, and the sign of reflections: reps of size 1."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Num

from intertwine.arrays import Array, namespace
from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.operators import Permutation, dense
from intertwine.reps.functors.functor import Functor, SizePolynomial, checked_part, is_scalar
from intertwine.reps.functors.powers import determinant
from intertwine.reps.parsing import register_function, register_name
from intertwine.reps.syntax import Rep, Scalar, V

_UNIT = 1e-9
"""A determinant this near to ±1 is rounded to it."""


class Determinant(Functor, built_in=True):
    """The rep g ↦ det ρ(g), made by `Det`."""

    def rebuilt(self, part: Rep) -> Rep:
        """Return the determinant of another part."""
        return Det(part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
        """Return the 1 × 1 matrix of det M."""
        return determinant(matrix)

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
        """Return the 1 × 1 matrix of tr M, the derivative of det at 1."""
        return namespace(matrix).trace(matrix).reshape(1, 1)

    def of_permutation(self, move: Permutation) -> Permutation | None:
        """Return the sign of the permutation, times its signs."""
        return _sign_of(move)

    @property
    def size_polynomial(self) -> SizePolynomial:
        """The constant 1."""
        return (Fraction(1),)

    def __str__(self) -> str:
        return f"Det({self.part})"

    def latex_name(self) -> str:
        r"""\det of the part."""
        from intertwine.reps.printing import latex

        return rf"\det\left({latex(self.part)}\right)"


class SignRep(Determinant, built_in=True):
    """The determinant of V over a group where it is ±1, exactly; see `Sign`."""

    def rebuilt(self, part: Rep) -> Rep:
        """Return the sign over the group of another base rep. Raises `InvalidRep` if determinants
        differ from ±1.
        """
        if part.is_concrete:
            _require_signs(part.G)
        return SignRep(part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
        """Return the sign of det M."""
        return namespace(matrix).sign(determinant(matrix).real)

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
        """Return 0."""
        return namespace(matrix).zeros((1, 1), dtype=matrix.real.dtype)

    @property
    def T(self) -> Rep:
        """It is its own dual."""
        return self

    def __str__(self) -> str:
        return "Sign"

    def latex_name(self) -> str:
        """Return sgn."""
        return r"\operatorname{sgn}"


def Det(rep: Any) -> Rep:
    """Return the rep g ↦ det ρ(g), of size 1. Raises `InvalidRep` for a rep of several groups."""
    part = checked_part(rep)
    found: Rep = Scalar if is_scalar(part) else Determinant(part)
    return found


Sign = SignRep(V)
"""The sign det(g) = ±1 of O(n), of a point group or of permutations: a pseudo-scalar. Over a group
with other determinants a call raises `InvalidRep`: use `Det(V)` there."""
PseudoScalar = Parity = Sign
"""Other names of `Sign`, which is −1 for reflections."""
PseudoVector = Sign * V
"""Sign ⊗ V: vectors that transform like axes of rotations, such as torques and magnetic fields."""


def _require_signs(group: Group) -> None:
    """Raise `InvalidRep` unless all determinants of a group's elements are ±1."""
    for generator in group.lie_generators:
        matrix = np.asarray(dense(generator))
        if not abs(np.trace(matrix)) <= _UNIT * max(1.0, float(np.abs(matrix).max(initial=0.0))):
            raise _no_sign(group, f"a Lie generator has trace {np.trace(matrix):.3g}")
    for generator in group.group_generators:
        if isinstance(generator, Permutation):
            continue
        value = np.linalg.det(np.asarray(dense(generator)))
        if not min(abs(value - 1), abs(value + 1)) <= _UNIT:
            raise _no_sign(group, f"a generator has determinant {value:.3g}")


def _no_sign(group: Group, why: str) -> InvalidRep:
    return InvalidRep(
        f"Sign needs a group with determinants ±1, and in {group!r} {why}: use Det(V)"
    )


def _sign_of(move: Permutation) -> Permutation:
    """Return det of a signed permutation."""
    n, seen, sign = len(move.indices), np.zeros(len(move.indices), dtype=bool), 1
    for start in range(n):
        length, place = 0, start
        while not seen[place]:
            seen[place], place, length = True, int(move.indices[place]), length + 1
        if length:
            sign *= (-1) ** (length - 1)
    if move.signs is not None:
        sign *= int(np.prod(move.signs, dtype=np.int64))
    return Permutation(np.zeros(1, dtype=np.int64), np.array([sign]))


register_function("Det", Det)
for _name, _rep in (("Sign", Sign), ("Parity", Parity), ("PseudoScalar", PseudoScalar)):
    register_name(_name, _rep)
register_name("PseudoVector", PseudoVector)
