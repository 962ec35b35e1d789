"""The state of a fit: everything that changes between epochs, and that a checkpoint stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from intertwine.training.engine import State
from intertwine.training.history import Epoch, History


@dataclass(frozen=True)
class Best:
    """The weights with the least watched loss so far, and the epoch after which they had it."""

    weights: Any
    loss: float
    epoch: int


@dataclass
class TrainingState:
    """Weights and moments after the last row's epoch; the best weights if a loss is watched."""

    state: State
    rows: list[Epoch] = field(default_factory=list)
    best: Best | None = None

    @property
    def epoch(self) -> int:
        """Return the number of finished epochs."""
        return len(self.rows)

    @property
    def seconds(self) -> float:
        """Return the seconds that they took."""
        return self.rows[-1].seconds if self.rows else 0.0

    @property
    def history(self) -> History:
        """Return the history of the finished epochs."""
        return History(tuple(self.rows))

    def is_stale(self, patience: int | None) -> bool:
        """Return whether the watched loss has not improved for `patience` epochs."""
        if patience is None or self.best is None:
            return False
        return self.epoch - self.best.epoch >= patience
