"""The method `irreps`: decompose the two halves of a product, and apply Schur's lemma.

It never solves a problem of size dim ρ_A · dim ρ_B, only of the size of an irrep times a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.bases import DenseStorage, Intertwiners, Storage, Transform
from intertwine.bases.store import BasisStore
from intertwine.errors import MethodNotApplicable
from intertwine.invariants.backends import Backend
from intertwine.invariants.by_krylov import orthonormal_invariants
from intertwine.invariants.by_weights import is_by_weights, match_weights
from intertwine.invariants.constraints import apply_discrete
from intertwine.invariants.problem import Problem, middle
from intertwine.invariants.progress import Progress, Report
from intertwine.invariants.tolerances import Tolerances
from intertwine.irreps import (
    REDUCTIVE,
    Decomposer,
    SplitError,
    decomposer_of,
    decomposition_store,
    in_straight_frame,
    verdict_of,
)
from intertwine.irreps.decomposer import Decomposed
from intertwine.memory import require_memory


@dataclass(frozen=True)
class Factored:
    """The basis in factors, bounds on its residual for each generator as given (Lie ones first)
    and on its orthonormality, and the gap of the decisions about irreps. A basis transformed from
    another frame is dense and has no bounds: it still has to be checked.
    """

    storage: Storage
    residuals: tuple[float, ...] | None
    orthonormality: float | None
    gap: float


def match_irreps(
    problem: Problem,
    backend: Backend,
    tolerances: Tolerances,
    report: Report,
    store: BasisStore | None = None,
) -> Factored:
    """Return the invariants of a product, as maps between its halves (Schur).

    If the group is closed under adjoints only in another frame, they are computed there and
    transformed back. The weights of a large rep of an abelian group are compared instead
    (`match_weights`). A `store` keeps the irreps for later solves. Raises `MethodNotApplicable` if
    the group's reps are not found to be completely reducible.
    """
    report(Progress("irreps", 0.0))
    if problem.group is None:
        scalar = Transform((), ())
        return Factored(Intertwiners(scalar, scalar, {0: np.ones((1, 1, 1))}), (), 0.0, inf)
    if problem.weights is not None and is_by_weights(problem, tolerances):
        matched = match_weights(problem, problem.weights, tolerances)
        return Factored(matched.storage, matched.residuals, matched.orthonormality, matched.gap)
    verdict = verdict_of(problem.group)
    if verdict.kind != REDUCTIVE:
        raise MethodNotApplicable(
            f"the method 'irreps' needs a group whose reps are completely reducible, and "
            f"{problem.group!r} is {verdict.kind}: {verdict.reason}"
        )
    straight = [in_straight_frame(atom) for atom in problem.atoms]
    if verdict.straight is None and all(frame is None for _, frame in straight):
        return _match(problem, store)
    group = verdict.straight or problem.group
    found = _match(Problem(tuple(atom for atom, _ in straight), group), store)
    frames = [np.eye(a.size()) if frame is None else frame for a, frame in straight]
    return _brought_back(found, problem, frames, backend, tolerances)


def _match(problem: Problem, store: BasisStore | None) -> Factored:
    assert problem.group is not None
    decomposer = decomposer_of(problem.group, problem.dtype)
    if store is not None:
        decomposition_store.load(decomposer, store)
    cut = middle(problem.sizes)
    left, right = problem.atoms[:cut], tuple(atom.T for atom in problem.atoms[cut:])
    try:
        a = decomposer.decompose(left)
        b = a if right == left else decomposer.decompose(right)
    except SplitError as error:
        raise MethodNotApplicable(
            f"the method 'irreps' needs completely reducible reps in a frame where the group is "
            f"closed under adjoints, and found none for {problem.group!r}: {error}"
        ) from error
    if store is not None:
        decomposition_store.save(decomposer, store)
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
        sizes = np.sqrt((np.abs(commutators) ** 2).sum(axis=(1, 2, 3)))
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
    """Return the factors from AX − XB* to residuals of ρ(h)v − v: ‖ρ_B(h)‖ over ‖ρ(h)‖."""
    found = []
    for k in range(problem.discrete_count):
        norms = [float(np.linalg.norm(matrix, 2)) for matrix in problem.discrete(k)]
        found.append(prod(norms[cut:]) / max(1.0, prod(norms)))
    return np.array(found)


def _as_given(
    problem: Problem, decomposer: Decomposer, errors: Float[np.ndarray, " k"]
) -> tuple[float, ...]:
    """Convert bounds for an orthonormal basis of the Lie algebra to bounds for the generators."""
    rows = decomposer.span.rows
    if not len(rows):
        return ()
    basis = decomposer.combinations @ rows
    coefficients = rows @ basis.T / decomposer.group.d
    missing = np.linalg.norm(rows - coefficients @ basis, axis=1) * len(problem.atoms)
    return tuple(map(float, np.abs(coefficients) @ errors + missing))


def _brought_back(
    found: Factored,
    problem: Problem,
    frames: list[Inexact[np.ndarray, "_ _"]],
    backend: Backend,
    tolerances: Tolerances,
) -> Factored:
    """Return the basis in the given frame, (S₁ ⊗ … ⊗ S_p)Q, made orthonormal."""
    n, rank = found.storage.shape
    require_memory(6 * 8 * n * rank, f"a basis of shape {n:,} × {rank:,} in an oblique frame")
    moved = apply_discrete(tuple(frames), problem.sizes, found.storage.apply(np.eye(rank)))
    basis = orthonormal_invariants(problem, moved, backend, tolerances)
    return Factored(DenseStorage(basis), None, None, found.gap)
