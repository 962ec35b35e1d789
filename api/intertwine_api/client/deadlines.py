"""How long whoever asks will wait."""

from __future__ import annotations

import math
import time

_LEAST = 1.0  # seconds that a look has in any case: a timeout of 0 asks how it is now


class Deadline:
    """The end of `timeout` seconds from now on; without a timeout it never comes."""

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = math.inf if timeout is None else timeout
        self._end = time.monotonic() + self._timeout

    @property
    def left(self) -> float:
        """How many seconds are left; 0 when it is over."""
        return max(0.0, self._end - time.monotonic())

    @property
    def for_an_answer(self) -> float | None:
        """The most seconds that an answer may take, at least one; None without a timeout."""
        return None if math.isinf(self._timeout) else max(_LEAST, self.left)

    def __str__(self) -> str:
        return f"{self._timeout:g} seconds"
