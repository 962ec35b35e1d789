"""Means and scales with which a standardized model stays equivariant.

x ↦ (x − m)/s commutes with ρ(g) for all g exactly when ρ(g)m = m and s commutes with ρ(g): one may
subtract only what the group leaves invariant, and divide all components of a vector by one number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Inexact

from intertwine.reps import Rep
from intertwine.reps.syntax import Sum, is_a

_CONSTANT = 1e-6  # relative to the size of the data: the resolution of float32


class Stats(NamedTuple):
    """The means to subtract and the scales to divide by, in and out, each of shape (size of the
    rep,).
    """

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
    """Return the mean of data of a concrete rep, projected on its invariants, and one scale per
    copy.

    Both are computed in float64: a mean rounded to float32 is invariant only up to 1e-8.

    Scalars are shifted by their mean, vectors of O(3) not at all, matrices of O(3) along the
    identity, and vectors of O2eR3 along the axis. The scale of each copy of each term is the root
    mean square after the shift, over all its components, and 1 if that is 0.
    """
    means, scales = [], []
    for block, term in _copies(data, rep):
        mean, scale = _moments_of_copies(block, term)
        means.append(mean.ravel())
        scales.append(np.repeat(scale, term.size()))
    return np.concatenate(means), np.concatenate(scales)


def sizes(data: Inexact[np.ndarray, "n d"], rep: Rep) -> Float64[np.ndarray, " d"]:
    """Return the root mean square of each copy of each term, without subtracting a mean, and 1 if
    that is 0.
    """
    found = []
    for block, term in _copies(data, rep):
        size = _root_mean_square(block)
        found.append(np.repeat(np.where(size > 0, size, 1.0), term.size()))
    return np.concatenate(found)


def no_moments(rep: Rep) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"]]:
    """Return zeros and ones, for data that are not standardized."""
    return np.zeros(rep.size()), np.ones(rep.size())


def _copies(
    data: Inexact[np.ndarray, "n d"], rep: Rep
) -> Iterator[tuple[Inexact[np.ndarray, "n copies size"], Rep]]:
    """Yield the copies of each term of a rep."""
    start = 0
    for copies, term in rep.terms if is_a(rep, Sum) else ((1, rep),):
        stop = start + copies * term.size()
        yield data[:, start:stop].reshape(len(data), copies, term.size()), term
        start = stop


def _moments_of_copies(
    block: Float[np.ndarray, "n copies size"], term: Rep
) -> tuple[Float64[np.ndarray, "copies size"], Float64[np.ndarray, " copies"]]:
    average = block.mean(axis=0, dtype=np.float64)
    mean = np.asarray(term.equivariant_basis().project(average.T)).T
    scale = _root_mean_square(block - mean)
    varies = scale > _CONSTANT * _root_mean_square(block)
    return mean, np.where(varies, scale, 1.0)


def _root_mean_square(
    block: Inexact[np.ndarray, "n copies size"],
) -> Float64[np.ndarray, " copies"]:
    squares = np.mean(np.abs(block) ** 2, (0, 2), dtype=np.float64)
    root: Float64[np.ndarray, " copies"] = np.sqrt(squares)
    return root
