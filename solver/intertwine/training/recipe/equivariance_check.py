"""The equivariance error of a trained model, and whether it is no more than rounding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from intertwine.reps.syntax import groups_of
from intertwine.training.recipe.samples import Split
from intertwine.training.recipe.task_symmetry import TaskSymmetry

_BOUNDS = {"float32": 1e-5, "float64": 1e-10}
_MOST = 500  # points, each with its own group element
_ELEMENTS = 50


def measure_equivariance(model: Any, split: Split, symmetry: TaskSymmetry) -> float:
    """Return the equivariance error on test samples, and on training samples if those are few.

    As `intertwine.training.model_equivariance_error` has it: 0 is equivariant, 1 the worst.
    """
    from intertwine.training import model_equivariance_error

    inputs = np.concatenate([split.test.X[:_MOST], split.train.X[:_MOST]])[:_MOST]
    return model_equivariance_error(model, inputs, symmetry.rep_in, symmetry.rep_out)


def is_rounding(error: float, dtype: str, symmetry: TaskSymmetry) -> bool:
    """Whether the error is no more than rounding makes: 1e-5 in float32, 1e-10 in float64.

    Under a group that stretches vectors, as boosts do, rounding grows with them; there the bound
    is larger by the square root of the condition of what is sampled.
    """
    return error <= _BOUNDS[dtype] * math.sqrt(_condition(symmetry))


def _condition(symmetry: TaskSymmetry) -> float:
    worst = 1.0
    for group in {group for rep in (symmetry.rep_in, symmetry.rep_out) for group in groups_of(rep)}:
        if not group.is_orthogonal:
            worst = max(worst, float(np.linalg.cond(group.samples(_ELEMENTS)).max()))
    return worst
