"""The derivative of a user-defined rep that only defines ρ."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import is_jax
from intertwine.errors import InvalidRep
from intertwine.operators import dense, exponential
from intertwine.operators.matrix_exponential import estimated_norm
from intertwine.operators.product_comparison import (
    PRODUCTS_UP_TO,
    has_orthonormal_rows,
    normal_vectors,
)

if TYPE_CHECKING:
    from intertwine.reps.syntax import Element, Rep

_STEP = 2.0**-4
_NEAR_IDENTITY = 0.25
_NEAR_FOR_DIFFERENCES = 0.1
_HALVED = 40
_ORDER = 6  # steps in each direction
_MULTIPLICATIVE = 1e-6
_UNITARY = 5e-12


def differentiate(rep: Rep, A: Element) -> Inexact[Any, "n n"]:
    """Return dρ(A), the derivative of t ↦ ρ(exp tA) at t = 0.

    JAX arrays are differentiated by JAX. For NumPy arrays ρ(exp tA) = exp(t dρ(A)) is solved for
    dρ(A) at a small t: by a logarithm near the identity, or by differences if the matrix is large.
    Both are exact up to rounding, so ρ need not be differentiable code. Raises `InvalidRep` if ρ is
    not multiplicative along exp tA.
    """
    from intertwine.reps.syntax import element_of

    matrix = dense(element_of(rep, A))
    if is_jax(matrix):
        import jax
        import jax.numpy as jnp

        identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
        try:
            return jax.jvp(lambda g: dense(rep.rho(g)), (identity,), (matrix,))[1]
        except jax.errors.TracerArrayConversionError:
            if isinstance(matrix, jax.core.Tracer):
                raise
            # ρ uses NumPy and cannot be traced
            return jnp.asarray(_derivative(rep, np.asarray(matrix)), matrix.dtype)
    return _derivative(rep, np.asarray(matrix))


def _derivative(rep: Rep, matrix: Inexact[np.ndarray, "d d"]) -> Inexact[np.ndarray, "n n"]:
    from intertwine.reps.own_matrices import matrix_of

    def image(t: float) -> Inexact[np.ndarray, "n n"]:
        found: Inexact[np.ndarray, "n n"] = matrix_of(rep, "rho", exponential(t * matrix))
        return found

    norm = float(np.linalg.norm(matrix, 2)) or 1.0
    if rep.size() > PRODUCTS_UP_TO:
        return _by_differences(rep, image, _STEP / norm)
    return _by_logarithm(rep, image, _STEP / norm)


def _by_logarithm(
    rep: Rep, image: Callable[[float], Inexact[np.ndarray, "n n"]], t: float
) -> Inexact[np.ndarray, "n n"]:
    from scipy.linalg import logm

    identity = np.eye(len(image(0.0)))
    if not len(identity):
        return identity
    for _ in range(_HALVED):
        step = image(t)
        if np.linalg.norm(step - identity, 2) <= _NEAR_IDENTITY:
            break
        t /= 2
    else:
        raise _not_continuous(rep)
    if not np.linalg.norm(image(2 * t) - step @ step, 2) <= _MULTIPLICATIVE:
        raise _not_multiplicative(rep)
    logarithm = logm(step) / t
    return logarithm if np.iscomplexobj(step) else np.real(logarithm)


def _by_differences(
    rep: Rep, image: Callable[[float], Inexact[np.ndarray, "n n"]], t: float
) -> Inexact[np.ndarray, "n n"]:
    """Return dρ(A) from ρ(exp ktA) for k = ±1, …, ±6 by the central difference of order 12, which
    takes n² operations; the logarithm takes n³.

    For ‖t dρ(A)‖ ≤ 1/8 its error is below rounding. If ρ(exp tA) is unitary, the images for −k are
    the adjoints of those for k.
    """
    for _ in range(_HALVED):
        step = image(t)
        change = step.copy()
        change[np.diag_indices(len(change))] -= 1
        if estimated_norm(change) <= _NEAR_FOR_DIFFERENCES:
            break
        t /= 2
    else:
        raise _not_continuous(rep)
    second = image(2 * t)
    vectors = normal_vectors(len(step))
    error = second @ vectors - step @ (step @ vectors)
    # the root mean square over the vectors is about the Frobenius norm
    if not np.linalg.norm(error) / np.sqrt(vectors.shape[1]) <= _MULTIPLICATIVE / 2:
        raise _not_multiplicative(rep)
    is_unitary = has_orthonormal_rows(step, _UNITARY)
    total = np.zeros_like(step)
    for k in range(1, _ORDER + 1):
        ahead = {1: step, 2: second}[k] if k <= 2 else image(k * t)
        behind = ahead.conj().T if is_unitary else image(-k * t)
        weight = factorial(_ORDER) ** 2 / (k * factorial(_ORDER - k) * factorial(_ORDER + k))
        total = total - (-1) ** k * weight * (ahead - behind)
    found: Inexact[np.ndarray, "n n"] = total / t
    return found


def _not_continuous(rep: Rep) -> InvalidRep:
    return InvalidRep(f"rho of {rep!r} does not tend to the identity along exp(tA)")


def _not_multiplicative(rep: Rep) -> InvalidRep:
    return InvalidRep(f"rho of {rep!r} is not multiplicative: ρ(exp 2tA) ≠ ρ(exp tA)²")
