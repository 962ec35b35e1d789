"""Send requests over HTTP with httpx: `Connection` blocks, `AsyncConnection` awaits.

Operations are coroutines over a `Session`, and both clients share them. The asynchronous client
awaits them. The synchronous client runs them with `run` and `iterate` over a `Connection`, whose
methods block and never suspend.
"""

from __future__ import annotations

import copy
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from intertwine_api.client.address import ServerAddress
from intertwine_api.client.messages import HttpRequest, HttpResponse
from intertwine_api.client.retries import Retries
from intertwine_api.wire.safetensors_body import Pieces

if TYPE_CHECKING:
    import httpx

    _OpenResponse = tuple[httpx.Response, AsyncIterator[bytes]]

_Result = TypeVar("_Result")
_MAX_ERROR = 2**20  # bytes of an error's answer
_SLOWEST = 2**13  # bytes per second of an answer's content, on average after the timeout
_CHUNK = 2**20  # bytes per write: the socket copies the unsent rest of a chunk at each send


class Session(ABC):
    """Sends the requests of an operation and pauses. `retries` have the operation's deadline."""

    def __init__(self, address: ServerAddress, retries: Retries) -> None:
        self.address, self.retries = address, retries

    def within(self, timeout: float | None) -> Self:
        """Return the session with a deadline `timeout` seconds from now."""
        limited = copy.copy(self)
        limited.retries = self.retries.within(timeout)
        return limited

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send a request and return the response. Raises `ConnectionFailed`."""
        async with self.stream(request, whole=True) as (response, _):
            return response

    @asynccontextmanager
    async def stream(
        self, request: HttpRequest, *, whole: bool = False
    ) -> AsyncGenerator[tuple[HttpResponse, AsyncIterator[bytes]]]:
        """Send a request, and yield the response and the pieces of its body.

        With `whole`, or a status other than 200, the response has the content, and no pieces are
        left. Raises `ConnectionFailed`, also while the pieces are read, and `ForeignAnswer` if the
        content is compressed or too large.
        """
        import httpx

        url = f"{self.address.display_url}{request.path}"
        try:
            async with self._open(request) as (response, pieces):
                headers = {name.lower(): value for name, value in response.headers.items()}
                answer = HttpResponse(response.status_code, headers, url=url)
                if headers.get("content-encoding", "identity") != "identity":
                    raise answer.foreign("it is compressed, although that was not requested")
                if whole or answer.status != 200:
                    answer = await self._read(request, answer, pieces)
                yield answer, pieces
        except httpx.TransportError as error:
            raise self.address.failure(error) from error

    async def _read(
        self, request: HttpRequest, answer: HttpResponse, pieces: AsyncIterator[bytes]
    ) -> HttpResponse:
        """Return the answer with its content.

        Raises `ForeignAnswer` if it is too large, and `ConnectionFailed` if it is too slow.
        """
        most = request.max_bytes if answer.status < 300 else _MAX_ERROR
        content, timeout = bytearray(), self.address.answer_seconds(request)
        begun = time.monotonic()
        declared = answer.headers.get("content-length", "")
        if not (declared.isdecimal() and float(declared) > most):
            async for piece in pieces:
                content += piece
                if len(content) > most:
                    break
                if time.monotonic() - begun > timeout + len(content) / _SLOWEST:
                    raise self.address.too_slow(len(content), time.monotonic() - begun)
            else:
                return replace(answer, content=bytes(content))
        answer = replace(answer, content=bytes(content[:_MAX_ERROR]))
        raise answer.foreign(f"it has more than the expected {most:,} bytes")

    @abstractmethod
    def _open(self, request: HttpRequest) -> AbstractAsyncContextManager[_OpenResponse]:
        """Send a request, yield the response and the pieces of its body, and close it."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Pause for some seconds."""


class Connection(Session):
    """A session whose methods block and never suspend, for `run`. It is thread-safe."""

    def __init__(self, address: ServerAddress, retries: Retries) -> None:
        import httpx

        super().__init__(address, retries)
        self._http = httpx.Client()
        self.close = weakref.finalize(self, self._http.close)  # also on garbage collection

    @asynccontextmanager
    async def _open(self, request: HttpRequest) -> AsyncGenerator[_OpenResponse]:
        content = _parts(request.body) if request.body else None
        built = self._http.build_request(**self.address.options(request), content=content)
        with closing(self._http.send(built, stream=True)) as response:
            async with aclosing(_as_async(response.iter_raw())) as pieces:
                yield response, pieces

    async def sleep(self, seconds: float) -> None:
        """Block for some seconds."""
        time.sleep(seconds)


class AsyncConnection(Session):
    """A session that does not block the event loop."""

    def __init__(self, address: ServerAddress, retries: Retries) -> None:
        import httpx

        super().__init__(address, retries)
        self._http = httpx.AsyncClient()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def _open(self, request: HttpRequest) -> AsyncGenerator[_OpenResponse]:
        content = _as_async(_parts(request.body)) if request.body else None
        built = self._http.build_request(**self.address.options(request), content=content)
        async with aclosing(await self._http.send(built, stream=True)) as response:
            yield response, response.aiter_raw()

    async def sleep(self, seconds: float) -> None:
        """Pause for some seconds."""
        import anyio

        await anyio.sleep(seconds)


#: Either kind of connection, for what both clients share.
AnyConnection = TypeVar("AnyConnection", bound=Connection | AsyncConnection)


def run(operation: Awaitable[_Result]) -> _Result:
    """Run an operation over a `Connection` to its end, and return its result."""
    steps = operation.__await__()
    try:
        next(steps)
    except StopIteration as done:
        result: _Result = done.value
        return result
    raise RuntimeError("the operation of a synchronous client was suspended")


def iterate(values: AsyncGenerator[_Result]) -> Generator[_Result]:
    """Yield the values of an operation over a `Connection`."""
    end: Any = object()
    try:
        while (value := run(anext(values, end))) is not end:
            yield value
    finally:
        run(values.aclose())


def _parts(body: Pieces) -> Iterator[bytes]:
    for piece in body:
        for start in range(0, len(piece), _CHUNK):
            yield bytes(piece[start : start + _CHUNK])


async def _as_async(items: Iterator[bytes]) -> AsyncGenerator[bytes]:
    for item in items:
        yield item
