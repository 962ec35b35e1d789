"""Dynamic batching: concurrent calls of one function are computed as one array."""

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

#: Maps (n, d) to (n, m). Each row of the output depends on the same row of the input only.
Function = Callable[[Rows], Outputs]


def sizes(most: int) -> tuple[int, ...]:
    """Return the padded batch sizes for at most `most` rows: powers of two, and `most`.

    >>> sizes(10)
    (1, 2, 4, 8, 10)
    """
    return (*(2**k for k in range((most - 1).bit_length())), most)


def padded(rows: int, most: int) -> int:
    """Return the smallest of the `sizes` that has room for `rows`."""
    return min(1 << (rows - 1).bit_length(), most)


class Call:
    """One caller's rows. Batches take them in pieces, and return their outputs."""

    __slots__ = ("_answer", "_answered", "future", "rows", "taken")

    def __init__(self, rows: Rows, future: asyncio.Future[Outputs]) -> None:
        self.rows, self.future = rows, future
        self.taken = self._answered = 0
        self._answer: Outputs | None = None

    @property
    def waiting(self) -> int:
        """The number of rows that no batch has taken."""
        return len(self.rows) - self.taken

    def take(self, most: int) -> Piece:
        """Take the next rows, at most `most`. Return them as a piece."""
        start, self.taken = self.taken, min(len(self.rows), self.taken + most)
        return Piece(self, start, self.taken)

    def drop(self) -> int:
        """Discard the waiting rows. Return their number."""
        dropped, self.taken = self.waiting, len(self.rows)
        return dropped

    def put(self, start: int, outputs: Outputs) -> None:
        """Set the outputs from row `start`. The caller gets the answer once it is complete."""
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
        """Raise an error in the caller."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `stop` of a call, which are in one batch."""

    call: Call
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def inputs(self) -> Rows:
        """The rows of the piece."""
        return self.call.rows[self.start : self.stop]


def compute(function: Function, pieces: Sequence[Piece], most: int) -> list[Outputs | Exception]:
    """Return the outputs of each piece, computed in one call of the function.

    If the call fails, each piece is retried alone, so an error affects only its own piece.
    """
    try:
        return list(_joined(function, pieces, most))
    except Exception as error:  # raised in the caller
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
        raise ValueError(f"the function returned {len(outputs)} rows for {len(batch)}")
    return [outputs[end - len(piece) : end] for piece, end in zip(pieces, ends, strict=True)]


#: Called with the number of rows of each batch.
Observe = Callable[[int], object]


@dataclass(frozen=True)
class BatchSettings:
    """The most rows of a batch, its delay to fill in seconds, and the most rows in the queue."""

    rows: int = 64
    delay: float = 0.002
    queue_rows: int = 8192


class Batcher:
    """Batches concurrent calls of a function, which runs in its own thread, one batch at a time.

    The next batch fills while one is computed. It waits for as many rows as the last one had,
    because callers often call again, but at most `delay` after the last answer. A single call is
    computed immediately. Batches are padded with zeros to `sizes`, so that few shapes occur. Long
    calls are split. Cancelled calls are dropped; an error affects only its own call.

    Create and use it in one running event loop. `end` stops it.
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
        self._threshold = 1  # rows; the runner wakes when as many wait
        self._enough = asyncio.Event()
        self._expected, self._expected_until = 0, 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._runner = self._loop.create_task(self._run(), name=name)

    @property
    def waiting(self) -> int:
        """The number of rows in the queue."""
        return self._waiting

    async def call(self, rows: Rows) -> Outputs:
        """Return the outputs of one or more rows. All calls share one row length and dtype.

        Raises the function's error for these rows, and `ProblemError` with ``busy`` if the queue
        is full, and with ``not-ready`` after the end.
        """
        call = self._enter(rows)
        try:
            return await call.future
        except asyncio.CancelledError:
            self._drop(call)
            raise

    async def end(self) -> None:
        """Fail all waiting calls, and stop the thread after its current batch."""
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
        if self._waiting >= self._threshold:
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
        """Wait for a row, then briefly for the expected number of rows."""
        await self._wait(1, None)
        seconds = self._expected_until - self._loop.time()
        if seconds > 0:
            await self._wait(min(self._expected, self.settings.rows), seconds)

    async def _wait(self, rows: int, seconds: float | None) -> None:
        if self._waiting >= rows:
            return
        self._threshold = rows
        self._enough.clear()
        with suppress(TimeoutError):  # continue with fewer rows
            async with asyncio.timeout(seconds):
                await self._enough.wait()
        self._threshold = 1

    def _take(self) -> list[Piece]:
        """Take the rows that have waited longest, as many as fit in a batch."""
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
        f"{waiting:,} of {most:,} rows already wait for this model: retry in a moment",
        limit_rows=most,
    )


_ENDED = Problem.of("not-ready", "the model was unloaded: retry")
