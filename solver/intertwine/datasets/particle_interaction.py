"""The scattering of an electron and a muon."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from intertwine.datasets.dataset import Dataset
from intertwine.datasets.settings import group_of_size, random_numbers
from intertwine.groups import Group, SO13p
from intertwine.integers import checked_integer
from intertwine.memory import require_memory
from intertwine.reps import Scalar, Vector

METRIC = np.array([1.0, -1.0, -1.0, -1.0])
"""The diagonal of η: time first, as in the catalogue's Lorentz groups."""


class ParticleInteraction(Dataset):
    """The matrix element of electron-muon scattering, 4V → V⁰ (Finzi et al. 2021, §7).

    A point is x = (p, q, p̃, q̃), of shape (16,): the momenta of electron and muon before, and
    of both after the collision, N(0, 1)/4 each and time first; and y of shape (1,) is

        4 [p⁽ᵘp̃ᵛ⁾ − (p·p̃ − p·p) ηᵘᵛ] [q₍ᵤq̃ᵥ₎ − (q·q̃ − q·q) ηᵤᵥ],    a₍ᵤbᵥ₎ = (aᵤbᵥ + aᵥbᵤ)/2.

    Invariant under the Lorentz group O(1, 3), and so under SO⁺(1, 3), the default.

    The variance of y is 3002/4096 = 0.7329. (EMLP's published code leaves the symmetrisation
    out: 3008/4096. With a₍ᵤbᵥ₎ = aᵤbᵥ + aᵥbᵤ it would be 2592/4096.)

    Raises `InvalidSetting` for invalid arguments, `TooLarge` if n points do not fit into memory.
    """

    def __init__(self, n: int = 1024, *, symmetry: Group | None = None, seed: int = 0) -> None:
        n = checked_integer(n, "n, the number of points,", 1)
        seed = checked_integer(seed, "seed")
        group = group_of_size(SO13p() if symmetry is None else symmetry, 4, "ParticleInteraction")
        require_memory(n * (4 * 16 + 8 * 24), f"ParticleInteraction of {n:,} points")
        numbers = random_numbers("ParticleInteraction", seed, n=n)
        X = numbers.standard_normal((n, 16), np.float32) / 4
        super().__init__(
            X,
            self.target(X).astype(np.float32),
            rep_in=4 * Vector,
            rep_out=Scalar,
            symmetry=group,
            settings={"n": n, "seed": seed},
        )

    @staticmethod
    def target(x: Float[np.ndarray, "n 16"]) -> Float64[np.ndarray, "n 1"]:
        """Return the matrix elements of n collisions, for x of shape (n, 16).

        The product of the two tensors, written in scalar products (ηᵘᵛηᵤᵥ = 4).
        """
        p, q, p_after, q_after = np.split(x.astype(np.float64), 4, axis=1)
        electron = _dot(p, p_after) - _dot(p, p)
        muon = _dot(q, q_after) - _dot(q, q)
        straight = _dot(p, q) * _dot(p_after, q_after)
        crossed = _dot(p, q_after) * _dot(p_after, q)
        traces = muon * _dot(p, p_after) + electron * _dot(q, q_after)
        value: Float64[np.ndarray, "n 1"] = (
            2 * (straight + crossed) - 4 * traces + 16 * electron * muon
        )
        return value


def _dot(a: Float64[np.ndarray, "n 4"], b: Float64[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 1"]:
    """Return a·b = aᵘηᵤᵥbᵛ."""
    product: Float64[np.ndarray, " n"] = a * b @ METRIC
    return product[:, None]
