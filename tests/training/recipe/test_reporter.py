"""What a training reports."""

from __future__ import annotations

from typing import Any

import pytest
from intertwine.training import Event
from intertwine.training.recipe import reporter
from intertwine.training.recipe.reporter import Reporter


class Clock:
    """A clock that advances only on request."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reporter, "time", clock)
    return clock


def event(epoch: int) -> Event:
    return Event(epoch, 1.0 / epoch, 2.0 / epoch, None, 0.01, 0.1 * epoch, model=None)


def test_epochs_are_reported_in_batches_without_loss(clock: Clock) -> None:
    told: list[Any] = []
    report = Reporter(told.append)
    for epoch in range(1, 51):
        clock.now += 0.06
        report(event(epoch))
    report.flush()
    assert [row["epoch"] for rows in told for row in rows] == list(range(1, 51))
    assert len(told) == 6
    assert told[0][0] == {
        "epoch": 1,
        "train_loss": 1.0,
        "test_loss": 2.0,
        "validation_loss": None,
        "learning_rate": 0.01,
        "seconds": 0.1,
    }
    report.flush()
    assert len(told) == 6  # nothing is told where there is nothing to tell
