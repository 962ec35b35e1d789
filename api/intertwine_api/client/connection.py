"""Operations driven over HTTP, by httpx: at once by `Connection`, awaited by `AsyncConnection`."""

from __future__ import annotations

import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, TypeVar

from intertwine_api.client.address import ServerAddress
from intertwine_api.client.retries import Retries
from intertwine_api.client.steps import (
    Answer,
    Ask,
    Open,
    Operation,
    Pause,
    Read,
    RunningOperation,
    Step,
    Tell,
)
from intertwine_api.wire.safetensors_body import Pieces

if TYPE_CHECKING:
    import httpx

_Result = TypeVar("_Result")
_PART = 2**20  # bytes handed to the socket at a time: what is left of them is copied at each turn


class Connection:
    """Drives operations, each to its end before it returns. It may be used from any thread."""

    def __init__(self, place: ServerAddress, retries: Retries) -> None:
        import httpx

        self.place, self.retries = place, retries
        self._http = httpx.Client()
        self.close = weakref.finalize(self, self._http.close)  # forgotten or not, it is closed

    def run(self, operation: Operation[_Result]) -> _Result:
        """The result of an operation."""
        course = RunningOperation(operation)
        with closing(_Line(self._http, self.place)) as line:
            while course.step is not None:
                line.advance(course)
        return course.result

    def iterate(self, operation: Operation[Any]) -> Generator[Any, None, None]:
        """What an operation tells, as it tells it."""
        course = RunningOperation(operation)
        with closing(_Line(self._http, self.place)) as line:
            while course.step is not None:
                if isinstance(course.step, Tell):
                    yield course.step.value
                    course.go_on(None)
                else:
                    line.advance(course)


class AsyncConnection:
    """Drives operations without holding up anybody else."""

    def __init__(self, place: ServerAddress, retries: Retries) -> None:
        import httpx

        self.place, self.retries = place, retries
        self._http = httpx.AsyncClient()

    async def close(self) -> None:
        """Close what connections there are."""
        await self._http.aclose()

    async def run(self, operation: Operation[_Result]) -> _Result:
        """The result of an operation."""
        course = RunningOperation(operation)
        async with aclosing(_AsyncLine(self._http, self.place)) as line:
            while course.step is not None:
                await line.advance(course)
        return course.result

    async def iterate(self, operation: Operation[Any]) -> AsyncGenerator[Any, None]:
        """What an operation tells, as it tells it."""
        course = RunningOperation(operation)
        async with aclosing(_AsyncLine(self._http, self.place)) as line:
            while course.step is not None:
                if isinstance(course.step, Tell):
                    yield course.step.value
                    course.go_on(None)
                else:
                    await line.advance(course)


class _Line:
    """What one operation has open at a time."""

    def __init__(self, http: httpx.Client, place: ServerAddress) -> None:
        self._http, self._place = http, place
        self._open: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def advance(self, course: RunningOperation[Any]) -> None:
        """Do the step that the operation wants, and tell it what came of it."""
        import httpx

        assert course.step is not None
        try:
            outcome = self._do(course.step)
        except httpx.TransportError as error:
            course.fail(self._place.failure(error))
        else:
            course.go_on(outcome)

    def close(self) -> None:
        """Let the open body go."""
        if self._open is not None:
            self._open.close()

    def _do(self, step: Step) -> Any:
        match step:
            case Ask():
                return _answer(self._send(step, stream=False), whole=True)
            case Open(ask):
                self.close()
                response = self._open = self._send(ask, stream=True)
                if response.status_code != 200:
                    response.read()
                self._pieces = response.iter_bytes()
                return _answer(response, whole=response.status_code != 200)
            case Read():
                return next(self._pieces, None)
            case Pause(seconds):
                time.sleep(seconds)
        return None

    def _send(self, ask: Ask, *, stream: bool) -> httpx.Response:
        content = _parts(ask.body) if ask.body else None
        request = self._http.build_request(**self._place.options(ask), content=content)
        return self._http.send(request, stream=stream)


class _AsyncLine:
    """What one operation has open at a time."""

    def __init__(self, http: httpx.AsyncClient, place: ServerAddress) -> None:
        self._http, self._place = http, place
        self._open: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes]

    async def advance(self, course: RunningOperation[Any]) -> None:
        """Do the step that the operation wants, and tell it what came of it."""
        import httpx

        assert course.step is not None
        try:
            outcome = await self._do(course.step)
        except httpx.TransportError as error:
            course.fail(self._place.failure(error))
        else:
            course.go_on(outcome)

    async def aclose(self) -> None:
        """Let the open body go."""
        if self._open is not None:
            await self._open.aclose()

    async def _do(self, step: Step) -> Any:
        match step:
            case Ask():
                return _answer(await self._send(step, stream=False), whole=True)
            case Open(ask):
                await self.aclose()
                response = self._open = await self._send(ask, stream=True)
                if response.status_code != 200:
                    await response.aread()
                self._pieces = response.aiter_bytes()
                return _answer(response, whole=response.status_code != 200)
            case Read():
                return await anext(self._pieces, None)
            case Pause(seconds):
                import anyio

                await anyio.sleep(seconds)
        return None

    async def _send(self, ask: Ask, *, stream: bool) -> httpx.Response:
        content = _async_parts(ask.body) if ask.body else None
        request = self._http.build_request(**self._place.options(ask), content=content)
        return await self._http.send(request, stream=stream)


def _answer(response: httpx.Response, *, whole: bool) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content if whole else b"")


def _parts(body: Pieces) -> Iterator[bytes]:
    for piece in body:
        for start in range(0, len(piece), _PART):
            yield bytes(piece[start : start + _PART])


async def _async_parts(body: Pieces) -> AsyncIterator[bytes]:
    for part in _parts(body):
        yield part
