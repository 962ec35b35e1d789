"""The check of every argument that is an integer."""

from __future__ import annotations

from typing import Any

import numpy as np

from intertwine.errors import IntertwineError, InvalidSetting


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer of Python or NumPy; True and False are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def checked_integer(
    value: Any, what: str, least: int = 0, error: type[IntertwineError] = InvalidSetting
) -> int:
    """Return the value as an int. Raises `error` unless it is an integer ≥ `least`.

    `what` names the argument in the message, such as "the number of layers".
    """
    if not is_integer(value) or value < least:
        raise error(f"{what} is an integer from {least} on, not {value!r}")
    return int(value)
