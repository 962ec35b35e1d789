"""When a fit is checkpointed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from intertwine.training.checkpoint import Checkpoint, Rates
from intertwine.training.training_state import TrainingState

_FIRST, _LONGEST = 2.0, 20.0  # seconds between checkpoints: the interval doubles
_SHARE = 100  # checkpoints take at most one part in so many of the time


@dataclass
class CheckpointPolicy:
    """Save a checkpoint every `every` epochs; with None by the clock, in 1 % of the fit's time.

    Without a checkpoint nothing is saved. `saved` is called with the epoch after each save.
    """

    checkpoint: Checkpoint | None
    every: int | None
    saved: Callable[[int], object] | None = None
    _wait: float = field(default_factory=lambda: _FIRST)
    _since: float = field(default_factory=time.monotonic)

    def looks(self, epoch: int) -> list[int]:
        """Return the next epoch after which `keep` must be called, in a list; [] by the clock."""
        if self.checkpoint is None or self.every is None:
            return []
        return [(epoch // self.every + 1) * self.every]

    def keep(self, training: TrainingState, rates: Rates, *, ends: bool) -> None:
        """Save a checkpoint if one is due, and when the fit ends."""
        if self.checkpoint is None or not (ends or self._is_due(training.epoch)):
            return
        started = time.monotonic()
        self.checkpoint.save(training, rates)
        self._since = time.monotonic()
        self._wait = max(min(2 * self._wait, _LONGEST), _SHARE * (self._since - started))
        if self.saved is not None:
            self.saved(training.epoch)

    def _is_due(self, epoch: int) -> bool:
        if self.every is not None:
            return epoch % self.every == 0
        return time.monotonic() - self._since >= self._wait
