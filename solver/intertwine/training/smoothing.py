"""Smoothed curves: an exponential moving average without the bias of its start."""

from __future__ import annotations

import math
from collections.abc import Sequence

from intertwine.errors import InvalidSetting


def require_smoothing(smooth: float) -> None:
    """Raise `InvalidSetting` unless 0 ≤ smooth < 1."""
    if not 0 <= smooth < 1:
        raise InvalidSetting(
            f"smooth is {smooth}: give a number from 0 up to, but not including, 1"
        )


def smoothed(points: Sequence[tuple[int, float]], smooth: float) -> list[tuple[int, float]]:
    """Return (epoch, value) pairs with each value averaged with those before it.

    A value k points earlier has the weight ``smooth**k``, and the weights are divided by their sum,
    so that the first value counts no more than others. Values that are not finite stay as they are,
    and are left out of the averages. Raises `InvalidSetting` unless 0 ≤ smooth < 1.
    """
    if not 0 <= smooth < 1:
        raise InvalidSetting(
            f"smooth is {smooth}: give a number from 0 up to, but not including, 1"
        )
    averaged = []
    total, weight = 0.0, 0.0
    for epoch, value in points:
        if not math.isfinite(value):
            averaged.append((epoch, value))
            continue
        total = smooth * total + (1 - smooth) * value
        weight = smooth * weight + (1 - smooth)
        averaged.append((epoch, total / weight))
    return averaged
