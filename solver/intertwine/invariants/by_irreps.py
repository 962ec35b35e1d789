"""The method `irreps`: two halves of a product are decomposed, and Schur's lemma does the rest.

Never the problem of size dim ρ_A · dim ρ_B: only problems of the size of an irrep times a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

import numpy as np
from jaxtyping import Float

from intertwine.bases import Intertwiners, Transform
from intertwine.errors import MethodNotApplicable
from intertwine.invariants.problem import Problem
from intertwine.invariants.progress import Progress, Report
from intertwine.irreps import Decomposer, SplitError, decomposer_of
from intertwine.irreps.decomposer import Decomposed


@dataclass(frozen=True)
class Factored:
    """The basis in factors, bounds on its residual for each generator as given (Lie ones first)
    and on its orthonormality, and how clear the decisions about irreps were.
    """

    storage: Intertwiners
    residuals: tuple[float, ...]
    orthonormality: float
    gap: float


def match_irreps(problem: Problem, report: Report) -> Factored:
    """The invariants of a product as maps between its halves (Schur).

    Raises `MethodNotApplicable` where the group is not completely reducible in its given frame.
    """
    report(Progress("irreps", 0.0))
    if problem.group is None:
        scalar = Transform((), ())
        return Factored(Intertwiners(scalar, scalar, {0: np.ones((1, 1, 1))}), (), 0.0, inf)
    decomposer = decomposer_of(problem.group, problem.dtype)
    cut = _middle(problem.sizes)
    left, right = problem.atoms[:cut], tuple(atom.T for atom in problem.atoms[cut:])
    try:
        a = decomposer.decompose(left)
        b = a if right == left else decomposer.decompose(right)
    except SplitError as error:
        raise MethodNotApplicable(
            f"the method 'irreps' needs a completely reducible rep in a frame where the group is "
            f"closed under adjoints, and {problem.group!r} is not seen to be one: {error}"
        ) from error
    return _joined(problem, decomposer, a, b)


def _joined(problem: Problem, decomposer: Decomposer, a: Decomposed, b: Decomposed) -> Factored:
    shared = set(a.transform.multiplicities) & set(b.transform.multiplicities)
    irreps = {index: decomposer.catalogue.irreps[index] for index in sorted(shared)}
    left = a.transform.only(shared)
    right = left if b is a else b.transform.only(shared)
    endomorphisms = {index: irrep.endomorphisms for index, irrep in irreps.items()}
    crooked, defect = np.zeros(len(a.errors)), 0.0
    for irrep in irreps.values():
        matrices, units = irrep.rep.given.matrices, irrep.endomorphisms
        commutators = np.matmul(matrices[:, None], units) - np.matmul(units, matrices[:, None])
        sizes = np.linalg.norm(commutators.reshape(len(matrices), -1), axis=1)
        crooked = np.maximum(crooked, sizes)
        gram = np.einsum("eij,fij->ef", units.conj(), units) / irrep.dimension
        defect = max(defect, float(np.linalg.norm(gram - np.eye(len(units)))))
    # AX − XB for X = U_A Y U_Bᴴ: A's error, B's, and that of Y, each times the other isometry
    stretch = np.sqrt((1 + a.defect) * (1 + b.defect) * (1 + defect))
    errors = (a.errors + b.errors + crooked) * stretch
    lie = len(decomposer.combinations)
    discrete = errors[lie:] * _stretch(problem, len(left.sizes))
    return Factored(
        Intertwiners(left, right, endomorphisms),
        (*_as_given(problem, decomposer, errors[:lie]), *map(float, discrete)),
        float(stretch**2 - 1),
        decomposer.catalogue.gap.ratio,
    )


def _stretch(problem: Problem, cut: int) -> Float[np.ndarray, " k"]:
    """From AX − XB* to ρ(h)v − v: the factor ‖ρ_B(h)‖, over the ‖ρ(h)‖ that residuals have."""
    found = []
    for k in range(problem.discrete_count):
        norms = [float(np.linalg.norm(matrix, 2)) for matrix in problem.discrete(k)]
        found.append(prod(norms[cut:]) / max(1.0, prod(norms)))
    return np.array(found)


def _as_given(
    problem: Problem, decomposer: Decomposer, errors: Float[np.ndarray, " k"]
) -> tuple[float, ...]:
    """From bounds for an orthonormal basis of the Lie algebra to those for the generators."""
    rows = decomposer.span.rows
    if not len(rows):
        return ()
    basis = decomposer.combinations @ rows
    coefficients = rows @ basis.T / decomposer.group.d
    missing = np.linalg.norm(rows - coefficients @ basis, axis=1) * len(problem.atoms)
    return tuple(map(float, np.abs(coefficients) @ errors + missing))


def _middle(sizes: tuple[int, ...]) -> int:
    """Where to cut a product so that the larger half is least; the left one, of two."""
    best, least = 0, inf
    for cut in range(len(sizes), -1, -1):
        larger = max(prod(sizes[:cut]), prod(sizes[cut:]))
        if larger < least:
            best, least = cut, larger
    return best
