"""Small trainings for tests, of equal shapes, so that they compile once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from intertwine.training.recipe.dataset_info import info_of
from intertwine.training.recipe.description import BuiltIn, TrainRequest
from intertwine.training.recipe.samples import Samples
from intertwine.training.recipe.training_data import TrainingData

DATASET = {"name": "Inertia", "size": 30, "seed": 0}
MODEL = {"type": "EMLP", "ch": 8, "num_layers": 1}
TRAINING = {"epochs": 6, "batch_size": 16, "seed": 3}


def a_request(**changes: Any) -> TrainRequest:
    """A short training; `model` and `training` are updated, other fields replaced."""
    document = {"dataset": DATASET, "name": "small", **changes}
    document["model"] = {**MODEL, **changes.get("model", {})}
    if "config" in document["model"]:
        document["model"] = changes["model"]
    document["training"] = {**TRAINING, **changes.get("training", {})}
    return TrainRequest.model_validate(document)


def material_of(request: TrainRequest) -> TrainingData:
    """The samples of a request for a built-in dataset."""
    assert isinstance(request.dataset, BuiltIn)
    return TrainingData.built_in(request, request.dataset)


def given(request: TrainRequest, X: Any, Y: Any, weights: Path | None = None) -> TrainingData:
    """Training data from arrays."""
    points = Samples.of(np.asarray(X), np.asarray(Y))
    return TrainingData.uploaded(request, points, info_of(points), weights)


def lengths(n: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in space, and the squares of their lengths."""
    X = np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)
    return X, np.sum(X**2, axis=1, keepdims=True)
