"""The pool of worker processes. Each worker does one solve or decomposition at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from intertwine.memory import kills_for_memory
from intertwine_cache import TierStatistics
from intertwine_cache.chain import FINISH_SECONDS
from intertwine_cache.layout import Layout
from intertwine_cache.tiers.statistics import add_statistics

from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work import traces
from intertwine_api.work.failures import died, out_of_memory
from intertwine_api.work.settings import Settings
from intertwine_api.work.tier_reports import (
    TierCounts,
    TierReport,
    counts_of,
    read_reports,
    sum_counts,
)
from intertwine_api.work.turns import Turn, Turns

_LOG = logging.getLogger("intertwine.service")
_LINE = 2**28  # the longest message, in bytes
_START_SECONDS = 60.0
_BARRED_SECONDS = 30.0  # a killed worker takes seconds to start again, while others wait

#: Called with the stage in words, and the fraction of it that is done.
Say = Callable[[str, float], None]
#: A message of a worker, or the error that says that there are no more.
_Message: TypeAlias = dict[str, Any] | Exception


class Worker:
    """A worker process. `solve` kills it if its task must be ended."""

    def __init__(self, command: list[str], memory: int) -> None:
        self._command, self._memory = command, memory
        self._process: asyncio.subprocess.Process | None = None
        self._messages: asyncio.Queue[_Message] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._uploads: dict[str, asyncio.Event] = {}
        self._kills = 0
        self._reports: dict[str, TierReport] = {}
        self._earlier: TierCounts = {}

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def tier_reports(self) -> Mapping[str, TierReport]:
        """The last report of the process on each far tier, by address."""
        return self._reports if self.is_running else {}

    @property
    def tier_counts(self) -> TierCounts:
        """The counts of far tiers of this worker's processes, until the last task of each."""
        return sum_counts((self._earlier, counts_of(self._reports)))

    def uploads(self, key: str) -> asyncio.Event | None:
        """Return the event that the result of a key is in the far tiers, or that the process ended.

        None if the result is not being uploaded.
        """
        return self._uploads.get(key)

    async def finish_uploads(self) -> None:
        """Wait for the uploads of the process."""
        for uploaded in list(self._uploads.values()):
            await uploaded.wait()

    async def solve(self, task: str, say: Say, seconds: float) -> dict[str, Any]:
        """Return the result of a task.

        Raises `TimeoutError` after `seconds`, and `ProblemError` if the task fails or the process
        ends.
        """
        self._kills = kills_for_memory()
        try:
            await self.start()
        except TimeoutError:
            await self.end()
            detail = f"the process that solves did not start in {_START_SECONDS:g} seconds"
            raise ProblemError.of("worker-died", detail) from None
        except (ConnectionError, asyncio.IncompleteReadError):
            raise await self._death() from None
        except OSError as error:  # too many processes or open files
            detail = f"the process that solves could not be started: {error.strerror}"
            raise ProblemError.of("worker-died", detail) from error
        try:
            async with asyncio.timeout(seconds):
                process = await self._started()
                assert process.stdin is not None
                process.stdin.write(task.encode() + b"\n")
                await process.stdin.drain()
                return await self._result(say)
        except TimeoutError:
            await self.end()
            raise
        except (ConnectionError, asyncio.IncompleteReadError):
            raise await self._death() from None
        except asyncio.CancelledError:
            await self.end()
            raise

    async def start(self) -> None:
        """Start the process, so that the first task does not wait for it."""
        async with asyncio.timeout(_START_SECONDS):
            await self._started()

    async def end(self) -> None:
        """Kill the process, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self.is_running:
            return self._process
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE,
            start_new_session=True,  # see `yield_processors`
        )
        self._process = process
        self._earlier, self._reports = self.tier_counts, {}
        self._messages, self._uploads = asyncio.Queue(), {}
        self._reader = asyncio.create_task(
            self._read(process, self._messages, self._uploads, self._reports),
            name="messages of a worker",
        )
        try:
            await self._message()  # its first message says that it is ready
        except asyncio.CancelledError:
            await self.end()
            raise
        return process

    async def _read(
        self,
        process: asyncio.subprocess.Process,
        messages: asyncio.Queue[_Message],
        uploads: dict[str, asyncio.Event],
        reports: dict[str, TierReport],
    ) -> None:
        """Read the messages of a process. Uploads go on after the end of their task."""
        assert process.stdout is not None
        try:
            while (line := await process.stdout.readline()).endswith(b"\n"):
                message: dict[str, Any] = json.loads(line)
                reports.update(read_reports(message.get("tiers", {})))
                if "uploaded" in message:
                    if (uploaded := uploads.pop(message["uploaded"], None)) is not None:
                        uploaded.set()
                    continue
                if key := message.get("done", {}).get("uploading"):
                    uploads.setdefault(key, asyncio.Event())
                messages.put_nowait(message)
            messages.put_nowait(asyncio.IncompleteReadError(line, None))
        except Exception as error:  # raised again where the message is waited for
            messages.put_nowait(error)
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # what it sends next could be taken for the result of another task
        finally:
            for uploaded in uploads.values():
                uploaded.set()
            uploads.clear()

    async def _message(self) -> dict[str, Any]:
        message = await self._messages.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def _result(self, say: Say) -> dict[str, Any]:
        while True:
            message = await self._message()
            if "progress" in message:
                say(message["progress"]["stage"], message["progress"]["fraction"])
            elif "done" in message:
                done: dict[str, Any] = message["done"]
                return done
            elif message["failed"]["code"] == "out-of-memory":
                await self.end()  # how much memory is left is unknown
                raise ProblemError(out_of_memory("the solve", self._memory))
            else:
                raise ProblemError(Problem(**message["failed"]))

    async def _death(self) -> ProblemError:
        """Return the problem of a process that ended by itself, with its signal or exit code."""
        process, self._process = self._process, None
        code = await process.wait() if process is not None else None
        _LOG.error("a worker ended with exit code %s", code)
        if code == -signal.SIGKILL and kills_for_memory() > self._kills:
            return ProblemError(out_of_memory("the solve", self._memory))
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return ProblemError(died("the solve", name))


class Pool:
    """A fixed number of workers, and an extra one for short turns. Each does one task at a time."""

    def __init__(self, settings: Settings, store: str, limit: int) -> None:
        memory, self._store = settings.solve_memory, Path(store)
        command = [sys.executable, "-P", "-m", "intertwine_api.work.solver_process"]
        command += ["--store", store]
        command += ["--store-limit", str(limit), "--memory", str(memory)]
        command += ["--unkept", str(settings.unkept_bytes)]
        long = [Worker([*command, "--long"], memory) for _ in range(settings.workers)]
        short = [Worker(command, memory)]
        self._workers = [*long, *short]
        share = settings.key_workers or max(1, settings.workers - 1)
        self._turns = Turns(long, short, share)
        self._starting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start every worker."""
        await asyncio.gather(*(worker.start() for worker in self._workers))

    @property
    def tier_reports(self) -> list[Mapping[str, TierReport]]:
        """The last reports on far tiers of each worker that runs (see `Worker.tier_reports`)."""
        return [worker.tier_reports for worker in self._workers if worker.is_running]

    @property
    def tier_counts(self) -> dict[str, TierStatistics]:
        """The counts of far tiers of all workers."""
        return sum_counts(worker.tier_counts for worker in self._workers)

    async def end(self) -> None:
        """End every worker, after waiting some seconds for uploads to far tiers.

        Their counts of far tiers are added to those in the store, because they are killed.
        """
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                await asyncio.gather(*(worker.finish_uploads() for worker in self._workers))
        except TimeoutError:
            _LOG.warning(
                "bases were not uploaded within %.0f seconds: they stay in the store of this "
                "service",
                FINISH_SECONDS,
            )
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in self._workers))
        if counts := self.tier_counts:
            await asyncio.to_thread(add_statistics, Layout(self._store), counts)

    @asynccontextmanager
    async def worker(
        self, owners: Collection[str | None], *, is_long: bool
    ) -> AsyncIterator[Turn[Worker]]:
        """Yield a turn at a worker, of one of these owners (see `Turns`)."""
        with traces.span("solver.wait", {"intertwine.is_long": is_long}):
            turn = await self._turns.take(owners, is_long=is_long)
        try:
            yield turn
        finally:
            if turn.place.is_running:
                self._turns.leave(turn)
            else:
                task = asyncio.create_task(self._start_again(turn))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)

    def look(self) -> None:
        """Give free workers to tasks whose owners have changed."""
        self._turns.look()

    def bar(self, owner: str | None) -> None:
        """Refuse short turns to an owner for a while, because one of its tasks had to be killed."""
        if owner is not None:
            self._turns.bar(owner, _BARRED_SECONDS)

    async def _start_again(self, turn: Turn[Worker]) -> None:
        """Start a worker whose process was ended, so that the next task does not wait for it."""
        try:
            await turn.place.start()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            _LOG.exception("a worker did not start: the next task tries again")
        finally:
            self._turns.leave(turn)
