"""The generators of a problem in exact numbers, slot by slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intertwine.exact.recognition import Rows, recognise, recognise_up_to_scale
from intertwine.groups.rounding import require_exact
from intertwine.invariants.problem import Problem
from intertwine.operators import dense
from intertwine.reps.generator_images import images
from intertwine.reps.syntax import Base, Dual, Rep, is_a


@dataclass(frozen=True)
class ExactImage:
    """ρ(h) in one slot: the matrix M of these rows, or M⁻ᵀ for a dual.

    The inverse is left to exact arithmetic: in floating point the inverse of [[13, 8], [8, 5]] has
    the entry 5 − 3e-14, which is not recognised as rational.
    """

    rows: Rows
    is_dual: bool = False


@dataclass(frozen=True)
class ExactGenerators:
    """The images dρᵢ(Aₖ), each k up to its scale, and ρᵢ(hₖ), for each generator in each slot."""

    lie: tuple[tuple[ExactImage, ...], ...]
    discrete: tuple[tuple[ExactImage, ...], ...]


def exact_generators(problem: Problem) -> ExactGenerators:
    """Read the generators of a problem as roundings of exact numbers.

    The scale of a Lie generator is irrelevant, as is that of a discrete generator if the problem
    has as many factors V as V*. Raises `RoundedGenerators` for a group whose generators look
    rounded, and `MethodNotApplicable` for entries that are not recognised.
    """
    require_exact(problem.group)
    lie = tuple(
        tuple(map(ExactImage, recognise_up_to_scale(problem.lie(k))))
        for k in range(problem.lie_count)
    )
    is_balanced = _is_balanced(problem)
    inner = {atom: atom.rep if is_a(atom, Dual) else atom for atom in problem.atoms}
    known = {rep: _discrete(rep, is_balanced) for rep in dict.fromkeys(inner.values())}
    discrete = tuple(
        tuple(ExactImage(known[inner[atom]][k], is_a(atom, Dual)) for atom in problem.atoms)
        for k in range(problem.discrete_count)
    )
    return ExactGenerators(lie, discrete)


def _discrete(rep: Rep, is_balanced: bool) -> tuple[Rows, ...]:
    """Return the rows of ρ(hₖ) for each discrete generator."""
    matrices = [np.asarray(dense(h)) for h in images(rep).discrete]
    if is_balanced:
        return tuple(recognise_up_to_scale([matrix])[0] for matrix in matrices)
    return tuple(map(recognise, matrices))


def _is_balanced(problem: Problem) -> bool:
    """Return whether the product consists of equally many factors V and V*."""
    duals = [is_a(atom, Dual) for atom in problem.atoms]
    inner = [atom.rep if is_a(atom, Dual) else atom for atom in problem.atoms]
    return all(is_a(rep, Base) for rep in inner) and 2 * sum(duals) == len(duals)
