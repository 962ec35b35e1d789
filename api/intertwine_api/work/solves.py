"""Solves in flight: one a key, shared by all requests for it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from intertwine_api.wire.basis_request import ParsedRequest
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work.service_metrics import ServiceMetrics
from intertwine_api.work.solver_pool import Pool

_REMEMBERED = 1000
_HELD_BYTES = 256 * 2**20


@dataclass
class Solve:
    """One solve: its state, its progress, and how it ended."""

    request: ParsedRequest
    state: str = "queued"
    stage: str = "waiting for a worker"
    fraction: float = 0.0
    problem: Problem | None = None
    document: dict[str, Any] | None = None
    cached: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def wait(self, seconds: float) -> bool:
        """Wait for the end at most `seconds`. Return whether it came. The solve goes on."""
        try:
            async with asyncio.timeout(seconds):
                await self.done.wait()
        except TimeoutError:
            return False
        return True


class Solves:
    """The solves of this process. The store's locks join those of several processes."""

    def __init__(self, pool: Pool, queue: int, metrics: ServiceMetrics) -> None:
        self._pool, self._queue, self._metrics = pool, queue, metrics
        self._running: dict[str, Solve] = {}
        self._failed: OrderedDict[str, Problem] = OrderedDict()
        self._unkept: OrderedDict[str, tuple[ParsedRequest, bytes]] = OrderedDict()

    def start(self, request: ParsedRequest) -> Solve:
        """Return the solve of a key that is in flight, or start one.

        Raises `ProblemError` with ``queue-full`` if too many wait.
        """
        if request.key in self._running:
            return self._running[request.key]
        if len(self._running) >= self._queue:
            problem = Problem.of("queue-full", f"{len(self._running)} solves are waiting")
            raise ProblemError(problem, {"Retry-After": "10"})
        solve = Solve(request)
        self._running[request.key] = solve
        self._failed.pop(request.key, None)
        self._metrics.queue.set(len(self._running))
        solve.task = asyncio.create_task(self._run(solve))
        return solve

    def running(self, key: str) -> Solve | None:
        """Return the solve of a key that is in flight, if any."""
        return self._running.get(key)

    def failure(self, key: str) -> Problem | None:
        """Return the problem of the last solve of a key, from memory; none is stored."""
        return self._failed.get(key)

    def unkept(self, key: str) -> tuple[ParsedRequest, bytes] | None:
        """Return the request and the basis of a key that the store could not keep, if any."""
        return self._unkept.get(key)

    async def end(self) -> None:
        """Cancel all solves in flight."""
        tasks = [solve.task for solve in self._running.values() if solve.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, solve: Solve) -> None:
        started, outcome = time.perf_counter(), "failed"
        try:
            async with self._pool.worker() as worker:
                solve.state = "running"

                def say(stage: str, fraction: float) -> None:
                    solve.stage, solve.fraction = stage, fraction

                done = await worker.solve(solve.request.task, say)
            solve.cached, solve.document = done["cached"], done.get("document")
            outcome = "joined" if solve.cached else "solved"
            self._hold(solve.request, done)
        except ProblemError as error:
            self._fail(solve, error.problem)
        except asyncio.CancelledError:
            self._fail(solve, Problem.of("not-ready", "the service is shutting down"))
            raise
        finally:
            self._metrics.solves.labels(outcome).inc()
            self._metrics.solve_seconds.observe(time.perf_counter() - started)
            del self._running[solve.request.key]
            self._metrics.queue.set(len(self._running))
            solve.done.set()

    @property
    def _held_bytes(self) -> int:
        return sum(len(blob) for _, blob in self._unkept.values())

    def _fail(self, solve: Solve, problem: Problem) -> None:
        solve.problem = problem
        self._failed[solve.request.key] = problem
        while len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)

    def _hold(self, request: ParsedRequest, done: dict[str, Any]) -> None:
        if done["blob"] is None:
            self._unkept.pop(request.key, None)
            return
        self._unkept[request.key] = request, base64.b64decode(done["blob"])
        while len(self._unkept) > 1 and self._held_bytes > _HELD_BYTES:
            self._unkept.popitem(last=False)
