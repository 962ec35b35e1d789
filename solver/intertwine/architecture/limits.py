"""What a network cannot represent, as warnings."""

from __future__ import annotations

import sys
import warnings

from intertwine.errors import ReachWarning

#: Packages whose frames a warning skips, to point to the line that makes the network.
_BETWEEN = ("intertwine", "equinox", "jaxtyping", "beartype", "torch")


def warn_of(message: str) -> None:
    """Issue a `ReachWarning` that points to the line that makes the network."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, ReachWarning, stacklevel=level)
