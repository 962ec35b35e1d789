"""The data of a training: its split samples, and their description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intertwine.training.recipe.built_in import describe_builtin, make_builtin
from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.description import BuiltIn, TrainRequest
from intertwine.training.recipe.samples import Samples, Split, split


@dataclass(frozen=True)
class TrainingData:
    """Split samples; `source` records which samples they were.

    `weights` is the file of a saved model's weights, from which the training goes on.
    """

    info: DatasetInfo
    split: Split
    source: Mapping[str, Any]
    weights: Path | None = None

    @classmethod
    def uploaded(
        cls, request: TrainRequest, samples: Samples, info: DatasetInfo, weights: Path | None = None
    ) -> TrainingData:
        """Return the data of uploaded samples, or of a file."""
        return cls(info, _parts(request, samples), {"digest": info.id}, weights)

    @classmethod
    def built_in(
        cls, request: TrainRequest, asked: BuiltIn, weights: Path | None = None
    ) -> TrainingData:
        """Return the data of a built-in dataset. Raises `TooLarge` for too many samples."""
        info = describe_builtin(asked)
        samples, own_test = make_builtin(asked)
        parts = _parts(request, samples, own_test)
        return cls(info, parts, {**asked.model_dump(), "digest": samples.digest}, weights)


def _parts(request: TrainRequest, samples: Samples, own_test: Samples | None = None) -> Split:
    training = request.training
    stopping = training.early_stopping
    fraction = None if stopping is None else stopping.fraction
    if own_test is None:
        return split(samples, training.test_fraction, training.seed, fraction)
    if fraction is None:
        return Split(samples, own_test)
    watched = split(samples, fraction, training.seed)
    return Split(watched.train, own_test, watched.test)
