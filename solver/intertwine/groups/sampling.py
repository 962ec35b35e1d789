"""Random elements of a group."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Num

from intertwine.errors import TooLarge
from intertwine.groups.generators import Generator
from intertwine.operators import Permutation, as_signed_permutation, dense, exponential

MAX_SAMPLED = 10**8
"""The largest number of matrix entries sampled at once (0.8 GB of float64)."""
_ROUNDS = 3
_POWERS = (-5, 5)


def sample_elements(
    d: int,
    lie_algebra: tuple[Generator, ...],
    discrete: tuple[Generator, ...],
    z_scale: Any,
    n: int,
    seed: int,
) -> Num[np.ndarray, "n d d"]:
    """Return n products of an exponential and random powers of the discrete generators.

    Sampling follows EMLP (Finzi et al. 2021): normal coordinates in the Lie algebra, then
    three rounds of powers k ∈ [−5, 5) of all discrete generators in a random order.
    """
    if n * d * d > MAX_SAMPLED:
        raise TooLarge(f"{n:,} samples of size {d:,} have more than {MAX_SAMPLED:,} entries")
    rng = np.random.default_rng(seed)
    elements = np.broadcast_to(np.eye(d), (n, d, d))
    if lie_algebra:
        coordinates = rng.standard_normal((n, len(lie_algebra)))
        if z_scale is not None:
            coordinates = coordinates * np.asarray(z_scale)
        algebra = np.stack([np.asarray(dense(a)) for a in lie_algebra])
        elements = exponential(np.tensordot(coordinates, algebra, axes=1))
    if not discrete or not n:
        return np.array(elements)
    permutations = [as_signed_permutation(h) for h in discrete]
    return np.stack([_walk(g, discrete, permutations, rng) for g in elements])


def _walk(
    element: Num[np.ndarray, "d d"],
    discrete: tuple[Generator, ...],
    permutations: list[Permutation | None],
    rng: np.random.Generator,
) -> Num[np.ndarray, "d d"]:
    for _ in range(_ROUNDS):
        for i in rng.permutation(len(discrete)):
            power = int(rng.integers(*_POWERS))
            permutation = permutations[i]
            if permutation is None:
                element = np.linalg.matrix_power(np.asarray(dense(discrete[i])), power) @ element
            else:
                step = permutation if power > 0 else permutation.H
                for _ in range(abs(power)):
                    element = step @ element
    return element
