"""Checks of numbers that must be positive."""

from __future__ import annotations

from typing import Any

import numpy as np

from intertwine.errors import InvalidSetting


def positive(value: Any, meaning: str) -> float:
    """Return the value as a float. Raises `InvalidSetting` unless it is positive and finite."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if is_number and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise InvalidSetting(f"{meaning} is a positive, finite number, not {value!r}")
