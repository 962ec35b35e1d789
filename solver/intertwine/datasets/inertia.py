"""The moment of inertia of point masses."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from intertwine.datasets.dataset import Dataset
from intertwine.datasets.settings import group_of_size, random_numbers
from intertwine.groups import SO, Group
from intertwine.integers import checked_integer
from intertwine.memory import require_memory
from intertwine.reps import Scalar, T, Vector


class Inertia(Dataset):
    """The moment of inertia of k point masses, kV⁰+kV → V² (Finzi et al. 2021, §7).

    A point is x = (m₁ … m_k, x₁ … x_k), of shape (4k,), with masses softplus(N(0, 1)) and
    positions N(0, 1) in ℝ³, and y = Σ mᵢ(xᵢ·xᵢ 1 − xᵢxᵢᵀ), flattened to shape (9,).
    Equivariant under O(3), and so under SO(3), the default.

    Raises `InvalidSetting` for invalid arguments, `TooLarge` if n points do not fit into memory.
    """

    def __init__(
        self, n: int = 1024, k: int = 5, *, symmetry: Group | None = None, seed: int = 0
    ) -> None:
        n = checked_integer(n, "n, the number of points,", 1)
        k = checked_integer(k, "k, the bodies,", 1)
        seed = checked_integer(seed, "seed")
        group = group_of_size(SO(3) if symmetry is None else symmetry, 3, "Inertia")
        require_memory(n * (4 * 4 * k + 8 * 8 * k + 8 * 4 * 9), f"Inertia of {n:,} points")
        X = random_numbers("Inertia", seed, n=n, k=k).standard_normal((n, 4 * k), np.float32)
        X[:, :k] = np.logaddexp(0, X[:, :k])  # softplus
        super().__init__(
            X,
            self.target(X).astype(np.float32),
            rep_in=k * Scalar + k * Vector,
            rep_out=T(2),
            symmetry=group,
            settings={"n": n, "k": k, "seed": seed},
        )

    @staticmethod
    def target(x: Float[np.ndarray, "n d_in"]) -> Float64[np.ndarray, "n 9"]:
        """Return the moments of inertia of n bodies, for x of shape (n, 4k)."""
        n, k = len(x), x.shape[1] // 4
        masses = x[:, :k].astype(np.float64)
        places = x[:, k:].reshape(n, k, 3).astype(np.float64)
        squares = np.einsum("nk,nki,nki->n", masses, places, places)
        outer = np.einsum("nk,nki,nkj->nij", masses, places, places)
        inertia: Float64[np.ndarray, "n 3 3"] = squares[:, None, None] * np.eye(3) - outer
        return inertia.reshape(n, 9)
