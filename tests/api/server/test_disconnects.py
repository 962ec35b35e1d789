from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from helpers.patience import PATIENCE
from intertwine_api.server.disconnects import CancelOnDisconnect, ClientDisconnected
from starlette.requests import Request


def a_request(leaves: asyncio.Event) -> Request:
    """A request whose caller leaves when the event is set."""

    async def receive() -> dict[str, Any]:
        await leaves.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


def run(inside: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    async def outside() -> None:
        before = asyncio.all_tasks()
        await inside(asyncio.Event())
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before, "nobody goes on looking"

    asyncio.run(asyncio.wait_for(outside(), timeout=PATIENCE))


def test_a_block_is_cancelled_if_its_client_disconnects() -> None:
    async def inside(leaves: asyncio.Event) -> None:
        asyncio.get_running_loop().call_later(0.15, leaves.set)
        with pytest.raises(ClientDisconnected):
            async with CancelOnDisconnect(a_request(leaves)):
                await asyncio.sleep(600)
        await asyncio.sleep(0)  # what comes after it goes on

    run(inside)


def test_an_earlier_disconnect_is_noticed_too() -> None:
    async def inside(leaves: asyncio.Event) -> None:
        leaves.set()
        with pytest.raises(ClientDisconnected):
            async with CancelOnDisconnect(a_request(leaves)):
                await asyncio.sleep(600)

    run(inside)


def test_a_block_that_ends_in_time_is_left_alone() -> None:
    async def inside(leaves: asyncio.Event) -> None:
        for seconds in (0, 0.2):
            async with CancelOnDisconnect(a_request(leaves)):
                await asyncio.sleep(seconds)
        leaves.set()
        await asyncio.sleep(0.01)

    run(inside)


def test_an_error_in_a_block_passes_through() -> None:
    async def inside(leaves: asyncio.Event) -> None:
        with pytest.raises(ArithmeticError):
            async with CancelOnDisconnect(a_request(leaves)):
                raise ArithmeticError

    run(inside)


def test_other_cancellations_pass_through() -> None:
    async def inside(leaves: asyncio.Event) -> None:
        async def block() -> None:
            async with CancelOnDisconnect(a_request(leaves)):
                await asyncio.sleep(600)

        task = asyncio.ensure_future(block())
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(inside)
