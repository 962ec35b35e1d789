"""The course of a fit: all that changes from epoch to epoch, and all that a checkpoint keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from intertwine.training.epochs import State
from intertwine.training.history import Epoch, History


@dataclass(frozen=True)
class Best:
    """The weights with the least watched loss so far, and after which epoch that was."""

    weights: Any
    loss: float
    epoch: int


@dataclass
class Course:
    """The state behind the last of the rows, and the best so far where a loss is watched."""

    state: State
    rows: list[Epoch] = field(default_factory=list)
    best: Best | None = None

    @property
    def epoch(self) -> int:
        """How many epochs were run."""
        return len(self.rows)

    @property
    def seconds(self) -> float:
        """How long they took."""
        return self.rows[-1].seconds if self.rows else 0.0

    @property
    def history(self) -> History:
        """The rows, as they stand."""
        return History(tuple(self.rows))

    def is_stale(self, patience: int | None) -> bool:
        """Whether the watched loss has not improved for `patience` epochs."""
        if patience is None or self.best is None:
            return False
        return self.epoch - self.best.epoch >= patience
