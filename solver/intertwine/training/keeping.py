"""When a fit is kept on the disk."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from intertwine.training.checkpoint import Checkpoint, Rates
from intertwine.training.course import Course

_FIRST, _LONGEST = 2.0, 20.0  # seconds from one time to the next: each time twice as many
_SHARE = 100  # of the time may the keeping take one part


@dataclass
class Keeping:
    """Keeps a fit every so many epochs; or (None) by the clock, in a hundredth of its time.

    Without a checkpoint it keeps nothing.
    """

    checkpoint: Checkpoint | None
    every: int | None
    _wait: float = field(default_factory=lambda: _FIRST)
    _since: float = field(default_factory=time.monotonic)

    def looks(self, epoch: int) -> list[int]:
        """The epoch after which it must be asked next, if there is one."""
        if self.checkpoint is None or self.every is None:
            return []
        return [(epoch // self.every + 1) * self.every]

    def keep(self, course: Course, rates: Rates, *, ends: bool) -> None:
        """Keep the course if it is time to, and when the fit ends."""
        if self.checkpoint is None or not (ends or self._is_due(course.epoch)):
            return
        started = time.monotonic()
        self.checkpoint.save(course, rates)
        self._since = time.monotonic()
        self._wait = max(min(2 * self._wait, _LONGEST), _SHARE * (self._since - started))

    def _is_due(self, epoch: int) -> bool:
        if self.every is not None:
            return epoch % self.every == 0
        return time.monotonic() - self._since >= self._wait
