"""Fits that crash after an epoch, to be resumed from their checkpoints."""

from __future__ import annotations

from typing import Any

from intertwine.training import Event


class Crash(Exception):
    """Ends a fit in these tests."""


def crash_at(epoch: int) -> Any:
    """Return a callback of `fit` that raises `Crash` after an epoch."""

    def callback(event: Event) -> None:
        if event.epoch == epoch:
            raise Crash

    return callback
