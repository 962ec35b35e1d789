"""The exponential of matrices: the one place where it is computed."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Inexact


def exponential(
    matrices: Inexact[np.ndarray, "*k d d"],
    symmetry: Literal["none", "hermitian", "antihermitian"] = "none",
) -> Inexact[np.ndarray, "*k d d"]:
    """exp of a square matrix, or of each of a stack; real matrices have real exponentials.

    `symmetry` is a promise about all the matrices. With one, eigenvectors of a Hermitian matrix
    give the exponential: faster than the general method, without SciPy, and Hermitian or unitary
    to rounding.
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
