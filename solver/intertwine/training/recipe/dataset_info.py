"""The description of a dataset, without its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intertwine.training.recipe.samples import Samples


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset: `id` is the sha256 of its file, and empty for a built-in one.

    `inputs` and `targets` are {"shape", "dtype"}; those of targets that are whole numbers, one a
    sample, also have their range as "labels". Reps and group are as they were given, or None.
    """

    id: str
    owner: str
    name: str
    rep_in: str | None
    rep_out: str | None
    group: str | Mapping[str, Any] | None
    samples: int
    inputs: Mapping[str, Any]
    targets: Mapping[str, Any]
    bytes: int
    created: float

    @property
    def width_in(self) -> int:
        """The size of an input."""
        return int(self.inputs["shape"][1])

    @property
    def width_out(self) -> int:
        """The size of a target; 1 for a label."""
        return int(self.targets["shape"][1]) if len(self.targets["shape"]) > 1 else 1

    @property
    def labels(self) -> tuple[int, int] | None:
        """The least and the largest label; None if the targets are not labels."""
        found = self.targets.get("labels")
        return None if found is None else (int(found[0]), int(found[1]))


def info_of(samples: Samples, digest: str = "") -> DatasetInfo:
    """Return what samples show of themselves: shapes and types, but no reps."""
    inputs, targets = samples.facts
    return DatasetInfo(
        id=digest or samples.digest,
        owner="",
        name="",
        rep_in=None,
        rep_out=None,
        group=None,
        samples=len(samples),
        inputs=inputs,
        targets=targets,
        bytes=samples.X.nbytes + samples.Y.nbytes,
        created=0.0,
    )
