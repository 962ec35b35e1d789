"""Two masses on springs, one hanging from the other: energy, equations of motion, trajectories."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from intertwine.arrays import Array, namespace
from intertwine.errors import NotConverged

TOLERANCE = 1e-11
"""The error of a step, relative and absolute; after 30 units of time, states are good to 1e-9."""
_TOGETHER = 100  # systems in one integration: few, since its error is the mean of theirs


def hamiltonian(z: Float[Array, "*n 12"], k2: float = 1.0) -> Float[Array, "*n"]:
    """Return H = ‖p₁‖²/2 + ‖p₂‖²/2 + (‖x₁‖ − 1)²/2 + k₂(‖x₂ − x₁‖ − 1)²/2 + e·x₁ + e·x₂.

    e = (0, 0, 1), for states z = (x₁, x₂, p₁, p₂) of shape (…, 12), of NumPy or of JAX.
    """
    xp = namespace(z)
    x1, x2, momenta = z[..., :3], z[..., 3:6], z[..., 6:]
    kinetic = xp.sum(momenta**2, axis=-1) / 2
    upper = (_length(x1)[..., 0] - 1) ** 2 / 2
    lower = k2 * (_length(x2 - x1)[..., 0] - 1) ** 2 / 2
    return kinetic + upper + lower + x1[..., 2] + x2[..., 2]


def dynamics(z: Float[Array, "*n 12"], k2: float = 1.0) -> Float[Array, "*n 12"]:
    """Return dz/dt = J∇H(z), J = [[0, 1], [−1, 0]]: velocities, and forces of springs and weight.

    For states z = (x₁, x₂, p₁, p₂) of shape (…, 12), of NumPy or of JAX.
    """
    xp = namespace(z)
    x1, between = z[..., :3], z[..., 3:6] - z[..., :3]
    upper = (1 - 1 / _length(x1)) * x1
    lower = k2 * (1 - 1 / _length(between)) * between
    weight = xp.asarray([0.0, 0.0, 1.0], dtype=z.dtype)
    return xp.concatenate([z[..., 6:], lower - upper - weight, -lower - weight], axis=-1)


def trajectories(
    z0: Float64[np.ndarray, "n 12"], times: Float64[np.ndarray, " t"], k2: float = 1.0
) -> Float64[np.ndarray, "n t 12"]:
    """Return the states at the times of n systems that start in z0 at the first of them.

    Uses the Runge–Kutta method of order 8 of Dormand and Prince, to `TOLERANCE`. Raises
    `NotConverged` if a step becomes too small.
    """
    groups = [z0[i : i + _TOGETHER] for i in range(0, len(z0), _TOGETHER)]
    return np.concatenate([_integrated(group, times, k2) for group in groups])


def _integrated(
    z0: Float64[np.ndarray, "n 12"], times: Float64[np.ndarray, " t"], k2: float
) -> Float64[np.ndarray, "n t 12"]:
    from scipy.integrate import solve_ivp

    def flat_dynamics(_: float, state: Float64[np.ndarray, " n12"]) -> Float64[np.ndarray, " n12"]:
        velocity: Float64[np.ndarray, "n 12"] = dynamics(state.reshape(z0.shape), k2)
        return velocity.ravel()

    found = solve_ivp(
        flat_dynamics,
        (times[0], times[-1]),
        z0.ravel(),
        method="DOP853",
        t_eval=times,
        rtol=TOLERANCE,
        atol=TOLERANCE,
    )
    if not found.success:
        raise NotConverged(
            f"the pendulums could not be integrated to t = {times[-1]:g}: {found.message}"
        )
    states: Float64[np.ndarray, "n 12 t"] = found.y.reshape(*z0.shape, len(times))
    return np.moveaxis(states, 2, 1)


def _length(vector: Float[Array, "*n 3"]) -> Float[Array, "*n 1"]:
    xp = namespace(vector)
    return xp.sqrt(xp.sum(vector**2, axis=-1, keepdims=True))
