"""The method `svd`: the null space of the dense constraint matrix.

For small problems, and as a reference in tests.
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from intertwine.errors import AmbiguousRank
from intertwine.invariants.backends import Backend
from intertwine.invariants.by_krylov import Found
from intertwine.invariants.constraints import build_constraints
from intertwine.invariants.problem import Problem
from intertwine.invariants.progress import Progress, Report
from intertwine.invariants.tolerances import Tolerances
from intertwine.memory import require_memory


def svd(problem: Problem, backend: Backend, tolerances: Tolerances, report: Report) -> Found:
    """Return the right singular vectors of C whose singular values vanish.

    C is reduced to a triangle of shape (n, n) block by block, so that the memory is a few n × n
    matrices for any number of generators. Raises `AmbiguousRank` for singular values that are
    neither zero nor clearly nonzero.
    """
    n, xp = problem.size, backend.xp
    require_memory(bytes_needed(problem), f"svd for {n:,} dimensions")
    with backend.active():
        constraints = build_constraints(problem, backend, tolerances)
        triangle = xp.zeros((0, n), dtype=problem.dtype)
        for k in range(constraints.count):
            report(
                Progress(f"svd, generator {k + 1} of {constraints.count}", k / constraints.count)
            )
            lies = len(constraints.lie[0]) if constraints.lie else 0
            if k < lies:
                block = reduce(
                    lambda a, b: xp.kron(a, xp.eye(len(b))) + xp.kron(xp.eye(len(a)), b),
                    [stack[k] for stack in constraints.lie],
                )
            else:
                factors = [stack[k - lies] for stack in constraints.discrete]
                weight = constraints.weights[k - lies]
                block = weight * (reduce(xp.kron, factors, xp.eye(1)) - xp.eye(n))
            triangle = xp.linalg.qr(xp.concatenate([triangle, block]), mode="r")
        if not constraints.count:
            return Found(np.eye(n, dtype=problem.dtype), math.inf, 0)
        _, values, rows = xp.linalg.svd(triangle, full_matrices=True)
        values, rows = np.asarray(values), np.asarray(rows)
    scale = max(1.0, constraints.scale)
    zero, nonzero = values <= tolerances.null * scale, values >= tolerances.distinct * scale
    if not np.all(zero | nonzero):
        doubtful = values[~(zero | nonzero)] / scale
        raise AmbiguousRank(
            f"the rank is ambiguous: there are {doubtful.size} singular values from "
            f"{doubtful[-1]:.2g} to {doubtful[0]:.2g} (relative to the generators), neither zero "
            f"(below {tolerances.null:.0e}) nor clearly not (above {tolerances.distinct:.0e}). "
            f"Were the generators rounded? Give more digits, or exact entries"
        )
    below = float(values[zero].max(initial=0.0))
    gap = float(values[nonzero].min(initial=math.inf)) / below if below else math.inf
    return Found(rows[int(nonzero.sum()) :].conj().T, gap, 0)


def bytes_needed(problem: Problem) -> int:
    """Estimate the bytes that the method needs: several n × n matrices at once."""
    generators = problem.lie_count + problem.discrete_count
    matrices = generators * sum(size**2 for size in set(problem.sizes))
    return (6 * problem.size**2 + matrices) * problem.dtype.itemsize
