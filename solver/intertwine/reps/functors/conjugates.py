"""Complex conjugates of reps."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from jaxtyping import Num

from intertwine.arrays import Array, namespace
from intertwine.operators import Permutation
from intertwine.reps.functors.determinants import SignRep
from intertwine.reps.functors.functor import Functor, SizePolynomial, checked_part, is_scalar
from intertwine.reps.parsing import register_function
from intertwine.reps.syntax import Rep, Sum, Tensor, direct_sum, is_a, tensor


class Conjugate(Functor, built_in=True):
    """The complex conjugate of ρ, made by `Conj`."""

    def rebuilt(self, part: Rep) -> Rep:
        """Return the conjugate of another part."""
        return Conj(part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "n n"]:
        """Return the conjugate of M."""
        return namespace(matrix).conj(matrix)

    of_derivative = of_matrix

    def of_permutation(self, move: Permutation) -> Permutation | None:
        """Return the permutation itself, which is real."""
        return move

    @property
    def size_polynomial(self) -> SizePolynomial:
        """n, the size of the part."""
        return (Fraction(0), Fraction(1))

    def __str__(self) -> str:
        return f"Conj({self.part})"

    def latex_name(self) -> str:
        r"""\overline{…}."""
        from intertwine.reps.printing import latex

        return rf"\overline{{{latex(self.part)}}}"


def Conj(rep: Any) -> Rep:
    """Return the complex conjugate of ρ, the rep g ↦ conj(ρ(g)) of the same size.

    It is ρ itself if its matrices are real, and the dual ρ* if they are unitary. Raises
    `InvalidRep` for a rep of several groups.
    """
    from intertwine.reps.generator_images import act_by_complex_numbers, act_unitarily

    part = checked_part(rep)
    if is_scalar(part) or isinstance(part, SignRep):
        return part
    if is_a(part, Tensor):
        return tensor([Conj(factor) for factor in part.factors])
    if is_a(part, Sum):
        return direct_sum([(m, Conj(term)) for m, term in part.terms])
    if isinstance(part, Conjugate):
        return part.part
    if part.is_concrete and not act_by_complex_numbers([part]):
        return part
    if part.is_concrete and act_unitarily([part]):
        return part.T
    return Conjugate(part)


register_function("Conj", Conj)
