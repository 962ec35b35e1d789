"""The matrix exponential and its products with vectors: the library's only implementation."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from jaxtyping import Inexact


def exponential(
    matrices: Inexact[np.ndarray, "*k d d"],
    symmetry: Literal["none", "hermitian", "antihermitian"] = "none",
) -> Inexact[np.ndarray, "*k d d"]:
    """Return exp of a square matrix, or of each in a stack; real matrices give real exponentials.

    `symmetry` asserts a symmetry of all the matrices. With it, the exponential is computed from the
    eigenvectors of a Hermitian matrix: faster than the general method, without SciPy, and Hermitian
    or unitary up to rounding.
    """
    if symmetry == "none":
        from scipy.linalg import expm

        general: Inexact[np.ndarray, "*k d d"] = expm(matrices) if matrices.size else matrices
        return general
    if symmetry == "hermitian":
        values, vectors = np.linalg.eigh(matrices)
        factors = np.exp(values)
    else:
        values, vectors = np.linalg.eigh(1j * matrices)
        factors = np.exp(-1j * values)
    adjoints = np.swapaxes(vectors, -1, -2).conj()
    found: Inexact[np.ndarray, "*k d d"] = (vectors * factors[..., None, :]) @ adjoints
    return found if np.iscomplexobj(matrices) else found.real


def exponential_times(
    matrix: Inexact[np.ndarray, "n n"],
    block: Inexact[np.ndarray, "n k"],
    norm: float | None = None,
) -> Inexact[np.ndarray, "n k"]:
    """Return exp(A) B for a block of a few vectors, without exp(A), to about ten digits.

    The Taylor series of exp(A/m) is summed m times, for an m near ‖A‖ / 4. Its terms may be e⁴
    times as large as its sum, or e⁸ times if A is not normal. `norm` estimates ‖A‖; without it, a
    few power iterations do. The series converges also if the estimate is poor.
    """
    norm = estimated_norm(matrix) if norm is None else norm
    steps = max(1, math.ceil(norm / _LONGEST_STEP))
    found = block
    for _ in range(steps):
        term, total, degree = found, found, 0
        while float(np.abs(term).max(initial=0.0)) > _SMALL * float(np.abs(total).max(initial=0.0)):
            degree += 1
            term = matrix @ term / (degree * steps)
            total = total + term
        found = total
    return found


def estimated_norm(matrix: Inexact[np.ndarray, "m n"]) -> float:
    """Return a lower bound on the spectral norm, usually within a tenth of it.

    It is the result of power iterations on a fixed random block of vectors, which end early when
    the bound hardly grows.
    """
    scale = float(np.abs(matrix).max(initial=0.0))
    if not scale:
        return 0.0
    block = np.random.default_rng(4).standard_normal((matrix.shape[1], _POWERED))
    found = 0.0
    for _ in range(_POWER_STEPS):
        norms = np.linalg.norm(block, axis=0)
        image = matrix @ (block / np.where(norms > 0, norms, 1.0)) / scale
        before, found = found, float(np.linalg.norm(image, axis=0).max())
        if found <= before * (1 + _GROWTH):
            break
        block = matrix.conj().T @ image / scale
    return scale * found


_LONGEST_STEP = 4.0  # the norm of A/m
_SMALL = 1e-12  # terms of the series that are left out, relative to its sum
_GROWTH = 1e-3  # of the estimate in a step of the power iteration
_POWERED, _POWER_STEPS = 4, 12  # vectors and steps of the power iteration
