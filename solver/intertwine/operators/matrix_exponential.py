"""The matrix exponential: its only implementation in the library."""

from __future__ import annotations

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
