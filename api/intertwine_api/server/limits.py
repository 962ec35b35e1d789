"""How much one caller may ask: requests a second, and things at once."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from intertwine_api.wire.problems import Problem, ProblemError


@dataclass(frozen=True)
class Grant:
    """What became of a request for a token: whether there was one, and what is left."""

    granted: bool
    left: int
    wait: float
    """Seconds until there is a token again; zero where there is one."""


class Rates:
    """A bucket of tokens for each name: `burst` at most, filled with `rate` a second.

    The buckets are this process's own: beside a second one, a caller has twice as much.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate, self.burst, self._clock = rate, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> Grant:
        """Take a token, if there is one."""
        now = self._clock()
        level, since = self._buckets.get(name, (float(self.burst), now))
        level = min(float(self.burst), level + (now - since) * self.rate)
        granted = level >= 1
        if granted:
            level -= 1
        self._buckets[name] = level, now
        wait = 0.0 if level >= 1 else (1 - level) / self.rate
        return Grant(granted, int(level), wait)

    def require(self, name: str) -> Grant:
        """Take a token. Raises `ProblemError` with ``rate-limited`` where there is none."""
        grant = self.take(name)
        if grant.granted:
            return grant
        problem = Problem.of(
            "rate-limited",
            f"a key may make {self.rate:g} requests a second here, and {self.burst} at once after "
            f"a rest: ask again in {grant.wait:.2g} seconds",
        )
        raise ProblemError(problem, {**self.headers(grant), "Retry-After": seconds(grant.wait)})

    def headers(self, grant: Grant) -> dict[str, str]:
        """What is left, as draft-ietf-httpapi-ratelimit-headers says it."""
        window = seconds(self.burst / self.rate)
        return {
            "RateLimit-Policy": f'"key";q={self.burst};w={window}',
            "RateLimit": f'"key";r={grant.left};t={seconds(grant.wait)}',
        }


class ConcurrencyLimit:
    """How many things of each name go on at once: `most` at most."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what = most, what
        self._going_on: Counter[str] = Counter()

    def __getitem__(self, name: str) -> int:
        return self._going_on[name]

    def enter(self, name: str) -> None:
        """Count one in. Raises `ProblemError` with ``rate-limited`` past the most."""
        if self._going_on[name] >= self.most:
            detail = f"{self.most} {self.what} go on already, which is the most: end one first"
            raise ProblemError(Problem.of("rate-limited", detail), {"Retry-After": "1"})
        self._going_on[name] += 1

    def leave(self, name: str) -> None:
        """Count one out."""
        self._going_on[name] -= 1
        if not self._going_on[name]:
            del self._going_on[name]

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """One of them, while it goes on."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave(name)


def seconds(wait: float) -> str:
    """A wait as headers say it: whole seconds, one at least."""
    return str(max(1, math.ceil(wait)))
