"""The Lie algebra of a group: its dimension, its centre and its Killing form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from intertwine.groups.group import Group
from intertwine.groups.lie_closure import close, matrices_from, real_rows
from intertwine.operators import dense

_ZERO = 1e-8
"""Eigenvalues and singular values below this, relative to the largest, are zero."""
_MOST = 48
"""The largest dimension whose brackets are computed."""


@dataclass(frozen=True)
class LieAlgebra:
    """Properties of a real Lie algebra 𝔤 of matrices.

    `dimension` is that over ℝ, `centre` is the dimension of {X : [X, Y] = 0 for all Y}. `signature`
    counts the positive and the negative eigenvalues of the Killing form tr(ad X ad Y).
    """

    dimension: int
    centre: int
    signature: tuple[int, int]

    @property
    def is_semisimple(self) -> bool:
        """Whether the Killing form is nondegenerate (Cartan's criterion)."""
        return 0 < self.dimension == sum(self.signature)

    @property
    def is_abelian(self) -> bool:
        """Whether all brackets vanish."""
        return self.centre == self.dimension


def lie_algebra(group: Group) -> LieAlgebra | None:
    """Return the Lie algebra that a group's Lie generators generate, in its connected component.

    It is computed in floating point. None if the generators are not clearly closed under brackets,
    or if the algebra has more than 48 dimensions or would take too long.
    """
    matrices = [np.asarray(dense(generator)) for generator in group.lie_generators]
    units = [a / np.linalg.norm(a) for a in matrices if np.any(a)]
    if not units:
        return LieAlgebra(0, 0, (0, 0))
    lie = np.array(units)
    closure = close(lie, np.zeros((0, group.d, group.d)))
    if closure is None or closure.leaks or len(closure.basis) > _MOST:
        return None
    basis = matrices_from(real_rows(closure.basis), lie)
    rows = real_rows(basis)
    products = basis[:, None] @ basis[None]
    brackets = products - products.swapaxes(0, 1)
    m = len(basis)
    constants = (real_rows(brackets.reshape(m * m, *basis.shape[1:])) @ rows.T).reshape(m, m, m)
    killing = np.einsum("ajk,bkj->ab", constants, constants)
    values = np.linalg.eigvalsh((killing + killing.T) / 2)
    return LieAlgebra(
        dimension=m,
        centre=m - _rank(constants.reshape(m, m * m)),
        signature=(int(np.sum(values > _ZERO)), int(np.sum(values < -_ZERO))),
    )


def _rank(matrix: Float[np.ndarray, "m n"]) -> int:
    return int(np.sum(np.linalg.svd(matrix, compute_uv=False) > _ZERO))
