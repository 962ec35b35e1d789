"""Slow values that callers share: how old they may be, and how long callers wait."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
from intertwine_api.server import service
from intertwine_api.server.service import Refreshed


def test_an_expired_value_is_read_anew_before_it_is_returned() -> None:
    async def story() -> list[int]:
        counted = Refreshed(itertools.count().__next__, seconds=0)
        return [await counted.get() for _ in range(3)]

    assert asyncio.run(story()) == [0, 1, 2]


def test_a_value_is_kept_for_some_seconds() -> None:
    async def story() -> list[int]:
        counted = Refreshed(itertools.count().__next__, seconds=600)
        return [await counted.get() for _ in range(3)]

    assert asyncio.run(story()) == [0, 0, 0]


def test_callers_get_the_last_value_if_reading_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_PATIENCE_SECONDS", 0.01)
    goes_on = threading.Event()
    goes_on.set()
    values = itertools.count()

    def read() -> int:
        assert goes_on.wait(60)
        return next(values)

    async def story() -> list[int]:
        slow = Refreshed(read, seconds=0)
        found = [await slow.get()]
        goes_on.clear()
        found.append(await slow.get())
        goes_on.set()
        await slow.renew()
        return [*found, await slow.get()]

    first, second, third = asyncio.run(story())
    assert (first, second) == (0, 0)
    assert third > second
