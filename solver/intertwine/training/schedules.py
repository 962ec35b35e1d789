"""Learning rates over the steps of a fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from intertwine.errors import InvalidSetting, UnknownMethod

#: The learning rate as a function of the step, counted from 0, such as optax's schedules.
Schedule = Callable[[Any], Any]

_WARMUP = 0.05
"""The share of the steps in which "warmup cosine" rises."""


def _constant(step: Float[np.ndarray, " t"], total: int) -> Float[np.ndarray, " t"]:
    return np.ones_like(step)


def _cosine(step: Float[np.ndarray, " t"], total: int) -> Float[np.ndarray, " t"]:
    return 0.5 * (1 + np.cos(np.pi * step / total))


def _warmup_cosine(step: Float[np.ndarray, " t"], total: int) -> Float[np.ndarray, " t"]:
    rise = max(1, round(_WARMUP * total))
    return np.where(step < rise, (step + 1) / rise, _cosine(step - rise, max(total - rise, 1)))


SCHEDULES = {"constant": _constant, "cosine": _cosine, "warmup cosine": _warmup_cosine}


def one_by_one(schedule: Schedule, total: int) -> Float[np.ndarray, " total"]:
    """Return a schedule's learning rates at this number of steps."""
    return np.asarray([schedule(step) for step in range(total)], float)


def learning_rates(
    schedule: str | Schedule,
    learning_rate: float,
    epochs: int,
    batches: int,
    evaluated: Callable[[Schedule, int], Float[np.ndarray, " total"]] = one_by_one,
) -> Float[np.ndarray, "epochs batches"]:
    """Return the learning rate of every step.

    "constant"; "cosine", falling from `learning_rate` to 0 by half a cosine (Loshchilov and Hutter
    2017, without restarts); "warmup cosine", which first rises linearly over 5 % of the steps; or
    a function of the step, which is the learning rate itself and which `evaluated` calls. Raises
    `UnknownMethod` for an unknown name, `InvalidSetting` for rates that are negative or not finite.
    """
    total = epochs * batches
    if callable(schedule):
        rates = evaluated(schedule, total)
    elif schedule in SCHEDULES:
        rates = learning_rate * SCHEDULES[schedule](np.arange(total, dtype=float), total)
    else:
        raise UnknownMethod(
            f"there is no schedule {schedule!r}: there are {', '.join(SCHEDULES)}, or give a "
            f"function from the step to the learning rate"
        )
    bad = ~(np.isfinite(rates) & (rates >= 0))
    if bad.any():
        step = int(np.argmax(bad))
        raise InvalidSetting(
            f"the learning rate is {rates[step]} at step {step}: learning rates are finite and not "
            f"negative"
        )
    return rates.reshape(epochs, batches)
