"""An invariant of two vectors in five dimensions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from intertwine.datasets.dataset import Dataset
from intertwine.datasets.settings import group_of_size, random_numbers
from intertwine.groups import Group, O
from intertwine.integers import checked_integer
from intertwine.memory import require_memory
from intertwine.reps import Scalar, Vector


class O5Synthetic(Dataset):
    """sin‖x₁‖ − ‖x₂‖³/2 + x₁·x₂/(‖x₁‖‖x₂‖), 2V → V⁰ (Finzi et al. 2021, §7).

    A point is x = (x₁, x₂), of shape (10,), N(0, 1) each, and y of shape (1,). Invariant under
    O(5), the default.

    Raises `InvalidSetting` for invalid arguments, `TooLarge` if n points do not fit into memory.
    """

    def __init__(self, n: int = 1024, *, symmetry: Group | None = None, seed: int = 0) -> None:
        n = checked_integer(n, "n, the number of points,", 1)
        seed = checked_integer(seed, "seed")
        group = group_of_size(O(5) if symmetry is None else symmetry, 5, "O5Synthetic")
        require_memory(n * (4 * 10 + 8 * 15), f"O5Synthetic of {n:,} points")
        X = random_numbers("O5Synthetic", seed, n=n).standard_normal((n, 10), np.float32)
        super().__init__(
            X,
            self.target(X).astype(np.float32),
            rep_in=2 * Vector,
            rep_out=Scalar,
            symmetry=group,
            settings={"n": n, "seed": seed},
        )

    @staticmethod
    def target(x: Float[np.ndarray, "n 10"]) -> Float64[np.ndarray, "n 1"]:
        """Return the function of n pairs of vectors, for x of shape (n, 10)."""
        first, second = np.split(x.astype(np.float64), 2, axis=1)
        r1, r2 = (np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second))
        cosine = np.sum(first * second, axis=1, keepdims=True) / (r1 * r2)
        value: Float64[np.ndarray, "n 1"] = np.sin(r1) - r2**3 / 2 + cosine
        return value
