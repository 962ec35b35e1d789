"""Linear systems with a positive semidefinite operator, by conjugate gradients.

This is the only conjugate-gradient loop of the library (Hestenes and Stiefel, 1952). The solvers of
irreps and of invariants restart it in different ways, each for a reason written there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from intertwine.arrays import Array


def conjugate_gradients(
    x: Array,
    residual: Array,
    apply: Callable[[Array], tuple[Array, float]],
    *,
    norm: Callable[[Array], float],
    stop: float,
    steps: int,
    after_step: Callable[[float], None] | None = None,
) -> tuple[Array, int]:
    """Solve Lx = b from the start `x` with the residual b − Lx; return x and the steps taken.

    `apply(d)` returns (Ld, ⟨d, Ld⟩); L is positive semidefinite and b is in its range. A block of
    vectors is one vector here, of Frobenius `norm`: the steps number the different eigenvalues of
    L, not the columns. The iteration ends when the residual's norm is at most `stop`, after
    `steps` steps, or along a direction without curvature. `after_step` gets the norm of the
    residual after each step. Arrays may be NumPy's or JAX's, and none of those given is changed.
    """
    square = norm(residual) ** 2
    direction = residual
    for step in range(steps):
        if sqrt(square) <= stop:
            return x, step
        image, curvature = apply(direction)
        if not curvature > 0:
            return x, step
        length = square / curvature
        x = x + length * direction
        residual = residual - length * image
        square, before = norm(residual) ** 2, square
        direction = residual + (square / before) * direction
        if after_step is not None:
            after_step(sqrt(square))
    return x, steps
