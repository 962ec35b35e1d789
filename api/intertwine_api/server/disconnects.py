"""Cancel the work of a request whose client has disconnected."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.requests import Request

_DELAY = 0.1  # seconds; faster responses need no watcher


class ClientDisconnected(Exception):
    """The client disconnected before the response."""


class CancelOnDisconnect:
    """A block that raises `ClientDisconnected` soon after the client disconnects.

    Read the body of the request first.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._watch: asyncio.Task[None] | None = None
        self._disconnected = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(_DELAY, self._start_watching)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._disconnected and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientDisconnected from error

    def _start_watching(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._disconnected = True
        self._task.cancel()
