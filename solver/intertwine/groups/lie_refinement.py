"""The Lie algebra nearest to a span that is nearly closed, by Gauss–Newton steps."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.errors import TooLarge
from intertwine.groups.lie_closure import close, matrices_from, real_rows
from intertwine.groups.roots_of_unity import EXACT

_ROUNDS = 10
_SETTLED = 1e-14
_RANK = 1e-7  # smaller singular values of the linear equations are dependencies among them
MAX_ENTRIES = 3 * 10**7
"""The largest number of entries in a step's linear equations (240 MB)."""


def nearest_algebra(
    lie: Inexact[np.ndarray, "k d d"],
    discrete: Inexact[np.ndarray, "l d d"],
    rounding: float = 0.0,
) -> Inexact[np.ndarray, "k d d"]:
    """Move the generators into the nearest span that is closed under brackets and under h·h⁻¹.

    The unknown is an orthonormal basis B of the closure; the equations P⊥[Bᵢ, Bⱼ] = 0 and P⊥ hBᵢh⁻¹
    = 0 are solved by steps of least norm, which preserve anti-Hermitian matrices. Generators that
    depend on others up to the known error `rounding` are moved into their span. Raises `TooLarge`
    if there would be too many equations.
    """
    norms = np.linalg.norm(lie, axis=(1, 2), keepdims=True)
    units = lie / np.where(norms > 0, norms, 1.0)
    closure = close(units[norms[:, 0, 0] > 0], discrete, rounding)
    if closure is None:
        raise TooLarge(
            f"{len(lie)} Lie generators of size {lie.shape[-1]} are too many to find the nearest "
            f"closed algebra: give exact entries"
        )
    basis, complex_ = real_rows(closure.basis), np.iscomplexobj(lie)
    if not closure.leaks:
        return matrices_from((real_rows(lie) @ basis.T) @ basis, lie)
    m, n = basis.shape
    rows = (m * (m - 1) // 2 + len(discrete) * m) * n
    if rows * m * n > MAX_ENTRIES:
        raise TooLarge(
            f"the nearest closed algebra of dimension {m} in {lie.shape[-1]} dimensions takes "
            f"equations of {rows * m * n:,} entries; at most {MAX_ENTRIES:,} are solved"
        )
    adjoints = [_adjoint_action(h, complex_) for h in discrete]
    last, straight = np.inf, float(np.abs(lie + _adjoint(lie)).max()) <= EXACT
    for _ in range(_ROUNDS):
        equations, residual = _linearized(basis, adjoints, lie)
        size = float(np.abs(residual).max(initial=0.0))
        if size <= _SETTLED or not size < last:
            break
        last = size
        step = np.linalg.lstsq(equations, -residual, rcond=_RANK)[0].reshape(m, n)
        q, r = np.linalg.qr((basis + step - (step @ basis.T) @ basis).T)
        basis = (q * np.sign(np.diag(r))).T
        if straight:  # the steps preserve this up to rounding, which they magnify
            matrices = matrices_from(basis, lie)
            basis = real_rows((matrices - _adjoint(matrices)) / 2)
    flat = real_rows(lie)
    return matrices_from((flat @ basis.T) @ basis, lie)


def _adjoint(matrices: Inexact[np.ndarray, "m d d"]) -> Inexact[np.ndarray, "m d d"]:
    return np.swapaxes(matrices, 1, 2).conj()


def _linearized(
    basis: Float[np.ndarray, "m n"],
    adjoints: list[Float[np.ndarray, "n n"]],
    lie: Inexact[np.ndarray, "k d d"],
) -> tuple[Float[np.ndarray, "e u"], Float[np.ndarray, " e"]]:
    """Return the equations for a step δB, and the residual that the step should remove."""
    (m, n), complex_ = basis.shape, np.iscomplexobj(lie)
    outside = np.eye(n) - basis.T @ basis
    brackets = [_bracket_action(b, complex_) for b in matrices_from(basis, lie)]
    blocks, residuals = [], []

    def add(image: Float[np.ndarray, " n"], parts: dict[int, Float[np.ndarray, "n n"]]) -> None:
        block = np.zeros((n, m, n))
        for i, part in parts.items():
            block[:, i] += outside @ part
        coefficients = basis @ image
        block -= coefficients[None, :, None] * outside[:, None, :]
        blocks.append(block.reshape(n, m * n))
        residuals.append(outside @ image)

    for i in range(m):
        for j in range(i + 1, m):  # [X, Bⱼ] is brackets[j] X, and [Bᵢ, Y] is −brackets[i] Y
            add(brackets[j] @ basis[i], {i: brackets[j], j: -brackets[i]})
        for action in adjoints:
            add(action @ basis[i], {i: action})
    if not blocks:
        return np.zeros((0, m * n)), np.zeros(0)
    return np.concatenate(blocks), np.concatenate(residuals)


def _bracket_action(b: Inexact[np.ndarray, "d d"], complex_: bool) -> Float[np.ndarray, "n n"]:
    """X ↦ [X, b] on matrices as real vectors."""
    identity = np.eye(len(b))
    return _as_real(np.kron(identity, b.T) - np.kron(b, identity), complex_)


def _adjoint_action(h: Inexact[np.ndarray, "d d"], complex_: bool) -> Float[np.ndarray, "n n"]:
    """X ↦ hXh⁻¹ on matrices as real vectors."""
    return _as_real(np.kron(h, np.linalg.inv(h).T), complex_)


def _as_real(action: Inexact[np.ndarray, "n n"], complex_: bool) -> Float[np.ndarray, "_ _"]:
    if not complex_:
        return action
    return np.block([[action.real, -action.imag], [action.imag, action.real]])
