"""The basic operation: project maps on the equivariant ones, by conjugate gradients."""

from __future__ import annotations

from math import inf

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import Array, standard_normal
from intertwine.irreps.actions import Action, norm
from intertwine.operators import conjugate_gradients

_ROUNDS = 4
_STEPS = 5000
_REDUCTION = 1e-14  # a descent ends at this fraction of its first gradient
_ROUNDING = 4e-16  # the smallest relative residual that a descent reaches
_REMAINS = 1e-7  # a block whose remainder is below this fraction counts as zero


def project(
    target: Action, source: Action, block: Inexact[np.ndarray, "m b n"]
) -> Inexact[np.ndarray, "m b n"]:
    """Return the equivariant maps source → target nearest to the maps block[:, j] of shape (m, n).

    X − L⁺LX for L = CᴴC and CX = M₂X − XM₁. The block is one vector to conjugate gradients:
    L ⊗ 1 has the eigenvalues of L, so the steps do not grow with b. Descents are repeated until
    the residual is rounding, relative to generators of norm 1.
    """
    m, b, n = block.shape
    scale = target.scale + source.scale
    if not scale:
        return block.copy()
    x = block
    scale = max(1.0, scale)

    def constrain(x: Inexact[np.ndarray, "m b n"]) -> Inexact[np.ndarray, "K mb n"]:
        found = target.left(x.reshape(m, b * n)).reshape(target.count, m * b, n)
        found -= source.right(x.reshape(m * b, n))
        return found

    def back(y: Inexact[np.ndarray, "K mb n"]) -> Inexact[np.ndarray, "m b n"]:
        found = target.left_adjoint(y.reshape(target.count, m, b * n)).reshape(m, b, n)
        found -= source.right_adjoint(y).reshape(m, b, n)
        return found

    def curve(direction: Inexact[np.ndarray, "m b n"]) -> tuple[Array, float]:
        image = constrain(direction)
        return back(image), norm(image) ** 2

    # `by_krylov` also restarts, but relative to the remainder of a block, however small, since it
    # decides a rank. Here the rank is known otherwise, and a vanishing block is done.
    reference, last = norm(x), inf
    for _ in range(_ROUNDS):
        violation = constrain(x)
        residual = norm(violation) / (scale * reference) if reference else 0.0
        if residual < _ROUNDING or not residual <= last / 4:
            break
        last = residual
        x, _ = conjugate_gradients(
            x,
            -back(violation),
            curve,
            norm=norm,
            reduction=_REDUCTION,
            # also a fixed scale, or it would resolve eigenvalues that are rounding errors
            floor=1e-16 * scale**2 * reference,
            steps=_STEPS,
        )
        if norm(x) > _REMAINS * reference:
            reference = norm(x)
    return x


def random_block(
    seed: tuple[int, ...], shape: tuple[int, ...], dtype: np.dtype[np.inexact]
) -> Inexact[np.ndarray, "..."]:
    """Draw standard normal numbers, complex if the dtype is; a seed fixes them."""
    return standard_normal(np.random.default_rng(seed), shape, dtype)
