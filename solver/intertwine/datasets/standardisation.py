"""Means and scales that a model may standardise with, and stay equivariant.

Of a vector one may subtract only what the group leaves alone, and divide all its components by
one number: x ↦ (x − m)/s commutes with ρ(g) for all g exactly when ρ(g)m = m and s does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64

from intertwine.reps import Rep
from intertwine.reps.syntax import Sum, is_a

_CONSTANT = 1e-6  # relative to the size of the data: float32 tells no more apart


class Stats(NamedTuple):
    """What to subtract and what to divide by, in and out, each of shape (size of the rep,)."""

    Xmean: Float32[np.ndarray, " d_in"]
    Xstd: Float32[np.ndarray, " d_in"]
    Ymean: Float32[np.ndarray, " d_out"]
    Ystd: Float32[np.ndarray, " d_out"]

    @classmethod
    def rounded(cls, *moments: Float64[np.ndarray, " _"]) -> Stats:
        """Return four arrays of moments in float32, the precision of the datasets."""
        return cls(*(array.astype(np.float32) for array in moments))


def moments(
    data: Float[np.ndarray, "n d"], rep: Rep
) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"]]:
    """The mean of data of a concrete rep, projected on its invariants, and one scale a copy.

    Both are computed in float64: a mean rounded to float32 is invariant only up to 1e-8.

    A scalar is shifted by its mean; a vector of O(3) is not; a matrix of O(3) is along the
    identity; a vector of O2eR3 is along the axis. The scale of each copy of each term is the
    root mean square of what the shift leaves, over all its components, and 1 where that is 0.
    """
    means, scales, start = [], [], 0
    for copies, term in rep.terms if is_a(rep, Sum) else ((1, rep),):
        stop = start + copies * term.size()
        block = data[:, start:stop].reshape(len(data), copies, term.size())
        mean, scale = _moments_of_copies(block, term)
        means.append(mean.ravel())
        scales.append(np.repeat(scale, term.size()))
        start = stop
    return np.concatenate(means), np.concatenate(scales)


def no_moments(rep: Rep) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"]]:
    """Zeros and ones, for what is not to be standardised."""
    return np.zeros(rep.size()), np.ones(rep.size())


def _moments_of_copies(
    block: Float[np.ndarray, "n copies size"], term: Rep
) -> tuple[Float64[np.ndarray, "copies size"], Float64[np.ndarray, " copies"]]:
    average = block.mean(axis=0, dtype=np.float64)
    mean = np.asarray(term.equivariant_basis().project(average.T)).T
    scale = _root_mean_square(block - mean)
    varies = scale > _CONSTANT * _root_mean_square(block)
    return mean, np.where(varies, scale, 1.0)


def _root_mean_square(block: Float[np.ndarray, "n copies size"]) -> Float64[np.ndarray, " copies"]:
    root: Float64[np.ndarray, " copies"] = np.sqrt(np.mean(block**2, (0, 2), dtype=np.float64))
    return root
