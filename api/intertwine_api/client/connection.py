"""Run operations over HTTP with httpx: `Connection` blocks, `AsyncConnection` awaits."""

from __future__ import annotations

import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, TypeVar

from intertwine_api.client.address import ServerAddress
from intertwine_api.client.retries import Retries
from intertwine_api.client.steps import (
    Emit,
    HttpRequest,
    HttpResponse,
    OpenStream,
    Operation,
    ReadChunk,
    RunningOperation,
    Sleep,
    Step,
)
from intertwine_api.wire.safetensors_body import Pieces

if TYPE_CHECKING:
    import httpx

_Result = TypeVar("_Result")
_CHUNK = 2**20  # bytes per write: the socket copies the unsent rest of a chunk at each send


class Connection:
    """Runs each operation to its end before it returns. It is thread-safe."""

    def __init__(self, address: ServerAddress, retries: Retries) -> None:
        import httpx

        self.address, self.retries = address, retries
        self._http = httpx.Client()
        self.close = weakref.finalize(self, self._http.close)  # also on garbage collection

    def run(self, operation: Operation[_Result], timeout: float | None = None) -> _Result:
        """Run an operation with a deadline `timeout` seconds from now, and return its result."""
        running = RunningOperation(operation, self.retries.within(timeout))
        with closing(_StepRunner(self._http, self.address)) as runner:
            while running.step is not None:
                runner.advance(running)
        return running.result

    def iterate(self, operation: Operation[Any]) -> Generator[Any, None, None]:
        """Run an operation and yield the values that it emits."""
        running = RunningOperation(operation, self.retries)
        with closing(_StepRunner(self._http, self.address)) as runner:
            while running.step is not None:
                if isinstance(running.step, Emit):
                    yield running.step.value
                runner.advance(running)


class AsyncConnection:
    """Runs operations without blocking the event loop."""

    def __init__(self, address: ServerAddress, retries: Retries) -> None:
        import httpx

        self.address, self.retries = address, retries
        self._http = httpx.AsyncClient()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, operation: Operation[_Result], timeout: float | None = None) -> _Result:
        """Run an operation with a deadline `timeout` seconds from now, and return its result."""
        running = RunningOperation(operation, self.retries.within(timeout))
        async with aclosing(_AsyncStepRunner(self._http, self.address)) as runner:
            while running.step is not None:
                await runner.advance(running)
        return running.result

    async def iterate(self, operation: Operation[Any]) -> AsyncGenerator[Any, None]:
        """Run an operation and yield the values that it emits."""
        running = RunningOperation(operation, self.retries)
        async with aclosing(_AsyncStepRunner(self._http, self.address)) as runner:
            while running.step is not None:
                if isinstance(running.step, Emit):
                    yield running.step.value
                await runner.advance(running)


#: Either kind of connection, for what both clients share.
AnyConnection = TypeVar("AnyConnection", bound=Connection | AsyncConnection)


class _StepRunner:
    """Executes the steps of one operation and holds its open response stream."""

    def __init__(self, http: httpx.Client, address: ServerAddress) -> None:
        self._http, self._address = http, address
        self._open: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def advance(self, running: RunningOperation[Any]) -> None:
        """Execute the operation's step and resume it with the outcome, or its failure."""
        import httpx

        assert running.step is not None
        try:
            outcome = self._do(running.step)
        except httpx.TransportError as error:
            running.fail(self._address.failure(error))
        else:
            running.resume(outcome)

    def close(self) -> None:
        """Close the open response."""
        if self._open is not None:
            self._open.close()

    def _do(self, step: Step) -> Any:
        match step:
            case HttpRequest():
                return _response(self._send(step, stream=False), whole=True)
            case OpenStream(request):
                self.close()
                response = self._open = self._send(request, stream=True)
                if response.status_code != 200:
                    response.read()
                self._pieces = response.iter_bytes()
                return _response(response, whole=response.status_code != 200)
            case ReadChunk():
                return next(self._pieces, None)
            case Sleep(seconds):
                time.sleep(seconds)
        return None

    def _send(self, request: HttpRequest, *, stream: bool) -> httpx.Response:
        content = _parts(request.body) if request.body else None
        built = self._http.build_request(**self._address.options(request), content=content)
        return self._http.send(built, stream=stream)


class _AsyncStepRunner:
    """Executes the steps of one operation and holds its open response stream."""

    def __init__(self, http: httpx.AsyncClient, address: ServerAddress) -> None:
        self._http, self._address = http, address
        self._open: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes]

    async def advance(self, running: RunningOperation[Any]) -> None:
        """Execute the operation's step and resume it with the outcome, or its failure."""
        import httpx

        assert running.step is not None
        try:
            outcome = await self._do(running.step)
        except httpx.TransportError as error:
            running.fail(self._address.failure(error))
        else:
            running.resume(outcome)

    async def aclose(self) -> None:
        """Close the open response."""
        if self._open is not None:
            await self._open.aclose()

    async def _do(self, step: Step) -> Any:
        match step:
            case HttpRequest():
                return _response(await self._send(step, stream=False), whole=True)
            case OpenStream(request):
                await self.aclose()
                response = self._open = await self._send(request, stream=True)
                if response.status_code != 200:
                    await response.aread()
                self._pieces = response.aiter_bytes()
                return _response(response, whole=response.status_code != 200)
            case ReadChunk():
                return await anext(self._pieces, None)
            case Sleep(seconds):
                import anyio

                await anyio.sleep(seconds)
        return None

    async def _send(self, request: HttpRequest, *, stream: bool) -> httpx.Response:
        content = _async_parts(request.body) if request.body else None
        built = self._http.build_request(**self._address.options(request), content=content)
        return await self._http.send(built, stream=stream)


def _response(response: httpx.Response, *, whole: bool) -> HttpResponse:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpResponse(response.status_code, headers, response.content if whole else b"")


def _parts(body: Pieces) -> Iterator[bytes]:
    for piece in body:
        for start in range(0, len(piece), _CHUNK):
            yield bytes(piece[start : start + _CHUNK])


async def _async_parts(body: Pieces) -> AsyncIterator[bytes]:
    for part in _parts(body):
        yield part
