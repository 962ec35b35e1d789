"""The derivative of a user-defined rep that only defines ρ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import is_jax
from intertwine.errors import InvalidRep
from intertwine.operators import dense, exponential

if TYPE_CHECKING:
    from intertwine.reps.syntax import Element, Rep

_STEP = 2.0**-4
_NEAR_IDENTITY = 0.25


def differentiate(rep: Rep, A: Element) -> Inexact[Any, "n n"]:
    """Return dρ(A), the derivative of t ↦ ρ(exp tA) at t = 0.

    JAX arrays are differentiated by JAX. For NumPy arrays ρ(exp tA) = exp(t dρ(A)) is solved for
    dρ(A) at a small t: a logarithm near the identity, exact up to rounding, so ρ need not be
    differentiable code. Raises `InvalidRep` if ρ is not multiplicative along exp tA.
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
            # ρ uses NumPy and cannot be traced; the logarithm needs no tracing
            return jnp.asarray(_logarithmic_derivative(rep, np.asarray(matrix)), matrix.dtype)
    return _logarithmic_derivative(rep, np.asarray(matrix))


def _logarithmic_derivative(
    rep: Rep, matrix: Inexact[np.ndarray, "d d"]
) -> Inexact[np.ndarray, "n n"]:
    from scipy.linalg import logm

    from intertwine.reps.generator_images import matrix_of

    def image(t: float) -> Inexact[np.ndarray, "n n"]:
        found: Inexact[np.ndarray, "n n"] = matrix_of(rep, "rho", exponential(t * matrix))
        return found

    identity = np.eye(len(image(0.0)))
    if not len(identity):
        return identity
    norm = float(np.linalg.norm(matrix, 2)) or 1.0
    t = _STEP / norm
    for _ in range(40):
        step = image(t)
        if np.linalg.norm(step - identity, 2) <= _NEAR_IDENTITY:
            break
        t /= 2
    else:
        raise InvalidRep(f"rho of {rep!r} does not tend to the identity along exp(tA)")
    if not np.linalg.norm(image(2 * t) - step @ step, 2) <= 1e-6:
        raise InvalidRep(f"rho of {rep!r} is not multiplicative: ρ(exp 2tA) ≠ ρ(exp tA)²")
    logarithm = logm(step) / t
    return logarithm if np.iscomplexobj(step) else np.real(logarithm)
