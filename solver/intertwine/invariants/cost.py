"""Estimate the cost of a solve before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, prod

from intertwine.invariants import by_krylov, by_orbits, by_svd
from intertwine.invariants.auto import expected_method
from intertwine.invariants.problem import Problem, problems_of
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.syntax import Rep

_SPLITTING = 30  # products of matrices, for all irreps before the last slot together
_WORK = 8  # matrices besides the generators'
_PATTERNS = 1e5  # operations for all patterns of equal indices
_STEPS = 60  # conjugate gradient steps, with restarts, for most groups


@dataclass(frozen=True)
class Cost:
    """An estimate: floating-point or integer operations, and peak memory in bytes."""

    operations: float
    memory: int


def estimate(rep: Rep, method: str = "auto") -> Cost:
    """Estimate the cost of solving a concrete rep. For `krylov`, whose cost grows with the rank,
    the result is a lower bound: the cost of its first block.
    """
    different = {
        problem.atoms: problem for _, term in canonical_terms(rep) for problem in problems_of(term)
    }
    costs = [_cost(problem, expected_method(problem, method)) for problem in different.values()]
    operations = sum(cost.operations for cost in costs) + rep.size()
    # reordering a rep takes two integers per dimension
    return Cost(operations, max((cost.memory for cost in costs), default=0) + 16 * rep.size())


def estimate_decomposition(rep: Rep) -> Cost:
    """Estimate the cost of decomposing a concrete rep of one group into irreps.

    The sizes of the irreps are not known in advance; see `_splitting`.
    """
    costs = [
        _splitting(
            [atom.size() for atom in atoms], len(group.lie_generators), len(group.group_generators)
        )
        for _, atoms in canonical_terms(rep)
        for group in {atom.G for atom in atoms}
    ]
    operations = sum(cost.operations for cost in costs)
    return Cost(operations, max((cost.memory for cost in costs), default=0))


def _splitting(sizes: Sequence[int], lie: int, discrete: int) -> Cost:
    """Return the cost of splitting λ ⊗ slot for the largest irrep λ before the last slot.

    For a Lie group, the size of λ is estimated by that of the symmetric power of as many slots. For
    a finite group the result is a lower bound: its irreps may be as small as those of an abelian
    group.
    """
    largest, before = max(sizes, default=1), max(len(sizes) - 1, 1)
    irrep = comb(largest + before - 1, before) if lie else 1
    step = float(min(irrep * largest, prod(sizes)))
    matrices = 16 * step**2  # complex
    return Cost(
        _SPLITTING * (lie + discrete + 1) * step**3, int(matrices * (lie + discrete + _WORK))
    )


def _cost(problem: Problem, method: str) -> Cost:
    n, generators = float(problem.size), problem.lie_count + problem.discrete_count
    if method == "orbits" and by_orbits.by_patterns(problem):
        return Cost(_PATTERNS, by_orbits.bytes_needed(problem))
    if method == "orbits":
        return Cost(20 * n * max(1, generators), by_orbits.bytes_needed(problem))
    if method == "irreps":  # it splits no irrep that the invariants do not need
        step = float(max(problem.sizes, default=1)) ** 2
        return Cost(1e3 * (generators + 1) * step**2 + n, int(16 * step**2) + 2**20)
    if method == "svd":
        return Cost(4 * n**3 * (generators + 5), by_svd.bytes_needed(problem))
    slots = sum(problem.sizes)
    block = int(min(n, by_krylov.FIRST_BLOCK))
    flops = 4 * n * block * slots * generators * _STEPS
    return Cost(flops, by_krylov.bytes_needed(problem, block))
