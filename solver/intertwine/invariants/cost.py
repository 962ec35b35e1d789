"""Estimate the cost of a solve before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from intertwine.invariants import by_krylov, by_orbits, by_svd
from intertwine.invariants.auto import choose_methods
from intertwine.invariants.problem import Problem, problems_of
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.syntax import Rep

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
    costs = [_cost(problem, choose_methods(problem, method)[0]) for problem in different.values()]
    operations = sum(cost.operations for cost in costs) + rep.size()
    # reordering a rep takes two integers per dimension
    return Cost(operations, max((cost.memory for cost in costs), default=0) + 16 * rep.size())


def _cost(problem: Problem, method: str) -> Cost:
    n, generators = float(problem.size), problem.lie_count + problem.discrete_count
    if method == "orbits":
        return Cost(20 * n * max(1, generators), by_orbits.bytes_needed(problem))
    if method == "irreps":  # a few matrices of the size of an irrep times a slot
        step = float(max(problem.sizes, default=1)) ** 2
        return Cost(1e3 * (generators + 1) * step**2 + n, int(16 * step**2) + 2**20)
    if method == "svd":
        return Cost(4 * n**3 * (generators + 5), by_svd.bytes_needed(problem))
    slots = sum(problem.sizes)
    block = int(min(n, by_krylov.FIRST_BLOCK))
    flops = 4 * n * block * slots * generators * _STEPS
    return Cost(flops, by_krylov.bytes_needed(problem, block))
