"""Rows of several callers as one array, and what comes of it as answers of theirs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from intertwine_api.wire.problems import Problem, ProblemError

Rows = Shaped[np.ndarray, "n d"]
Outputs = Shaped[np.ndarray, "n m"]

#: Takes (n, d) to (n, m), row by row: what it makes of a row depends on that row alone.
Function = Callable[[Rows], Outputs]


def sizes(most: int) -> tuple[int, ...]:
    """The sizes that batches of at most so many rows are padded to: powers of two, and the most.

    >>> sizes(10)
    (1, 2, 4, 8, 10)
    """
    return (*(2**k for k in range((most - 1).bit_length())), most)


def padded(rows: int, most: int) -> int:
    """The least of the `sizes` that has room for so many rows."""
    return min(1 << (rows - 1).bit_length(), most)


class Call:
    """What one caller asked for: rows, of which some were taken and some answered."""

    __slots__ = ("_answer", "_answered", "future", "rows", "taken")

    def __init__(self, rows: Rows, future: asyncio.Future[Outputs]) -> None:
        self.rows, self.future = rows, future
        self.taken = self._answered = 0
        self._answer: Outputs | None = None

    @property
    def waiting(self) -> int:
        """The rows that nobody has taken."""
        return len(self.rows) - self.taken

    def take(self, most: int) -> Piece:
        """The next of its rows, so many at most."""
        start, self.taken = self.taken, min(len(self.rows), self.taken + most)
        return Piece(self, start, self.taken)

    def drop(self) -> int:
        """Take what waits, for nothing; how many rows that were."""
        dropped, self.taken = self.waiting, len(self.rows)
        return dropped

    def put(self, start: int, outputs: Outputs) -> None:
        """Some of its answer. The caller gets it when it is whole."""
        self._answered += len(outputs)
        if len(outputs) == len(self.rows):
            self._answer = outputs
        else:
            if self._answer is None:
                self._answer = np.empty((len(self.rows), *outputs.shape[1:]), outputs.dtype)
            self._answer[start : start + len(outputs)] = outputs
        if self._answered == len(self.rows) and not self.future.done():
            self.future.set_result(self._answer)

    def fail(self, error: Exception) -> None:
        """Give the caller an error instead of an answer."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(frozen=True)
class Piece:
    """Rows of a call, from `start` up to `stop`, that are in one batch."""

    call: Call
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def inputs(self) -> Rows:
        """The rows themselves."""
        return self.call.rows[self.start : self.stop]


def compute(function: Function, pieces: Sequence[Piece], most: int) -> list[Outputs | Exception]:
    """The outputs of each piece, found in one call of the function.

    Where that fails, each piece is tried alone, so that only those fail that make it fail.
    """
    try:
        return list(_joined(function, pieces, most))
    except Exception as error:  # the caller is told, whatever it is
        if len(pieces) == 1:
            return [error]
    return [outcome for piece in pieces for outcome in compute(function, [piece], most)]


def _joined(function: Function, pieces: Sequence[Piece], most: int) -> list[Outputs]:
    first = pieces[0].inputs
    ends = np.cumsum([len(piece) for piece in pieces]).tolist()
    batch = np.zeros((padded(ends[-1], most), *first.shape[1:]), first.dtype)
    for piece, end in zip(pieces, ends, strict=True):
        batch[end - len(piece) : end] = piece.inputs
    outputs = function(batch)
    if len(outputs) != len(batch):
        raise ValueError(f"the function made {len(outputs)} rows of {len(batch)}")
    return [outputs[end - len(piece) : end] for piece, end in zip(pieces, ends, strict=True)]


#: Told how many rows each batch had.
Observe = Callable[[int], object]


@dataclass(frozen=True)
class BatchSettings:
    """The most rows of a batch, for how many seconds it may wait to fill, and the most rows that
    may wait in all.
    """

    rows: int = 64
    delay: float = 0.002
    queue_rows: int = 8192


class Batcher:
    """Joins concurrent calls of a function, which runs in a thread of its own, a batch at a time.

    While one batch is computed, the next gathers. A batch also waits for those who were there with
    the last one, since whoever got an answer tends to ask again, but no longer than `delay` after
    their answer; who comes alone is computed at once. Batches are padded with zeros to `sizes`, so
    that few shapes occur. Longer calls are cut. Who is cancelled takes no part any more, and whom
    the function fails for fails alone.

    Made and used in one running event loop, and ended by `end`.
    """

    def __init__(
        self,
        function: Function,
        settings: BatchSettings | None = None,
        *,
        observe: Observe | None = None,
        name: str = "batcher",
    ) -> None:
        self.settings = settings or BatchSettings()
        self._function, self._observe = function, observe
        self._loop = asyncio.get_running_loop()
        self._calls: deque[Call] = deque()
        self._computed: Sequence[Piece] = ()
        self._waiting = 0  # rows
        self._wanted = 1  # rows, of which the runner is told
        self._enough = asyncio.Event()
        self._expected, self._expected_until = 0, 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._runner = self._loop.create_task(self._run(), name=name)

    @property
    def waiting(self) -> int:
        """The rows that wait."""
        return self._waiting

    async def call(self, rows: Rows) -> Outputs:
        """The function's answer for one row or more, of the length and dtype that all calls have.

        Raises what the function raises for them, and `ProblemError` with ``busy`` where too many
        wait, and with ``not-ready`` after the end.
        """
        call = self._enter(rows)
        try:
            return await call.future
        except asyncio.CancelledError:
            self._drop(call)
            raise

    async def end(self) -> None:
        """Fail whoever waits, and end the thread when it has computed what it is at."""
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)
        await self._loop.run_in_executor(None, self._thread.shutdown)

    def _enter(self, rows: Rows) -> Call:
        if self._runner.done():
            raise ProblemError(_ENDED)
        if self._waiting and self._waiting + len(rows) > self.settings.queue_rows:
            raise ProblemError(_busy(self._waiting, self.settings.queue_rows), {"Retry-After": "1"})
        call = Call(rows, self._loop.create_future())
        self._calls.append(call)
        self._waiting += len(rows)
        if self._waiting >= self._wanted:
            self._enough.set()
        return call

    async def _run(self) -> None:
        try:
            while True:
                await self._gather()
                self._computed = self._take()
                if self._computed:
                    await self._answer(self._computed)
        finally:
            for call in [*(piece.call for piece in self._computed), *self._calls]:
                call.fail(ProblemError(_ENDED))

    async def _gather(self) -> None:
        """Wait for a row, and for as many as are expected, if they come soon."""
        await self._wait(1, None)
        seconds = self._expected_until - self._loop.time()
        if seconds > 0:
            await self._wait(min(self._expected, self.settings.rows), seconds)

    async def _wait(self, rows: int, seconds: float | None) -> None:
        if self._waiting >= rows:
            return
        self._wanted = rows
        self._enough.clear()
        with suppress(TimeoutError):  # then it is done with fewer
            async with asyncio.timeout(seconds):
                await self._enough.wait()
        self._wanted = 1

    def _take(self) -> list[Piece]:
        """The rows that have waited longest, as many as fit into a batch."""
        pieces: list[Piece] = []
        room = self.settings.rows
        while room and self._calls:
            call = self._calls[0]
            if call.future.done():
                self._drop(call)
            if call.waiting:
                pieces.append(call.take(room))
                room -= len(pieces[-1])
                self._waiting -= len(pieces[-1])
            if not call.waiting:
                self._calls.popleft()
        return pieces

    def _drop(self, call: Call) -> None:
        self._waiting -= call.drop()

    async def _answer(self, pieces: Sequence[Piece]) -> None:
        outcomes = await self._loop.run_in_executor(
            self._thread, compute, self._function, pieces, self.settings.rows
        )
        rows = sum(map(len, pieces))
        if self._observe is not None:
            self._observe(rows)
        self._expected = rows + self._waiting
        self._expected_until = self._loop.time() + self.settings.delay
        for piece, outcome in zip(pieces, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self._drop(piece.call)
                piece.call.fail(outcome)
            else:
                piece.call.put(piece.start, outcome)


def _busy(waiting: int, most: int) -> Problem:
    return Problem.of(
        "busy",
        f"{waiting:,} rows wait for this model already, and {most:,} may: ask again in a moment",
        limit_rows=most,
    )


_ENDED = Problem.of("not-ready", "the model has just been put away: ask again")
