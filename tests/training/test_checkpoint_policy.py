"""When a fit is checkpointed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from intertwine.training import checkpoint_policy
from intertwine.training.checkpoint import Checkpoint
from intertwine.training.checkpoint_policy import CheckpointPolicy
from intertwine.training.epochs import State
from intertwine.training.history import Epoch
from intertwine.training.training_state import TrainingState

RATES = np.ones((1, 1))


class Clock:
    """A clock that advances only on request; each save takes `cost` seconds."""

    def __init__(self) -> None:
        self.now, self.cost = 100.0, 0.0
        self.saved: list[float] = []

    def monotonic(self) -> float:
        return self.now


class Noted(Checkpoint):
    """Records when it was asked to save, and saves nothing."""

    def __init__(self, clock: Clock) -> None:
        nothing: Any = None
        super().__init__(Path(), {}, nothing)
        object.__setattr__(self, "clock", clock)

    def save(self, training: Any, rates: Any) -> None:
        clock: Clock = self.clock  # type: ignore[attr-defined]
        clock.saved.append(clock.now)
        clock.now += clock.cost


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(checkpoint_policy, "time", clock)
    return clock


def after(epoch: int) -> TrainingState:
    rows = [Epoch(i + 1, 1.0, None, None, None, 0.1 * i) for i in range(epoch)]
    return TrainingState(State((), ()), rows)


def keep_through(clock: Clock, epochs: int, every: int | None, seconds: float = 0.2) -> list[float]:
    """Return the seconds after the start at which a fit of so many epochs is saved."""
    keeps = CheckpointPolicy(Noted(clock), every, _since=clock.now)
    for epoch in range(1, epochs + 1):
        clock.now += seconds
        keeps.keep(after(epoch), RATES, ends=epoch == epochs)
    return [moment - 100 for moment in clock.saved]


def test_by_the_clock_intervals_between_checkpoints_grow(clock: Clock) -> None:
    kept = keep_through(clock, 500, None)
    assert kept[:4] == pytest.approx([2, 6, 14, 30], abs=0.5)
    assert kept[-2] - kept[-3] == pytest.approx(20, abs=0.5)
    assert kept[-1] == pytest.approx(100)


def test_slow_saves_are_rare(clock: Clock) -> None:
    clock.cost = 3.0
    kept = keep_through(clock, 400, None, seconds=2.0)
    assert kept[1] - kept[0] >= 300


def test_by_epochs_it_saves_at_each_multiple_and_at_the_end(clock: Clock) -> None:
    assert keep_through(clock, 10, 4, seconds=1.0) == [4, 8, 10]


def test_it_asks_to_be_called_after_the_epochs_at_which_it_saves() -> None:
    keeps = CheckpointPolicy(Noted(Clock()), 4)
    assert [keeps.looks(epoch) for epoch in (0, 3, 4, 5)] == [[4], [4], [8], [8]]
    assert CheckpointPolicy(None, 4).looks(3) == []


def test_without_a_checkpoint_nothing_is_saved(clock: Clock) -> None:
    CheckpointPolicy(None, 1).keep(after(1), RATES, ends=True)
    assert clock.saved == []
