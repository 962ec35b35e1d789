"""A pendulum of two masses on springs, in three dimensions."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from intertwine.arrays import Array
from intertwine.datasets import spring_mechanics
from intertwine.datasets.dataset import Dataset
from intertwine.datasets.settings import (
    group_of_size,
    positive_number,
    random_numbers,
)
from intertwine.datasets.standardisation import Stats, moments, no_moments
from intertwine.errors import InvalidSetting, TooLarge
from intertwine.groups import Group, O2eR3
from intertwine.integers import checked_integer
from intertwine.memory import require_memory
from intertwine.reps import Scalar, Vector

MAX_TIME = 10_000.0
"""The longest time of a trajectory."""
_MAX_STEPS = 10_000_000
#: Means and deviations of a state's 12 components at time 0: x₁, x₂, p₁, p₂.
_START = np.array([0, 0, -1.5, 0, 0, -3.0, *[0] * 6])
_SPREAD = np.array([0.2] * 6 + [0.4] * 6)


class DoubleSpringPendulum(Dataset):
    """The motion of n pendulums, to learn its Hamiltonian 4V → V⁰ from (Finzi et al. 2021, §7).

    States are z = (x₁, x₂, p₁, p₂), of shape (12,). Each pendulum starts at x₁ = (0, 0, −1.5)
    and x₂ = (0, 0, −3), with N(0, 1)/5 added to each coordinate, and momenta 2N(0, 1)/5, and
    is followed for 30 units of time, at steps of 0.2. The piece kept of it is `chunk_len` steps
    long and begins at a random multiple of `chunk_len`. A point is ``((z0, ts), zs)``: the
    first state of the piece, the times from there on, and the states at these times.

    =============== ===================== ==================================================
    `X`             (n, 12)               the first states z0
    `Y`             (n, chunk_len, 12)    the pieces zs
    `ts`            (chunk_len,)          the times of a piece: 0, 0.2, …, 0.8
    `trajectories`  (n, t, 12)            all of the motion, in float64
    `times`         (t,)                  the times of `trajectories`: 0, 0.2, …, 29.8
    =============== ===================== ==================================================

    Masses, lengths and the weight are 1, as is the stiffness of the upper spring, and of the
    lower one, `k2`. (EMLP's published code leaves out the ½ of the lower spring, which is
    `k2=2`.) Invariant under O(2) turning the first two coordinates, O2eR3, the default.

    Raises `InvalidSetting` for invalid arguments, `TooLarge` for more time than `MAX_TIME`, or if
    n trajectories do not fit into memory.
    """

    def __init__(
        self,
        n: int = 100,
        chunk_len: int = 5,
        dt: float = 0.2,
        integration_time: float = 30.0,
        *,
        k2: float = 1.0,
        symmetry: Group | None = None,
        seed: int = 0,
    ) -> None:
        n = checked_integer(n, "n, the number of pendulums,", 1)
        chunk_len = checked_integer(chunk_len, "chunk_len", 2)
        dt, time = positive_number(dt, "dt"), positive_number(integration_time, "integration_time")
        self.k2 = positive_number(k2, "k2")
        seed = checked_integer(seed, "seed")
        group = group_of_size(O2eR3() if symmetry is None else symmetry, 3, "DoubleSpringPendulum")
        steps = _steps(time, dt, chunk_len)
        require_memory(3 * 8 * 12 * n * steps, f"{n:,} pendulums at {steps:,} times each")
        settings = {"n": n, "chunk_len": chunk_len, "dt": dt, "integration_time": time}
        numbers = random_numbers("DoubleSpringPendulum", seed, **settings)
        z0 = _START + _SPREAD * numbers.standard_normal((n, 12))
        self.times = dt * np.arange(steps)
        self.trajectories = spring_mechanics.trajectories(z0, self.times, self.k2)
        begins = chunk_len * numbers.integers(steps // chunk_len, size=n)
        pieces = self.trajectories[np.arange(n)[:, None], begins[:, None] + np.arange(chunk_len)]
        self.ts = self.times[:chunk_len].astype(np.float32)
        super().__init__(
            pieces[:, 0].astype(np.float32),
            pieces.astype(np.float32),
            rep_in=4 * Vector,
            rep_out=Scalar,
            symmetry=group,
            settings={**settings, "k2": self.k2, "seed": seed},
        )

    def hamiltonian(self, z: Float[Array, "*n 12"]) -> Float[Array, "*n"]:
        """Return the energy of states of shape (…, 12), of NumPy or of JAX."""
        return spring_mechanics.hamiltonian(z, self.k2)

    def dynamics(self, z: Float[Array, "*n 12"]) -> Float[Array, "*n 12"]:
        """Return dz/dt for states of shape (…, 12), of NumPy or of JAX."""
        return spring_mechanics.dynamics(z, self.k2)

    def rollout(
        self, z0: Float[np.ndarray, "n 12"], times: Float[np.ndarray, " t"]
    ) -> Float64[np.ndarray, "n t 12"]:
        """Return the true states at `times` of pendulums that start in z0 at the first of them."""
        return spring_mechanics.trajectories(
            z0.astype(np.float64), times.astype(np.float64), self.k2
        )

    @cached_property
    def stats(self) -> Stats:
        """Means and scales of X; those of the energy are 0 and 1, as the data have no energies."""
        return Stats.rounded(
            *moments(self.X, self.rep_in(self.symmetry)), *no_moments(self.rep_out)
        )

    def __getitem__(self, index: Any) -> tuple[tuple[Any, Any], Any]:
        """Return ((z0, ts), zs); in a batch ts has shape (batch, chunk_len), a copy for each."""
        z0 = self.X[index]
        ts = self.ts if z0.ndim == 1 else np.tile(self.ts, (len(z0), 1))
        return (z0, ts), self.Y[index]


def _steps(time: float, dt: float, chunk_len: int) -> int:
    """Return the number of times of a trajectory."""
    if time > MAX_TIME:
        raise TooLarge(f"integration_time is {time:g}; the longest is {MAX_TIME:g}")
    if not time / dt <= _MAX_STEPS:
        raise TooLarge(f"dt = {dt:g} makes {time / dt:.3g} steps; at most {_MAX_STEPS:,}")
    steps = round(time / dt)
    if steps < chunk_len:
        raise InvalidSetting(
            f"an integration_time of {time:g} has {steps} steps of dt = {dt:g}, fewer than "
            f"chunk_len = {chunk_len}: make it at least {chunk_len * dt:g}"
        )
    return steps
