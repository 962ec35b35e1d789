"""Arguments that count something."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from intertwine.errors import InvalidSetting


def at_least(least: int, value: Any, name: str) -> int:
    """Return the value as an int. Raises `InvalidSetting` unless it is an integer ≥ `least`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise InvalidSetting(f"{name} is an integer, not {value!r}")
    if value < least:
        raise InvalidSetting(f"{name} is at least {least}, not {value}")
    return operator.index(value)
