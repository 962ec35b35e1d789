"""Invariants of a group that is not reductive, among those of a reductive subgroup.

The irreps of the subgroup give its invariants quickly. They are few, and the remaining generators
are linear equations for their coordinates.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.arrays import standard_normal
from intertwine.bases import Storage
from intertwine.errors import MethodNotApplicable
from intertwine.groups import Group
from intertwine.groups.lie_span import adjoint_rows
from intertwine.invariants.backends import Backend
from intertwine.invariants.by_irreps import match_irreps
from intertwine.invariants.by_krylov import Found, orthonormal_invariants
from intertwine.invariants.constraints import (
    Constraints,
    apply_discrete,
    apply_lie,
    images_under,
    remaining_constraints,
)
from intertwine.invariants.problem import Problem
from intertwine.invariants.progress import Progress, Report
from intertwine.invariants.tolerances import DEFAULT, Tolerances
from intertwine.irreps import REDUCTIVE, verdict_of
from intertwine.memory import require_memory
from intertwine.operators import dense
from intertwine.reps.generator_images import lie_span_of
from intertwine.reps.syntax import Base, Dual, Rep, is_a

_LOG = logging.getLogger("intertwine")
FROM = 1_000
"""The smallest size for which a subgroup is used: `krylov` alone solves smaller problems faster."""
_MOST = 6_000
"""The most invariants of the subgroup among which those of the group are searched."""
_FEWER = 4  # more than n / 4 invariants of the subgroup are too many to be useful
_CLOSED = 1e-12
_UNITARY = 1e-12
_BLOCK = 32  # random vectors of one product
_SPARE = 32  # at least so many more random equations than unknowns, …
_SPARE_PART = 8  # … and at least an eighth more: with few more they are nearly singular
_CANDIDATE = 1e-5  # solutions of random equations up to this relative error are candidates
_CLEARLY_ZERO = 1e2  # times `null`, as for `krylov`
_REMEMBERED = 32


@dataclass(frozen=True)
class Subgroup:
    """A reductive subgroup of a group.

    `others` are coefficients of Lie generators orthogonal to the subgroup's: rows for the
    orthonormal basis of the Lie span. `discrete` are the indices of the discrete generators that
    are not in the subgroup.
    """

    group: Group
    others: Float[np.ndarray, "j k"]
    discrete: tuple[int, ...]

    def __str__(self) -> str:
        lie, discrete = len(self.group.lie_generators), len(self.group.group_generators)
        return f"a reductive subgroup with {lie} Lie and {discrete} discrete generators"


@lru_cache(_REMEMBERED)
def reductive_subgroup(group: Group) -> Subgroup | None:
    """Return the subgroup of the unitary discrete generators and the largest part of the Lie span
    that is closed under adjoints; None if it is trivial or not found to be reductive.

    Examples are the rotations in the Euclidean group, the Lorentz group in the Poincaré group, and
    the diagonal matrices in the group of triangular ones.
    """
    if group.precision:
        return None  # a part of rounded generators may be closed by chance
    span = lie_span_of(group)
    combinations = span.combinations(DEFAULT.null, DEFAULT.distinct)
    inside, outside = _closed_part(combinations @ span.rows / math.sqrt(group.d), group.d)
    elements = [np.asarray(dense(h)) for h in group.group_generators]
    one = np.eye(group.d)
    is_unitary = [bool(np.abs(h @ h.conj().T - one).max() <= _UNITARY) for h in elements]
    if not len(inside) and not any(is_unitary):
        return None
    units = [span.scaled(k, np.asarray(dense(a))) for k, a in enumerate(group.lie_generators)]
    subgroup = Group(
        lie_algebra=[np.tensordot(row @ combinations, units, (0, 0)) for row in inside],
        discrete_generators=[
            h for h, kept in zip(group.group_generators, is_unitary, strict=True) if kept
        ],
        d=group.d,
        refine=0,  # parts of exact generators
    )
    verdict = verdict_of(subgroup)
    if verdict.kind != REDUCTIVE or verdict.straight is not None:
        return None
    others = tuple(k for k, kept in enumerate(is_unitary) if not kept)
    return Subgroup(subgroup, outside @ combinations, others)


def _closed_part(
    rows: Float[np.ndarray, "j d2"], d: int
) -> tuple[Float[np.ndarray, "i j"], Float[np.ndarray, "o j"]]:
    """Return orthonormal coordinates of the largest subspace of a span that is closed under
    adjoints, and of its complement. `rows` are an orthonormal basis of the span, as real vectors.
    """
    flat = adjoint_rows(rows, d)
    # the adjoint is an involution: on a subspace that it maps to itself, its eigenvalues are ±1
    vectors = np.linalg.eigh(flat @ rows.T)[1].T
    moved = vectors @ flat
    outside = np.linalg.norm(moved - (moved @ rows.T) @ rows, axis=1)
    kept = outside <= _CLOSED
    return vectors[kept], vectors[~kept]


def restricted(problem: Problem, subgroup: Group) -> Problem | None:
    """Return the same problem for a subgroup; None if it has user-defined reps."""
    atoms: list[Rep] = []
    for atom in problem.atoms:
        inner = atom.rep if is_a(atom, Dual) else atom
        if not is_a(inner, Base):
            return None
        atoms.append(Base(subgroup) if inner is atom else Base(subgroup).T)
    return Problem(tuple(atoms), subgroup)


def within_reductive_part(
    problem: Problem, backend: Backend, tolerances: Tolerances, report: Report
) -> Found | None:
    """Return the invariants, from those of a reductive subgroup; None if the group is reductive
    itself, no subgroup with few invariants is known, or a rank is not clear.

    Random combinations of the remaining equations, some more than there are unknowns, have the
    candidates as solutions. All equations then decide which candidates are invariant: there may be
    too many candidates, but never too few.
    """
    if problem.size < FROM or problem.group is None:
        return None
    if max(problem.sizes) ** 2 > problem.size:
        return None  # decomposing one large slot into irreps may take longer than `krylov`
    if verdict_of(problem.group).kind == REDUCTIVE:
        return None
    subgroup = reductive_subgroup(problem.group)
    within = restricted(problem, subgroup.group) if subgroup is not None else None
    if subgroup is None or within is None:
        return None
    try:
        known = match_irreps(within, backend, tolerances, report)
    except MethodNotApplicable as error:
        _LOG.info("a reductive subgroup is not used: %s", error)
        return None
    n, rank = known.storage.shape
    if not rank <= min(_MOST, n / _FEWER):
        return None
    itemsize = problem.dtype.itemsize
    require_memory((6 * (rank + _SPARE) ** 2 + 8 * n * _BLOCK) * itemsize, f"{rank:,} equations")
    rest = remaining_constraints(problem, subgroup.others, subgroup.discrete)
    equations = partial(_random_equations, known.storage, rest, problem)
    coordinates, above = _candidates(equations, rank, problem, report)
    width = coordinates.shape[1]
    require_memory(6 * n * width * itemsize, f"a basis of shape {n:,} × {width:,}")
    found = _decided(known.storage.apply(coordinates), rest, tolerances)
    if found is None:
        return None
    vectors, least, below = found
    if not below <= tolerances.null * max(1.0, rest.scale):
        vectors = orthonormal_invariants(problem, vectors, backend, tolerances)
    gap = min(known.gap, min(above, least) / below if below else math.inf)
    return Found(vectors, gap, 0, (f"it is within the {rank:,} invariants of {subgroup}",))


def _random_equations(
    storage: Storage, rest: Constraints, problem: Problem, rng: np.random.Generator, count: int
) -> Inexact[np.ndarray, "r count"]:
    """Return the coefficients of random equations for coordinates: (CQ)ᴴω for a random combination
    C of the constraints and random vectors ω.
    """
    weights = rng.standard_normal(rest.count) / math.sqrt(rest.count)
    vectors = standard_normal(rng, (problem.size, count), problem.dtype)
    moved = 0 * vectors
    lie = len(rest.lie[0]) if rest.lie else 0
    if lie:
        slots = [np.tensordot(weights[:lie], stack, (0, 0)).conj().T for stack in rest.lie]
        moved = moved + apply_lie(slots, rest.sizes, vectors)
    for k, (weight, divisor) in enumerate(zip(weights[lie:], rest.weights, strict=True)):
        slots = [stack[k].conj().T for stack in rest.discrete]
        moved += weight * divisor * (apply_discrete(slots, rest.sizes, vectors) - vectors)
    found: Inexact[np.ndarray, "r count"] = storage.adjoint(moved) / max(1.0, rest.scale)
    return found


def _candidates(
    equations: Callable[[np.random.Generator, int], Inexact[np.ndarray, "r count"]],
    rank: int,
    problem: Problem,
    report: Report,
) -> tuple[Inexact[np.ndarray, "r c"], float]:
    """Return orthonormal coordinates of the solutions of random equations, and the smallest
    singular value that belongs to no solution.
    """
    rng, count = np.random.default_rng(problem.seed), rank + max(_SPARE, rank // _SPARE_PART)
    blocks = []
    for start in range(0, count, _BLOCK):
        report(Progress(f"krylov, {rank:,} unknowns", start / count))
        blocks.append(equations(rng, min(_BLOCK, count - start)))
    u, values, _ = np.linalg.svd(np.concatenate(blocks, axis=1), full_matrices=False)
    values = values / math.sqrt(count)
    solved = values <= _CANDIDATE
    space = u[:, solved]
    # the SVD's choice of a basis depends on the machine
    fixed = standard_normal(np.random.default_rng(14), space.shape, problem.dtype)
    q, r = np.linalg.qr(space @ (space.conj().T @ fixed))
    signs = np.where(np.diag(r).real < 0, -1.0, 1.0)
    return q * signs, float(values[~solved].min(initial=math.inf))


def _decided(
    vectors: Inexact[np.ndarray, "n c"], rest: Constraints, tolerances: Tolerances
) -> tuple[Inexact[np.ndarray, "n r"], float, float] | None:
    """Return the invariants among orthonormal candidates, the smallest singular value of the
    constraints that counts as nonzero, and the largest that counts as zero; None if a value is
    neither clearly zero nor clearly nonzero.
    """
    scale = max(1.0, rest.scale)
    below = math.sqrt(sum(float(np.vdot(y, y).real) for y in images_under(rest, vectors))) / scale
    if below <= _CLEARLY_ZERO * tolerances.null:
        return vectors, math.inf, below
    triangle: Any = vectors[:0]
    for y in images_under(rest, vectors):
        triangle = np.linalg.qr(np.concatenate([triangle, y]), mode="r")
    _, values, rows = np.linalg.svd(triangle)
    values = values / scale
    nonzero = values >= tolerances.distinct
    below = float(values[~nonzero].max(initial=0.0))
    if not below <= _CLEARLY_ZERO * tolerances.null:
        return None
    kept = rows[int(nonzero.sum()) :].conj().T
    return vectors @ kept, float(values[nonzero].min(initial=math.inf)), below
