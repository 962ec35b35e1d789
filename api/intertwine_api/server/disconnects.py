"""Callers who leave before they have their answer."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.requests import Request

_PATIENCE = 0.1  # seconds; most answers are given sooner, and for them nobody need look


class ClientDisconnected(Exception):
    """The caller has left: nobody hears the answer."""


class CancelOnDisconnect:
    """A block that ends with `ClientDisconnected` soon after the caller of a request has left.

    The body of the request must have been read.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._watch: asyncio.Task[None] | None = None
        self._has_left = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._begin)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._has_left and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientDisconnected from error

    def _begin(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        self._task.cancel()
