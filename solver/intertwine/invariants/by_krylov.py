"""The method `krylov`: random vectors projected on the null space by conjugate gradients.

The nearest solution to X is X − L⁺LX for L = CᴴC, and conjugate gradients compute it by applying
C and Cᴴ. A whole block is one vector to the iteration: the number of steps depends on the distinct
eigenvalues of L (for a semisimple algebra essentially the Casimir operator's), not on the columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.arrays import Array, standard_normal
from intertwine.errors import AmbiguousRank, NotConverged
from intertwine.invariants.backends import Backend
from intertwine.invariants.constraints import (
    Constraints,
    adjoint,
    build_constraints,
    gradient,
    images_under,
)
from intertwine.invariants.problem import Problem
from intertwine.invariants.progress import Progress, Report
from intertwine.invariants.tolerances import Tolerances
from intertwine.memory import require_memory
from intertwine.operators import conjugate_gradients
from intertwine.operators.product_comparison import has_orthonormal_rows

FIRST_BLOCK = 16
_STILL_THERE = 0.9  # singular values of an orthonormal basis after its projection
_CLEARLY_ZERO = 1e2  # times `null`: what is left of random vectors without invariants
_ROUNDS = 5
_SPARE = 4  # vectors of a block beyond the expected number of invariants
_ENTRIES = 2_000_000  # of a block
_ARRAYS = 8  # blocks of shape (n, b) alive at once in an iteration
_ROUNDING = 4e-16  # relative violations below this are rounding
_SQUARED_FROM = 16  # blocks of at least n / 16 columns are projected by L as a matrix
_UNITARY = 1e-12  # L needs no product of matrices that are unitary up to this
_FLAT = 0.1  # curvatures below this, relative to the largest
_LARGE_SLOT = 64  # products with the matrices of larger slots have larger rounding errors


@dataclass(frozen=True)
class Found:
    """A null space: its orthonormal basis (n, r), the rank gap, the iterations it took, and notes
    for its certificate.
    """

    basis: Inexact[np.ndarray, "n r"]
    gap: float
    iterations: int
    notes: tuple[str, ...] = ()


def krylov(problem: Problem, backend: Backend, tolerances: Tolerances, report: Report) -> Found:
    """Compute a basis of the invariants from growing blocks of random vectors.

    Blocks are drawn and projected until one is not filled by the null space; known invariants are
    projected out first. Raises `AmbiguousRank` if the projected block's singular values have no
    clear gap, `NotConverged` if the iteration stalls, `TooLarge` if a block would not fit into
    memory.
    """
    n, rng = problem.size, np.random.default_rng(problem.seed)
    require_memory(bytes_needed(problem, min(n, FIRST_BLOCK)), f"krylov for {n:,} dimensions")
    with backend.active():
        constraints = build_constraints(problem, backend, tolerances)
        project = _Projection(constraints, backend, tolerances)
        found = backend.put(np.zeros((n, 0), dtype=problem.dtype))
        width, gap = min(n, FIRST_BLOCK), math.inf
        while True:
            rank = found.shape[1]
            needed = bytes_needed(problem, min(width, n - rank), rank)
            require_memory(needed, f"krylov for {n:,} dimensions of rank {rank:,} or more")
            stage = f"krylov, rank {rank} so far"
            block = standard_normal(rng, (n, min(width, n - rank)), problem.dtype)
            new, gap, share = _extend(
                project, found, backend.put(block), partial(_say, report, stage)
            )
            found = backend.xp.concatenate([found, new], axis=1)
            if new.shape[1] < block.shape[1] or found.shape[1] == n:
                return Found(np.asarray(found), gap, project.iterations)
            width = _next_width(width, share, n - rank, new.shape[1])


def _next_width(width: int, share: float, dimensions: int, known: int) -> int:
    """Return the width of the next block, after a block of `width` new invariants.

    `share` is the part of the block's squared length that the projection kept. For random vectors
    this is near the share of invariants among the dimensions, and gives their number r up to
    sqrt(2r / width). The next block has room for all of them, and is the last one unless it is
    filled. Blocks of many entries only double in width.
    """
    invariants = share * dimensions
    expected = invariants - known + 3 * math.sqrt(2 * invariants / width) + _SPARE
    most = max(2 * width, _ENTRIES // max(1, dimensions))
    return min(most, max(FIRST_BLOCK, math.ceil(expected)))


def orthonormal_invariants(
    problem: Problem,
    basis: Inexact[np.ndarray, "n r"],
    backend: Backend,
    tolerances: Tolerances,
) -> Inexact[np.ndarray, "n r"]:
    """Return an orthonormal basis of nearly invariant vectors, projected once more.

    Of the bases before and after the projection, the one with the smaller violation is returned.
    """
    q, r = np.linalg.qr(basis)
    # make the diagonal positive: rounding would choose the signs of columns that begin with 0
    q = q * np.sign(np.diag(r))
    with backend.active():
        constraints = build_constraints(problem, backend, tolerances)
        if not constraints.count or not q.shape[1]:
            return q
        project = _Projection(constraints, backend, tolerances)
        near = backend.put(q)
        projected = np.asarray(project(near, lambda fraction: None, fine=True))
        if not project.iterations:
            return q  # the violation was rounding already
        u, values, vh = np.linalg.svd(projected, full_matrices=False)
        if not values.min() > _STILL_THERE:  # the iteration lost some invariants
            return q
        better = u @ vh
        before, after = (float(project.gradient(backend.put(x))[1].sum()) for x in (q, better))
        return better if after < before else q


def bytes_needed(problem: Problem, block: int, rank: int = 0) -> int:
    """Estimate the bytes of a block of vectors, with those found before."""
    generators = problem.lie_count + problem.discrete_count
    matrices = generators * sum(size**2 for size in set(problem.sizes))
    if _is_squared(problem.sizes, block):
        matrices += 3 * problem.size**2  # L and the terms of its sum
    return ((_ARRAYS * block + rank) * problem.size + matrices) * problem.dtype.itemsize


def _say(report: Report, stage: str, fraction: float) -> None:
    report(Progress(stage, min(1.0, max(0.0, fraction))))


class _Projection:
    """X ↦ X − L⁺LX on a block, counting the steps."""

    def __init__(self, constraints: Constraints, backend: Backend, tolerances: Tolerances) -> None:
        self.constraints, self.tolerances, self.xp = constraints, tolerances, backend.xp
        self.iterations = 0
        self._rounding = _rounding_of(max(constraints.sizes, default=1))

        def compute(lie: Any, discrete: Any, x: Array) -> tuple[Array, Array]:
            parts = (constraints.sizes, lie, discrete, constraints.weights, constraints.scale)
            return gradient(Constraints(*parts), x)

        compiled = backend.compiled(compute)  # pass matrices as arguments: constants bloat a trace

        def gradient_of(x: Array) -> tuple[Array, Array]:
            found: tuple[Array, Array] = compiled(constraints.lie, constraints.discrete, x)
            return found

        self.gradient = gradient_of

    def __call__(self, x: Array, say: Callable[[float], None], *, fine: bool = False) -> Array:
        """Return the nearest block of solutions, restarting until the residual is rounding.

        Directions in which C has singular values below 1e-8 are kept; with `fine`, those below
        `null`.
        """
        scale, reference, last = max(1.0, self.constraints.scale), self._norm(x), math.inf
        if not self.constraints.count or not x.size:
            return x
        for _ in range(_ROUNDS):
            residual, squares = self.gradient(x)
            violation = math.sqrt(float(squares.sum()))
            error = violation / (scale * reference)
            if not error < last / 4 or error < self._rounding:
                break
            last = error
            floor = self._floor(violation, reference, fine)
            x, steps = conjugate_gradients(
                x,
                -residual,
                self._curve,
                norm=self._norm,
                reduction=self.tolerances.cg,
                floor=floor,
                steps=self.tolerances.steps,
                progress=say,
            )
            self.iterations += steps
            # a small null space leaves little of x: errors are relative to the remainder
            reference = max(self._norm(x), 1e-7 * reference)
        return x

    def in_one_descent(
        self, x: Array, say: Callable[[float], None], *, is_near: bool = False
    ) -> Array:
        """Return a nearly projected block, from L = CᴴC as a matrix, whose products take a fraction
        of the time of those with C and Cᴴ. The result is as accurate as rounding in L allows.

        If the block `is_near` already, its gradient has rounding errors in the null space. The
        descent ends at a direction that consists of such errors, which is almost flat.
        """
        square = self._square
        flat = _FLAT * self.constraints.scale**2 if is_near else 0.0

        def curve(direction: Array) -> tuple[Array, float]:
            image = square @ direction
            curvature = float(np.vdot(direction, image).real)
            return image, curvature if curvature > flat * self._norm(direction) ** 2 else 0.0

        reference = self._norm(x)
        x, steps = conjugate_gradients(
            x,
            -(square @ x),
            curve,
            norm=self._norm,
            reduction=self.tolerances.cg,
            floor=self._floor(0.0, reference, fine=False),
            steps=self.tolerances.steps,
            progress=say,
        )
        self.iterations += steps
        return x

    def is_faster_in_one_descent(self, columns: int) -> bool:
        """Return whether L is known, or worth its computation for a block of this width."""
        is_known = "_square" in self.__dict__
        return is_known or (self.xp is np and _is_squared(self.constraints.sizes, columns))

    @cached_property
    def _square(self) -> Inexact[np.ndarray, "n n"]:
        """L = CᴴC of a problem with one slot."""
        (n,) = self.constraints.sizes
        total = np.zeros((n, n))
        for stack in self.constraints.lie:
            for matrix in stack:
                total = total + adjoint(matrix) @ matrix
        for stack in self.constraints.discrete:
            for matrix, weight in zip(stack, self.constraints.weights, strict=True):
                if weight == 1 and has_orthonormal_rows(matrix, _UNITARY):
                    total = total + 2 * np.eye(n) - matrix - adjoint(matrix)
                    continue
                moved = weight * (matrix - np.eye(n))
                total = total + adjoint(moved) @ moved
        return total

    def exact_columns(self, x: Array) -> int:
        """Return how many of the first columns, of norm 1, violate the constraints only by
        rounding.
        """
        if not self.constraints.count:
            return int(x.shape[1])
        errors = np.sqrt(self._squares(x)) / max(1.0, self.constraints.scale)
        rough = np.flatnonzero(~(errors < self._rounding))
        return int(rough[0]) if len(rough) else int(x.shape[1])

    def _squares(self, x: Array) -> Float[np.ndarray, " b"]:
        """Return ‖Cxⱼ‖² for each column j. NumPy omits CᴴCx, which takes as long again; JAX has
        compiled both together.
        """
        if self.xp is not np:
            return np.asarray(self.gradient(x)[1])
        found: Float[np.ndarray, " b"] = sum(
            (np.abs(image) ** 2).sum(axis=0) for image in images_under(self.constraints, x)
        )
        return found

    def _floor(self, violation: float, reference: float, fine: bool) -> float:
        """Return the size below which a gradient Cᴴ(Cx) is a rounding error, for ‖Cx‖ =
        `violation`.

        Its rounding is relative to ‖Cx‖, not to x: if C is nearly singular, x is still wrong when
        the gradient is a rounding error of x. Eigenvalues that are rounding errors must not be
        resolved, though, before their number is known.
        """
        scale = max(1.0, self.constraints.scale)
        if not fine:
            return 1e-16 * scale**2 * reference
        return max(1e-16 * scale * violation, (self.tolerances.null * scale) ** 2 * reference)

    def _curve(self, direction: Array) -> tuple[Array, float]:
        image, squares = self.gradient(direction)
        return image, float(squares.sum())

    def _norm(self, x: Array) -> float:
        return float(self.xp.linalg.norm(x.ravel()))


def _is_squared(sizes: tuple[int, ...], columns: int) -> bool:
    """Return whether a block is projected by L = CᴴC as a matrix: of one large slot, and wide."""
    return len(sizes) == 1 and sizes[0] > _LARGE_SLOT and columns * _SQUARED_FROM >= sizes[0]


def _rounding_of(slot: int) -> float:
    """Return the relative violation that is rounding, if the largest slot has this size.

    Sums of m products have errors of about ε√m. A further descent would not make them smaller.
    """
    if slot <= _LARGE_SLOT:
        return _ROUNDING
    return max(_ROUNDING, float(np.finfo(float).eps) * math.sqrt(slot) / 3)


def _extend(
    project: _Projection, found: Array, block: Array, say: Callable[[float], None]
) -> tuple[Array, float, float]:
    """Return new orthonormal null vectors in the block, the gap that separates them, and the share
    of the block's squared length that is in the null space.
    """
    xp, tolerances = project.xp, project.tolerances
    block = _without(found, block)
    reference = float(xp.linalg.norm(block.ravel())) / math.sqrt(max(1, block.shape[1]))
    is_wide = project.is_faster_in_one_descent(block.shape[1])
    projected = project.in_one_descent(block, say) if is_wide else project(block, say)
    projected = _without(found, projected)
    q, values = _principal(xp, projected)
    share = float((values**2).sum()) / (reference**2 * block.shape[1])
    kept = int((values > tolerances.distinct * reference).sum())
    if not values[kept:].max(initial=0.0) <= _CLEARLY_ZERO * tolerances.null * reference:
        # parts along small singular values of C vanish now, invariants remain
        q, values = _principal(xp, _without(found, project(projected, say, fine=True)))
    below = float(values[kept:].max(initial=0.0)) / reference
    above = float(values[:kept].min(initial=math.inf)) / reference
    if not (below <= _CLEARLY_ZERO * tolerances.null and above > tolerances.distinct):
        raise AmbiguousRank(
            f"the rank is ambiguous: projected random vectors have singular values {above:.2g} and "
            f"{below:.2g}, with no clear gap. Were the generators rounded? Give more digits, or "
            f"exact entries"
        )
    # small singular values, which are last, magnify errors: project these vectors again
    vectors = q[:, :kept]
    if is_wide:  # … all of them, which takes less time than finding those that need it
        near = project.in_one_descent(vectors, say, is_near=True)
        vectors = xp.linalg.qr(_without(found, near))[0]
    exact = project.exact_columns(vectors)
    vectors, rough = vectors[:, :exact], vectors[:, exact:]
    if exact < kept:
        before = xp.concatenate([found, vectors], axis=1)
        rough = project(project.in_one_descent(rough, say) if is_wide else rough, say)
        rough = xp.linalg.qr(_without(before, rough))[0]
        rough = _polished(project, before, rough, say)
        _check_null(project, rough)
        vectors = xp.concatenate([vectors, rough], axis=1)
    vectors = xp.linalg.qr(_without(found, vectors))[0]
    return vectors, above / below if below else math.inf, share


def _principal(xp: Any, x: Array) -> tuple[Array, Float[np.ndarray, " b"]]:
    """Return the left singular vectors and the singular values of a tall block."""
    q, r = xp.linalg.qr(x)
    u, values, _ = xp.linalg.svd(r, full_matrices=False)
    return q @ u, np.asarray(values)


def _polished(
    project: _Projection, found: Array, vectors: Array, say: Callable[[float], None]
) -> Array:
    """Return new orthonormal null vectors without their parts along small singular values of C.
    Raises `AmbiguousRank` if one of them consists of such parts.
    """
    if not vectors.shape[1]:
        return vectors
    xp = project.xp
    fine, r = xp.linalg.qr(_without(found, project(vectors, say, fine=True)))
    least = float(xp.linalg.svd(r, compute_uv=False).min())
    if not least > _STILL_THERE:
        raise AmbiguousRank(
            f"the rank is ambiguous: a vector that nearly satisfies the constraints keeps "
            f"{least:.2g} of its length when small singular values are resolved. Were the "
            f"generators rounded? Give more digits, or exact entries"
        )
    return fine


def _without(found: Array, block: Array) -> Array:
    """Return the block's part orthogonal to `found`; projected twice, against rounding."""
    for _ in range(2 if found.shape[1] else 0):
        block = block - found @ (found.conj().T @ block)
    return block


def _check_null(project: _Projection, vectors: Array) -> None:
    """Raise if a vector violates the constraints, as after a slow iteration."""
    if not vectors.shape[1] or not project.constraints.count:
        return
    _, squares = project.gradient(vectors)
    residual = math.sqrt(float(squares.sum()))
    if residual <= project.tolerances.null * max(1.0, project.constraints.scale) * math.sqrt(
        vectors.shape[1]
    ):
        return
    if residual >= project.tolerances.distinct:
        raise NotConverged(
            f"conjugate gradients stalled with a residual of {residual:.2g} after "
            f"{project.iterations:,} steps; try method='svd' if the rep is small"
        )
    raise AmbiguousRank(
        f"the rank is ambiguous: vectors violate the constraints by {residual:.2g}, neither "
        f"rounding nor clearly more. Were the generators rounded? Give more digits, or exact "
        f"entries"
    )
