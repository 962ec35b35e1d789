"""Shifts and scales with which a network sees samples of size 1, and stays equivariant."""

from __future__ import annotations

import numpy as np
from intertwine.datasets import Stats
from intertwine.datasets.standardisation import moments, no_moments
from intertwine.reps import Rep
from intertwine.reps.syntax import Sum, is_a
from jaxtyping import Float, Float64

from intertwine_api.training.action import Action, Loss
from intertwine_api.training.points import Points


def stats_of(points: Points, action: Action, loss: Loss, dtype: str) -> tuple[np.ndarray, ...]:
    """Means and scales of inputs and targets; scores of classes have 0 and 1."""
    is_scored = loss == "cross-entropy"
    found = Stats(
        *moments(points.X, action.rep_in),
        *(no_moments(action.rep_out) if is_scored else moments(points.Y, action.rep_out)),
    )
    if dtype == "float32":
        return found
    # the means come in float32, and their rounding is an error of 1e-8 in equivariance
    return (
        _invariant(found.Xmean, action.rep_in),
        found.Xstd,
        _invariant(found.Ymean, action.rep_out),
        found.Ystd,
    )


def _invariant(mean: Float[np.ndarray, " d"], rep: Rep) -> Float64[np.ndarray, " d"]:
    """The mean, projected once more on what the group leaves alone, in float64."""
    parts, start = [], 0
    for copies, term in rep.terms if is_a(rep, Sum) else ((1, rep),):
        stop = start + copies * term.size()
        columns = mean[start:stop].reshape(copies, term.size()).T.astype(np.float64)
        parts.append(np.asarray(term.equivariant_basis().project(columns)).T.ravel())
        start = stop
    return np.concatenate(parts)
