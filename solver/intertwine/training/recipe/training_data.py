"""What a training is given: its samples, split, and what is known of them."""

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
    """Samples in their parts; `source` says, for people to come, which samples they were.

    `weights` is the file of a saved model's, where the training goes on from one.
    """

    info: DatasetInfo
    split: Split
    source: Mapping[str, Any]
    weights: Path | None = None

    @classmethod
    def uploaded(
        cls, request: TrainRequest, samples: Samples, info: DatasetInfo, weights: Path | None = None
    ) -> TrainingData:
        """Samples that somebody has sent, or has in a file."""
        return cls(info, _parts(request, samples), {"digest": info.id}, weights)

    @classmethod
    def built_in(
        cls, request: TrainRequest, asked: BuiltIn, weights: Path | None = None
    ) -> TrainingData:
        """Samples that are made here. Raises `TooLarge` for too many of them."""
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
