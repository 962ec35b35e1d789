"""Slow calls whose result concurrent requests share, and for which none waits long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

from anyio import to_thread

from intertwine_api.server.limits import retrieve_error

_Result = TypeVar("_Result")


class NoAnswer(Exception):
    """A call has not ended in time."""


class SharedCall(Generic[_Result]):
    """A call at most once at a time, and at most once in `seconds`.

    Callers wait `patience` seconds from its start: a database that does not answer may take half a
    minute, and must not occupy a thread for each request.
    """

    def __init__(
        self,
        call: Callable[[], Awaitable[_Result]],
        seconds: float = 2.0,
        patience: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call, self._seconds, self._patience, self._clock = call, seconds, patience, clock
        self._started = self._ended = float("-inf")
        self._task: asyncio.Task[_Result] | None = None

    @classmethod
    def in_thread(cls, call: Callable[[], _Result], seconds: float = 2.0) -> SharedCall[_Result]:
        """Return the shared call of a function that blocks its thread."""
        return cls(partial(to_thread.run_sync, call, abandon_on_cancel=True), seconds)

    async def get(self) -> _Result:
        """Return the result. Raises the error of the call, and `NoAnswer`."""
        now = self._clock()
        if self._task is None or (self._task.done() and now >= self._ended + self._seconds):
            self._started = now
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(retrieve_error)
        task = self._task
        if not task.done():
            left = max(0.0, self._started + self._patience - now)
            await asyncio.wait([task], timeout=left)
        if not task.done():
            raise NoAnswer(f"it does not answer within {self._patience:g} s")
        return task.result()

    async def _run(self) -> _Result:
        try:
            return await self._call()
        finally:
            self._ended = self._clock()
