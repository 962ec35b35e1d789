"""Approximate invariants: vectors that violate the constraints by at most a relative tolerance.

For generators learned from data, or otherwise known to a few digits. Each Lie generator is scaled
to spectral norm 1, each ρ(h) − 1 divided by max(1, ‖ρ(h)‖), and the stack C of all by a bound on
its norm; the invariants are the right singular vectors with singular values up to the tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.arrays import Array, standard_normal
from intertwine.bases import Storage
from intertwine.errors import AmbiguousRank, MethodNotApplicable, NotConverged, UnknownMethod
from intertwine.invariants.by_weights import count_nearly_cancelling
from intertwine.invariants.constraints import constraints_as_given, gradient, kron_sum
from intertwine.invariants.problem import Problem
from intertwine.invariants.progress import Progress, Report
from intertwine.memory import require_memory
from intertwine.operators import conjugate_gradients
from intertwine.reps.syntax import Base, Dual, tensor

DENSE_UP_TO = 600
"""The largest size for which all singular values are computed."""
FINEST = 1e-7
"""The smallest tolerance above `DENSE_UP_TO`: its square is an eigenvalue of CᴴC, known to ε."""
SHOWN = 4
"""The number of singular values on each side of the cut in a certificate."""
CLEAR = 3.0
"""The smallest ratio of the singular values around the cut that counts as a gap."""
_FIRST_BLOCK = 16
_GUARDS = 4  # vectors beyond the cut, which locate it
_FILTERS = 2
_PASSES = 40
_STEPS = 2000  # of conjugate gradients, in one pass of the filter
_CONVERGED = 1e-2  # of the squared tolerance: residuals of eigenvectors
_CG = 1e-12
_ARRAYS = 10  # blocks of shape (n, b) alive at once
_OWN_DEGREE = 4
"""The assumed degree of a user-defined rep's entries as polynomials."""


@dataclass(frozen=True)
class Approximate:
    """An orthonormal basis (n, r), the singular values next to the cut (relative, ascending), the
    method that computed it, and its iterations.
    """

    basis: Inexact[np.ndarray, "n r"]
    kept: tuple[float, ...]
    dropped: tuple[float, ...]
    method: str
    iterations: int

    @property
    def gap(self) -> float:
        """The smallest dropped singular value over the largest kept one."""
        if not (self.kept and self.dropped and self.kept[-1]):
            return math.inf
        return self.dropped[0] / self.kept[-1]


def require_tolerance(tolerance: Any, method: str, backend: str) -> None:
    """Raise `UnknownMethod` for a tolerance outside (0, 1), and `MethodNotApplicable` for a
    method or backend without approximate solves.
    """
    is_number = isinstance(tolerance, int | float | np.floating) and not isinstance(tolerance, bool)
    if not is_number or not 0 < tolerance < 1:
        raise UnknownMethod(
            f"the tolerance of an approximate basis is a number above 0 and below 1, such as "
            f"5e-3, not {tolerance!r}"
        )
    if method not in ("auto", "svd", "krylov") or backend not in ("auto", "numpy"):
        raise MethodNotApplicable(
            f"an approximate basis needs 'svd' or 'krylov' on NumPy, not {method!r} "
            f"on {backend!r}: use 'auto' for both"
        )


def approximate_invariants(
    problem: Problem, tolerance: float, report: Report, method: str = "auto"
) -> Approximate:
    """Return the vectors that are invariant up to the tolerance.

    Uses a dense decomposition for up to `DENSE_UP_TO` dimensions, else filtered subspace
    iteration. Raises `TooLarge` if that does not fit into memory, `MethodNotApplicable` for a
    tolerance too fine for it, and `NotConverged` if singular values crowd around the cut.
    """
    n = problem.size
    is_dense = method == "svd" or (method == "auto" and n <= DENSE_UP_TO)
    if not problem.lie_count + problem.discrete_count:
        return Approximate(np.eye(n, dtype=problem.dtype), (), (), "svd", 0)
    if is_dense:
        require_memory(6 * n * n * problem.dtype.itemsize, f"svd for {n:,} dimensions")
        return _dense(problem, tolerance, report)
    if tolerance < FINEST:
        raise MethodNotApplicable(
            f"above {DENSE_UP_TO} dimensions a tolerance is at least {FINEST:g}, not "
            f"{tolerance:g}: use method='svd', which takes the time and memory of dense matrices "
            f"of {n:,} dimensions"
        )
    return _by_iteration(problem, tolerance, report)


def require_distinguishable(problem: Problem, basis: Storage, report: Report) -> None:
    """Raise `AmbiguousRank` if rounding of the generators to their precision could create or hide
    an invariant. In large reps only the complement of the basis is searched.
    """
    rank = basis.shape[1]
    if problem.group is None or not problem.group.precision:
        return
    degree = sum(
        1 if isinstance(atom.rep if isinstance(atom, Dual) else atom, Base) else _OWN_DEGREE
        for atom in problem.atoms
    )
    least = FINEST if problem.size > DENSE_UP_TO else 0.0
    tolerance = max(degree * problem.group.precision, least)
    if not tolerance < 1:
        tolerance = 0.5
    remedy = (
        "Give more digits or exact entries, pass tolerance=5e-3 to the solve for an approximate "
        "basis, or pass refine=0 to the group if its generators are exact"
    )
    few = ""
    try:
        if problem.weights is not None:
            count, small = count_nearly_cancelling(problem, problem.weights, tolerance)
        elif problem.size <= DENSE_UP_TO:
            found = approximate_invariants(problem, tolerance, report)
            count, small = found.basis.shape[1], max(found.kept, default=0.0)
        else:
            found = _by_iteration(problem, tolerance, report, basis)
            count, small = rank + found.basis.shape[1], max(found.kept, default=0.0)
            few = "at least "
    except NotConverged as error:
        raise AmbiguousRank(
            f"the rank of {tensor(problem.atoms)} is ambiguous: it is {rank} for the generators as "
            f"given, and singular values crowd around their precision of "
            f"{problem.group.precision:.1e}. {remedy}"
        ) from error
    if count != rank:
        raise AmbiguousRank(
            f"the rank of {tensor(problem.atoms)} is ambiguous: it is {rank} for the generators as "
            f"given and {few}{count} up to their precision of {problem.group.precision:.1e}; a "
            f"singular value of {small:.1e} may be rounding. {remedy}"
        )


def _dense(problem: Problem, tolerance: float, report: Report) -> Approximate:
    constraints, n = constraints_as_given(problem), problem.size
    triangle: Inexact[np.ndarray, "m n"] = np.zeros((0, n), dtype=problem.dtype)
    lies = len(constraints.lie[0]) if constraints.lie else 0
    for k in range(constraints.count):
        report(Progress(f"svd, generator {k + 1} of {constraints.count}", k / constraints.count))
        if k < lies:
            block = reduce(kron_sum, [stack[k] for stack in constraints.lie])
        else:
            factors = [stack[k - lies] for stack in constraints.discrete]
            block = constraints.weights[k - lies] * (reduce(np.kron, factors) - np.eye(n))
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, block]), mode="r"))
    _, values, rows = np.linalg.svd(triangle / constraints.scale, full_matrices=True)
    values = np.concatenate([values, np.zeros(n - len(values))])
    dropped = int((values > tolerance).sum())
    return _cut(rows[dropped:].conj().T, np.sort(values), n - dropped, "svd", 0)


def _cut(
    basis: Inexact[np.ndarray, "n r"],
    values: Float[np.ndarray, " k"],
    rank: int,
    method: str,
    iterations: int,
) -> Approximate:
    kept = tuple(map(float, values[max(0, rank - SHOWN) : rank]))
    dropped = tuple(map(float, values[rank : rank + SHOWN]))
    return Approximate(basis, kept, dropped, method, iterations)


def _by_iteration(
    problem: Problem, tolerance: float, report: Report, known: Storage | None = None
) -> Approximate:
    """Subspace iteration with the filter σ / (L + σ), applied by conjugate gradients.

    The block grows until its largest Ritz values lie beyond the cut. A known basis Q is
    deflated: it has eigenvalues of at least 1 in L + QQᴴ. Then one more vector is enough.
    """
    n, rng, iterations = problem.size, np.random.default_rng(problem.seed), 0
    constraints = constraints_as_given(problem)

    def energy(x: Inexact[np.ndarray, "n b"]) -> Inexact[np.ndarray, "n b"]:
        moved: Inexact[np.ndarray, "n b"] = gradient(constraints, x)[0] / constraints.scale**2
        return moved if known is None else moved + known.apply(known.adjoint(x))

    width, cut = min(n, _FIRST_BLOCK), tolerance**2
    block = np.zeros((n, 0), dtype=problem.dtype)
    for step in range(_PASSES):
        report(Progress(f"approximate invariants, {width} vectors", step / _PASSES))
        needed = _ARRAYS * n * width * problem.dtype.itemsize
        require_memory(needed, f"an approximate basis of {width:,} or more in {n:,} dimensions")
        new = standard_normal(rng, (n, width - block.shape[1]), problem.dtype)
        block = np.concatenate([block, new], axis=1)
        for _ in range(_FILTERS):
            block, steps = _filtered(energy, np.linalg.qr(block)[0], cut)
            iterations += steps
        block = np.linalg.qr(block)[0]
        image = energy(block)
        gram = block.conj().T @ image
        values, vectors = np.linalg.eigh((gram + gram.conj().T) / 2)
        block, image = block @ vectors, image @ vectors
        rank = int((values <= cut).sum())
        if known is not None and rank:  # a Ritz value is an upper bound, so another vector exists
            found = np.sqrt(np.maximum(values, 0.0))
            return _cut(block[:, :rank], found, rank, "krylov", iterations)
        if rank > width - _GUARDS and width < n:
            width = min(n, 2 * width)
            continue
        errors = np.linalg.norm(image - block * values, axis=0)
        # each Ritz value has an eigenvalue within its error: none may cross the cut unnoticed
        unsure = np.abs(values - cut) <= errors
        if not unsure.any() and np.all(errors[:rank] <= _CONVERGED * cut):
            found = np.sqrt(np.maximum(values, 0.0))
            return _cut(block[:, :rank], found, rank, "krylov", iterations)
    raise NotConverged(
        f"singular values crowd around the tolerance of {tolerance:g} for {tensor(problem.atoms)}: "
        f"{iterations:,} steps did not separate those below it. Choose another tolerance"
    )


def _filtered(
    energy: Callable[[Inexact[np.ndarray, "n b"]], Inexact[np.ndarray, "n b"]],
    block: Inexact[np.ndarray, "n b"],
    shift: float,
) -> tuple[Inexact[np.ndarray, "n b"], int]:
    """Return (L + σ)⁻¹σ applied to a block by conjugate gradients, and the steps."""

    def curve(direction: Inexact[np.ndarray, "n b"]) -> tuple[Array, float]:
        image = energy(direction) + shift * direction
        return image, float(np.vdot(direction, image).real)

    def norm(x: Inexact[np.ndarray, "n b"]) -> float:
        return float(np.linalg.norm(x))

    return conjugate_gradients(
        np.zeros_like(block), shift * block, curve, norm=norm, reduction=_CG, steps=_STEPS
    )
