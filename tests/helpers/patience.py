"""Times that hold on a machine which may stop any process for many seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

#: Seconds to wait for what must happen, where how soon is not what is tested.
PATIENCE = 300.0


def seconds_of(action: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def quickest(measure: Callable[[], float], bound: float = 0.0, tries: int = 5) -> float:
    """The least of several measured times; those after the first below the bound are left out.

    A busy machine may delay each single one, but code that is slow delays all of them.
    """
    least = math.inf
    for _ in range(tries):
        least = min(least, measure())
        if least < bound:
            break
    return least


def in_one_of(tries: Iterable[Callable[[], bool]]) -> bool:
    """Whether something that needs this program to be in time holds in one of several tries."""
    return any(attempt() for attempt in tries)
