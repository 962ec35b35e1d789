"""Check a result against every generator as given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.bases import Storage
from intertwine.errors import AmbiguousRank, SolveError
from intertwine.groups.lie_span import spectral_norm
from intertwine.invariants.constraints import apply_discrete, apply_lie, joined_lie
from intertwine.invariants.modular_solutions import PRIMES, modular_nullity
from intertwine.invariants.problem import Problem, Slots
from intertwine.invariants.tolerances import Tolerances
from intertwine.operators import Permutation, dense
from intertwine.reps.finite_characters import finite_rank

_EPSILON = 4 * float(
    np.finfo(float).eps
)  # the error of a generator's entries, relative to its norm


def residuals(problem: Problem, storage: Storage) -> tuple[float, ...]:
    """Return a bound on the spectral norm of CQ for each generator as given, Lie ones first."""
    lie = (_lie_residual(problem, storage, k) for k in range(problem.lie_count))
    discrete = (_discrete_residual(problem, storage, k) for k in range(problem.discrete_count))
    return (*lie, *discrete)


def allowances(
    problem: Problem, tolerances: Tolerances, is_confirmed: bool = False
) -> tuple[float, ...]:
    """Return the largest value of each of `residuals` for which vectors count as invariant.

    All methods use these thresholds. A Lie generator may move invariants by rounding: `null` times
    the norms of its images in all slots. A discrete one may also stretch errors of the vectors by
    up to ‖ρ(h)‖: a residual of 1e-12 says nothing if it was divided by a norm of 1e6. If the rank
    is confirmed, these errors may be larger.
    """
    slots, found = max(1, len(problem.sizes)), []
    errors = tolerances.residual if is_confirmed else tolerances.vectors
    for k in range(problem.lie_count):
        norms = [max(1.0, norm) for norm in problem.unit_lie_norms(k)]
        found.append(tolerances.null * max(1.0, sum(norms)))
    for k in range(problem.discrete_count):
        norm = max(1.0, problem.discrete_norm(k))
        found.append(tolerances.null * slots / norm + errors * (1 - 1 / norm))
    return tuple(found)


def require_orthonormal(orthogonal: float, what: str, tolerances: Tolerances) -> None:
    """Raise `SolveError` for columns that are not orthonormal, or NaN."""
    if not orthogonal <= tolerances.residual:
        raise SolveError(
            f"the basis found for {what} fails its check: its columns are orthonormal to "
            f"{orthogonal:.2g}, at most {tolerances.residual:.0e} allowed. Please report this"
        )


def require_proven(
    problem: Problem,
    storage: Storage,
    residuals: Sequence[float],
    orthogonal: float,
    what: str,
    tolerances: Tolerances,
    is_confirmed: bool = False,
) -> None:
    """Raise `AmbiguousRank` for vectors that are nearly, but not quite, invariant, and `SolveError`
    for a basis that is wrong, or NaN.
    """
    residual = float(np.max(residuals, initial=0.0))
    if not residual <= tolerances.distinct:
        raise SolveError(
            f"the basis found for {what} fails its check: residual {residual:.2g}, at most "
            f"{tolerances.distinct:.0e} allowed. Please report this"
        )
    require_orthonormal(orthogonal, what, tolerances)
    errors = tolerances.residual if is_confirmed else tolerances.span
    matrix = storage.written_out
    for k, allowed in enumerate(allowances(problem, tolerances, is_confirmed)):
        violation = residuals[k]
        if not violation <= allowed and matrix is not None:
            violation = _spectral(problem, matrix, k)  # the bound sums over all columns
        is_proven = violation <= allowed
        if is_proven and matrix is not None and k >= problem.lie_count:
            slots = problem.discrete(k - problem.lie_count)
            is_proven = _is_moved_by_errors(problem, matrix, slots, tolerances.null, errors)
        if not is_proven:
            raise AmbiguousRank(
                f"the rank is ambiguous: generator {k + 1} moves vectors of {what} by "
                f"{violation:.2g}, neither rounding ({allowed:.1g}) nor clearly more. Were "
                f"the generators rounded? Give more digits, or exact entries"
            )


def confirmed_rank(problem: Problem, rank: int, what: str, *, is_counted: bool = False) -> bool:
    """Return whether an independent count, without thresholds, confirms the rank: characters, or
    solutions modulo a prime. Raises `SolveError` if the counts differ. Orbits and
    weights were counted already, faster than the characters of a whole group: they are compared
    only with the primes (`is_counted`).
    """
    if not is_counted and _agrees_with_characters(problem, rank, what):
        return True
    return _agrees_modulo_primes(problem, rank, what)


def _agrees_with_characters(problem: Problem, rank: int, what: str) -> bool:
    """Return whether the mean of characters over a finite group is the rank; False for groups not
    found to be finite, or too large.
    """
    expected = finite_rank(problem.atoms) if problem.atoms else None
    if expected is not None and expected != rank:
        raise SolveError(
            f"{rank} invariants of {what} were found, but its characters have the mean {expected}: "
            f"one of the two is wrong. Please report this"
        )
    return expected is not None


def _agrees_modulo_primes(problem: Problem, rank: int, what: str) -> bool:
    """Return whether there are as many solutions modulo a prime; False if they are not counted.

    Over ℚ there are no more than modulo any prime. The second prime is used only if there are more
    modulo the first, which may divide a minor of the constraints.
    """
    found = []
    for prime in PRIMES:
        nullity = modular_nullity(problem, prime)
        if nullity is None or nullity == rank:
            return nullity is not None
        found.append(nullity)
        if nullity < rank:
            break
    raise SolveError(
        f"{rank} invariants of {what} were found, but modulo {PRIMES[len(found) - 1][0]} there "
        f"are {found[-1]}: one of the two is wrong. Please report this"
    )


def _spectral(problem: Problem, q: Inexact[np.ndarray, "n r"], k: int) -> float:
    """Return the spectral norm of one generator's constraint on the basis, as in `residuals`."""
    if k < problem.lie_count:
        return spectral_norm(apply_lie(problem.unit_lie(k), problem.sizes, q))
    slots = problem.discrete(k - problem.lie_count)
    norm = max(1.0, problem.discrete_norm(k - problem.lie_count))
    return spectral_norm((apply_discrete(slots, problem.sizes, q) - q) / norm)


def _is_moved_by_errors(
    problem: Problem, q: Inexact[np.ndarray, "n r"], slots: Slots, null: float, errors: float
) -> bool:
    """Return whether errors of vectors and arithmetic explain how a discrete generator moves them.

    With singular values σ of ρ(h) = UΣVᴴ, vectors wrong by δ make (ρ(h) − 1)v wrong by ΣVᴴδ − Uᴴδ
    in the coordinates of U: much where h stretches, and little where it rotates. So a rotation by
    1e-7 next to a stretching of 1e5 is not an error, though it is 1e-12 of ‖h‖.
    """
    norms = [spectral_norm(matrix) for matrix in slots]
    norm = max(1.0, prod(norms))
    if norm - 1 <= null:
        return True
    factors = [np.linalg.svd(matrix) for matrix in slots]
    values = [sigma for _, sigma, _ in factors]
    # each slot's matrix may have an error relative to its norm, in any direction
    rounding = sum(
        _outer([*values[:k], np.full_like(values[k], norms[k]), *values[k + 1 :]])
        for k in range(len(slots))
    )
    allowed = null * len(slots) + _EPSILON * rounding
    allowed = allowed + errors * (1 - 1 / norm) * (_outer(values) + 1)
    stretched = [sigma[:, None] * vh for _, sigma, vh in factors]
    turned = [u.conj().T for u, _, _ in factors]
    moved = apply_discrete(stretched, problem.sizes, q) - apply_discrete(turned, problem.sizes, q)
    beyond = moved / allowed[:, None]
    return bool(np.linalg.norm(beyond) <= 1 or spectral_norm(beyond) <= 1)


def _outer(vectors: Sequence[Float[np.ndarray, " _"]]) -> Float[np.ndarray, " n"]:
    """Return the products of all entries, as on the diagonal of a Kronecker product."""
    product: Float[np.ndarray, " n"] = reduce(np.kron, vectors)
    return product


def _lie_residual(problem: Problem, storage: Storage, k: int) -> float:
    """Return a bound on ‖dρ(A)Q‖ for one Lie generator, scaled to norm 1."""
    if problem.permutations is not None:
        return 0.0  # all its images vanish
    slots, sizes = joined_lie(problem.unit_lie(k), problem.sizes)
    return _norm_of(lambda block: apply_lie(slots, sizes, block), storage)


def _discrete_residual(problem: Problem, storage: Storage, k: int) -> float:
    """Return a bound on ‖(ρ(h) − 1)Q‖ / max(1, ‖ρ(h)‖) for one discrete generator.

    If h was read as a permutation and the storage shows exactly that it fixes the columns, the
    bound is h's distance from that permutation; columns that it moves are not invariants.
    """
    if problem.permutations is not None:
        is_kept = storage.keeps(problem.permutations[k])
        if is_kept is not None:
            return _distance(problem, k, problem.permutations[k]) if is_kept else math.inf
    slots = problem.discrete(k)
    norm = max(1.0, problem.discrete_norm(k))
    return _norm_of(lambda x: apply_discrete(slots, problem.sizes, x) - x, storage) / norm


def _norm_of(constraint: Callable[[Any], Any], storage: Storage) -> float:
    """Return the Frobenius norm of CQ, a bound on the spectral norm, by blocks of columns."""
    return math.sqrt(
        sum(float(np.sum(np.abs(constraint(block)) ** 2)) for block in storage.columns())
    )


def _distance(problem: Problem, k: int, slots: Sequence[Permutation]) -> float:
    """Return a bound on ‖ρ(h) − P‖ for the permutation P that a generator was read as."""
    known: dict[int, float] = {}
    for image, slot in zip(problem.images, slots, strict=True):
        generator = image.discrete[k]
        if id(generator) not in known:
            known[id(generator)] = (
                0.0
                if isinstance(generator, Permutation)
                else spectral_norm(generator - np.asarray(dense(slot)))
            )
    return math.expm1(sum(math.log1p(known[id(image.discrete[k])]) for image in problem.images))
