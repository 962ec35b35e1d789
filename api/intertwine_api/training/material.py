"""What a training is given: its samples, split, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intertwine_api.training.built_in import describe_builtin, make_builtin
from intertwine_api.training.description import BuiltIn, TrainRequest
from intertwine_api.training.points import Points, Split, split
from intertwine_api.training.stored import Stored


@dataclass(frozen=True)
class Material:
    """Samples in their parts; `source` says, for people to come, which samples they were.

    `weights` is the file of a saved model's, where the training goes on from one.
    """

    stored: Stored
    split: Split
    source: Mapping[str, Any]
    weights: Path | None = None

    @classmethod
    def uploaded(
        cls, request: TrainRequest, points: Points, stored: Stored, weights: Path | None = None
    ) -> Material:
        """Samples that somebody has sent, or has in a file."""
        return cls(stored, _parts(request, points), {"digest": stored.id}, weights)

    @classmethod
    def built_in(
        cls, request: TrainRequest, asked: BuiltIn, weights: Path | None = None
    ) -> Material:
        """Samples that are made here. Raises `TooLarge` for too many of them."""
        stored = describe_builtin(asked)
        points, own_test = make_builtin(asked)
        parts = _parts(request, points, own_test)
        return cls(stored, parts, {**asked.model_dump(), "digest": points.digest}, weights)


def facts_of(points: Points, digest: str = "") -> Stored:
    """What samples say of themselves: nothing of reps."""
    inputs, targets = points.facts
    return Stored(
        id=digest or points.digest,
        owner="",
        name="",
        rep_in=None,
        rep_out=None,
        group=None,
        samples=len(points),
        inputs=inputs,
        targets=targets,
        bytes=points.X.nbytes + points.Y.nbytes,
        created=0.0,
    )


def _parts(request: TrainRequest, points: Points, own_test: Points | None = None) -> Split:
    training = request.training
    stopping = training.early_stopping
    fraction = None if stopping is None else stopping.fraction
    if own_test is None:
        return split(points, training.test_fraction, training.seed, fraction)
    if fraction is None:
        return Split(points, own_test)
    watched = split(points, fraction, training.seed)
    return Split(watched.train, own_test, watched.test)
