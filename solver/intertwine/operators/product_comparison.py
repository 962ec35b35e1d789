"""Compare a matrix with the product of two others on random vectors (Freivalds 1979).

Products of large matrices take n³ operations; those with a few vectors take n². For D = M − AB and
a vector v of independent standard normal numbers, (Dv)ᵢ is normal with a standard deviation of at
least the largest |Dᵢⱼ| of row i. Its magnitude is less than half of that with a probability of at
most 0.383, and for all 24 independent vectors of at most 1e-10. So twice the largest |(Dv)ᵢ| is an
upper bound on the largest |Dᵢⱼ|, except with a probability of 1e-10. The vectors are fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.operators.base import LinearOperator, dense

PRODUCTS_UP_TO = 256
"""Up to this size, the product itself is computed."""
_VECTORS = 24
_UPPER = 2.0


def bound_on_difference(
    matrix: Inexact[np.ndarray, "n n"],
    factors: Sequence[LinearOperator | Inexact[np.ndarray, "n n"]],
) -> float:
    """Return an upper bound on the largest entry of |M − A₁A₂…|, exact up to `PRODUCTS_UP_TO`.

    Larger matrices are compared on random vectors, as the module's docstring describes. The bound
    is NaN or infinite if an entry is.
    """
    if len(matrix) <= PRODUCTS_UP_TO:
        product = reduce(np.matmul, map(dense, factors))
        return float(np.abs(matrix - product).max(initial=0.0))
    vectors = normal_vectors(len(matrix))
    image = vectors
    for factor in reversed(factors):
        image = factor @ image
    return bound_from_images(matrix @ vectors - image)


def bound_from_images(images: Inexact[np.ndarray, "n k"]) -> float:
    """Return an upper bound on the largest entry of |D|, from D times `normal_vectors`."""
    largest = float(np.abs(images).max(initial=0.0))
    # of a complex entry, the real or the imaginary part is at least 1/√2
    return largest * _UPPER * (np.sqrt(2.0) if np.iscomplexobj(images) else 1.0)


def has_orthonormal_rows(matrix: Inexact[np.ndarray, "m n"], tolerance: float) -> bool:
    """Return whether no entry of |MMᴴ − 1| is larger than the tolerance."""
    if len(matrix) > PRODUCTS_UP_TO:
        vectors = normal_vectors(len(matrix))
        errors = matrix @ (matrix.conj().T @ vectors) - vectors
        if bound_from_images(errors) <= tolerance:
            return True
        # |(Dv)ᵢ| is at most the largest |Dᵢⱼ| times the sum of all |vⱼ|
        if float(np.abs(errors).max() / np.abs(vectors).sum(axis=0).max()) > 2 * tolerance:
            return False
    gram = matrix @ matrix.conj().T
    return float(np.abs(gram - np.eye(len(gram))).max(initial=0.0)) <= tolerance


def normal_vectors(n: int) -> Float[np.ndarray, "n k"]:
    """Return the fixed random vectors of a size."""
    return np.random.default_rng(24).standard_normal((n, _VECTORS))
