"""Linear systems with a positive semidefinite operator, by conjugate gradients.

This is the only conjugate-gradient loop of the library (Hestenes and Stiefel, 1952). The solvers of
irreps and of invariants restart it in different ways, for reasons documented there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

from intertwine.arrays import Array


def conjugate_gradients(
    x: Array,
    residual: Array,
    apply: Callable[[Array], tuple[Array, float]],
    *,
    norm: Callable[[Array], float],
    reduction: float,
    floor: float = 0.0,
    steps: int,
    progress: Callable[[float], None] | None = None,
) -> tuple[Array, int]:
    """Solve Lx = b from the start `x` with the residual b − Lx; return x and the steps taken.

    `apply(d)` returns (Ld, ⟨d, Ld⟩); L is positive semidefinite and b is in its range. A block of
    vectors is treated as one vector, of Frobenius `norm`: the number of steps depends on the
    distinct eigenvalues of L, not on the columns. The iteration ends when the residual's norm is at
    most `reduction` times the first, or at most `floor`; after `steps` steps; or along a direction
    without curvature. After each step `progress` gets the fraction of the digits reached. Arrays
    may be NumPy's or JAX's; the arguments are not modified.
    """
    first = norm(residual)
    square, stop = first**2, max(reduction * first, floor)
    direction = residual
    for step in range(steps):
        if sqrt(square) <= stop:
            return x, step
        image, curvature = apply(direction)
        if not curvature > 0:
            return x, step
        length = square / curvature
        if step:
            x += length * direction  # in place in NumPy: x was allocated in the first step
        else:
            x = x + length * direction
        residual = residual - length * image
        square, before = norm(residual) ** 2, square
        direction = residual + (square / before) * direction
        if progress is not None and square > 0:
            progress(log(first / sqrt(square)) / log(first / stop))
    return x, steps
