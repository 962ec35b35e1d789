"""Reports of the epochs of a training while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Receives epochs, in order: {"epoch", "train_loss", "test_loss", "validation_loss",
#: "learning_rate", "seconds"} of each at which the losses were measured.
Tell = Callable[[Sequence[Mapping[str, Any]]], None]

_INTERVAL = 0.5  # seconds between two reports


class Reporter:
    """The callback of a fit, which reports its epochs in batches."""

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self._rows: list[dict[str, Any]] = []
        self._told = time.monotonic()

    def __call__(self, event: Any) -> None:
        """Add an epoch."""
        self._rows.append(
            {
                "epoch": event.epoch,
                "train_loss": event.train_loss,
                "test_loss": event.test_loss,
                "validation_loss": event.validation_loss,
                "learning_rate": event.learning_rate,
                "seconds": event.seconds,
            }
        )
        if time.monotonic() - self._told >= _INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Report the epochs since the last report."""
        rows, self._rows = self._rows, []
        self._told = time.monotonic()
        if rows and self._tell is not None:
            self._tell(rows)
