"""Rate limits and concurrency limits, each per key or owner."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from intertwine_api.wire.problems import Problem, ProblemError

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Grant:
    """The result of taking a token, and how many tokens remain."""

    granted: bool
    remaining: int
    wait: float
    """Seconds until the next token; zero if one remains."""


class RateLimiter:
    """A token bucket for each name: at most `burst` tokens, refilled at `rate` per second.

    Each process has its own buckets, so two processes allow a caller twice the rate.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate, self.burst, self._clock = rate, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> Grant:
        """Take a token if one is available. Return the outcome."""
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
        """Take a token. Raises `ProblemError` with ``rate-limited`` if the bucket is empty."""
        grant = self.take(name)
        if grant.granted:
            return grant
        problem = Problem.of(
            "rate-limited",
            f"the rate limit of a key is {self.rate:g} requests per second, with bursts of "
            f"{self.burst}: retry in {grant.wait:.2g} seconds",
        )
        raise ProblemError(problem, {**self.headers(grant), "Retry-After": seconds(grant.wait)})

    def headers(self, grant: Grant) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers."""
        window = seconds(self.burst / self.rate)
        return {
            "RateLimit-Policy": f'"key";q={self.burst};w={window}',
            "RateLimit": f'"key";r={grant.remaining};t={seconds(grant.wait)}',
        }


class ConcurrencyLimit:
    """At most `most` concurrent activities for each name. `what` names them in errors."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what = most, what
        self._active: Counter[str] = Counter()

    def __getitem__(self, name: str) -> int:
        return self._active[name]

    def enter(self, name: str) -> None:
        """Occupy a slot. Raises `ProblemError` with ``rate-limited`` if all are taken."""
        if self._active[name] >= self.most:
            detail = f"{self.most} {self.what} are active, which is the limit: end one first"
            raise ProblemError.of("rate-limited", detail, headers={"Retry-After": "1"})
        self._active[name] += 1

    def leave(self, name: str) -> None:
        """Free a slot."""
        self._active[name] -= 1
        if not self._active[name]:
            del self._active[name]

    @contextmanager
    def slot(self, name: str) -> Iterator[None]:
        """Occupy a slot until the end of the block."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave(name)


class FairLimiter:
    """At most `most` calls of slow functions in threads, and `share` of them for one name.

    Calls of a name wait for those of the same name first, so that many do not keep others waiting.
    A name of None may take every thread.
    """

    def __init__(self, most: int, share: int) -> None:
        self._all, self._share = CapacityLimiter(most), share
        self._own: dict[str, CapacityLimiter] = {}

    async def run(self, name: str | None, function: Callable[[], _Result]) -> _Result:
        """Return what the function returns, run in a thread."""
        if name is None:
            return await to_thread.run_sync(function, limiter=self._all)
        own = self._own.setdefault(name, CapacityLimiter(self._share))
        try:
            async with own:
                return await to_thread.run_sync(function, limiter=self._all)
        finally:
            if not own.borrowed_tokens and not own.statistics().tasks_waiting:
                self._own.pop(name, None)


def seconds(wait: float) -> str:
    """Return a wait as a header value: whole seconds, at least one."""
    return str(max(1, math.ceil(wait)))
