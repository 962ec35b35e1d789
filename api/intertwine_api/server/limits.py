"""Rate limits, concurrency limits and limits of bytes in memory, each per key or owner."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from intertwine_api.wire.problems import Problem, ProblemError

_Result = TypeVar("_Result")
_DROPPED = 64e6  # bytes per second


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
        level, now = self._level(name)
        granted = level >= 1
        if granted:
            level -= 1
        self._buckets[name] = level, now
        wait = 0.0 if level >= 1 else (1 - level) / self.rate
        return Grant(granted, max(0, int(level)), wait)

    def spend(self, name: str, tokens: float) -> None:
        """Take more tokens for a granted request. Missing tokens are taken from later requests."""
        level, now = self._level(name)
        self._buckets[name] = level - tokens, now

    def delay(self, name: str, tokens: float) -> float:
        """Take tokens. Return the seconds until none are missing."""
        self.spend(name, tokens)
        level, _ = self._level(name)
        return max(0.0, -level / self.rate)

    async def pace(self, name: str, tokens: float) -> None:
        """Take tokens, and wait until none are missing: the rate of a stream."""
        await asyncio.sleep(self.delay(name, tokens))

    def _level(self, name: str) -> tuple[float, float]:
        """Return the tokens of a bucket, and the current time."""
        now = self._clock()
        level, since = self._buckets.get(name, (float(self.burst), now))
        return min(float(self.burst), level + (now - since) * self.rate), now

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


def dropped_bytes() -> RateLimiter:
    """Return the rate at which bodies of refused requests are read.

    Clients read a response only after they have sent their body, so the body cannot stay unread.
    """
    return RateLimiter(_DROPPED, burst=2**20)


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
    """Run slow functions in threads: at most `most` at once, and `share` for one name.

    Calls of a name first wait for calls of the same name, so that many calls of one name do not
    delay others. The name None may use every thread.
    """

    def __init__(self, most: int, share: int) -> None:
        self._all, self._share = CapacityLimiter(most), share
        self._own: dict[str, CapacityLimiter] = {}
        self._calls: Counter[str] = Counter()

    async def run(self, name: str | None, function: Callable[[], _Result]) -> _Result:
        """Return what the function returns, run in a thread."""
        if name is None:
            return await to_thread.run_sync(function, limiter=self._all)
        own = self._own.setdefault(name, CapacityLimiter(self._share))
        self._calls[name] += 1
        begun = False

        def begin() -> _Result:
            nonlocal begun
            begun = True
            return function()

        async def call() -> _Result:
            async with own:
                return await to_thread.run_sync(begin, limiter=self._all)

        # no thread can be ended: after its caller has left, it still takes its share
        task = asyncio.create_task(call())
        task.add_done_callback(lambda _: self._forget(name))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not begun:
                task.cancel()
            task.add_done_callback(retrieve_error)
            raise

    def _forget(self, name: str) -> None:
        self._calls[name] -= 1
        if not self._calls[name]:
            del self._calls[name], self._own[name]


class ByteBudget:
    """A budget of bytes in memory: at most `most` in total, and `most_of_key` for one key.

    Callers without a key share the total. `what` names the bytes in errors.
    """

    def __init__(self, most: int, most_of_key: int, what: str) -> None:
        self.most, self.most_of_key, self.what = most, most_of_key, what
        self.total = 0
        self._of_keys: Counter[str] = Counter()

    def __getitem__(self, key: str) -> int:
        return self._of_keys[key]

    @contextmanager
    def account(self) -> Iterator[Account]:
        """Yield an account. Its bytes are released at the end of the block."""
        account = Account(self)
        try:
            yield account
        finally:
            account.clear()

    def take(self, key: str | None, size: int) -> None:
        """Take bytes. Raises `ProblemError`: ``rate-limited`` for a key, else ``busy``."""
        if key is not None and self._of_keys[key] + size > self.most_of_key:
            raise self._refused("rate-limited", "of this key", self.most_of_key)
        if self.total + size > self.most:
            raise self._refused("busy", "of all callers", self.most)
        self.total += size
        if key is not None:
            self._of_keys[key] += size

    def give_back(self, key: str | None, size: int) -> None:
        """Return bytes."""
        self.total -= size
        if key is not None:
            self._of_keys[key] -= size
            if not self._of_keys[key]:
                del self._of_keys[key]

    def _refused(self, code: str, whose: str, most: int) -> ProblemError:
        detail = (
            f"the {self.what} {whose} in memory at once are limited to {most:,} bytes: "
            f"retry in a moment, with fewer requests at once"
        )
        return ProblemError.of(code, detail, headers={"Retry-After": "1"}, limit_bytes=most)


class Account:
    """The bytes that one request has taken from a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self.size = budget, 0
        self._key: str | None = None

    def take(self, key: str | None, size: int) -> None:
        """Take more bytes; one account has one key. Raises `ProblemError` beyond the budget."""
        self._budget.take(key, size)
        self._key = key
        self.size += size

    def clear(self) -> None:
        """Release all bytes."""
        if self.size:
            self._budget.give_back(self._key, self.size)
        self.size = 0


def retrieve_error(task: asyncio.Task[Any]) -> None:
    """Look at the error of a call whose caller has left, or asyncio logs it."""
    if not task.cancelled():
        task.exception()


def seconds(wait: float) -> str:
    """Return a wait as a header value: whole seconds, at least one."""
    return str(max(1, math.ceil(wait)))
