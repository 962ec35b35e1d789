"""The result of a fit, and the event that its callback receives."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from intertwine.training.history import History

#: Why a fit ended.
Stopped = Literal["all epochs", "patience", "callback"]


@dataclass(frozen=True)
class Event:
    """The argument of a callback after an epoch. `model` stays valid during further epochs."""

    epoch: int
    train_loss: float
    test_loss: float | None
    validation_loss: float | None
    learning_rate: float | None
    seconds: float
    model: Any


@dataclass(frozen=True)
class Trained:
    """A trained model, its history, and the settings of the fit.

    `model` has the last weights, `best` those with the least validation loss, after `best_epoch`
    epochs; without validation data, with the least test loss if `patience` was given, or else the
    last ones. `stopped` says why the fit ended, `record` holds settings, versions and the device.
    """

    model: Any
    best: Any
    best_epoch: int
    history: History
    stopped: Stopped
    record: Mapping[str, Any]

    @property
    def test_loss(self) -> float | None:
        """Return the test loss of `model`; None without test data."""
        return self.history[-1].test_loss if self.history else None

    def __repr__(self) -> str:
        why = "" if self.stopped == "all epochs" else f", stopped by {self.stopped}"
        best = f", best after {self.best_epoch}" if self.best_epoch != len(self.history) else ""
        return f"<Trained {type(self.model).__name__}: {self.history}{best}{why}>"

    def _repr_html_(self) -> str:
        return self.history._repr_html_()


def versions(own: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of the libraries of a fit: the `own` ones of what computes the model,
    among which is its device, and those of all fits.
    """
    import numpy as np

    from intertwine import __version__

    return {
        "intertwine": __version__,
        **own,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
