"""Calls that concurrent requests share, and for which none waits long."""

from __future__ import annotations

import asyncio
import threading

import pytest
from intertwine_api.server.shared_call import NoAnswer, SharedCall


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_callers_share_a_result_for_some_seconds() -> None:
    async def story() -> None:
        clock, made = Clock(), iter(range(10))

        async def call() -> int:
            await asyncio.sleep(0)
            return next(made)

        shared = SharedCall(call, seconds=2.0, clock=clock)
        assert await asyncio.gather(*(shared.get() for _ in range(5))) == [0] * 5
        clock.now = 1.9
        assert await shared.get() == 0
        clock.now = 2.0
        assert await shared.get() == 1

    asyncio.run(story())


def test_an_error_is_raised_for_each_caller_and_then_tried_again() -> None:
    async def story() -> None:
        clock, fails = Clock(), True

        async def call() -> str:
            if fails:
                raise OSError("no")
            return "yes"

        shared = SharedCall(call, clock=clock)
        for _ in range(2):
            with pytest.raises(OSError, match="no"):
                await shared.get()
        fails, clock.now = False, 5.0
        assert await shared.get() == "yes"

    asyncio.run(story())


def test_none_waits_longer_than_the_patience_and_one_thread_is_enough() -> None:
    async def story() -> None:
        answer, calls = threading.Event(), []

        def call() -> str:
            calls.append(threading.current_thread())
            answer.wait(60)
            return "late"

        shared = SharedCall.in_thread(call)
        shared._patience = 0.05
        for _ in range(3):
            with pytest.raises(NoAnswer, match=r"it does not answer within 0\.05 s"):
                await shared.get()
        assert len(calls) == 1
        answer.set()
        shared._patience = 60.0
        assert await shared.get() == "late"

    asyncio.run(story())
