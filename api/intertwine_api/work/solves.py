"""Solves, decompositions and checks in flight: one per key, shared by all requests for it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from intertwine_api.storage.keys import Caller
from intertwine_api.wire.basis_request import ParsedRequest
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work import traces
from intertwine_api.work.failures import out_of_time
from intertwine_api.work.host_coordination import ELSEWHERE, HostCoordination
from intertwine_api.work.service_metrics import ServiceMetrics
from intertwine_api.work.settings import Settings
from intertwine_api.work.solver_pool import Pool

_LOG = logging.getLogger("intertwine.service")
_REMEMBERED = 1000
_QUICK_OPERATIONS = 3e9  # done in a second or so, if the estimate is right
_ABANDONED_SECONDS = 5.0  # in which a caller whose connection broke may retry
_HELD_BYTES = 256 * 2**20


@dataclass
class Solve:
    """One solve: its state, its progress, and how it ended."""

    request: ParsedRequest
    shares: set[str | None]
    """The owners who want it, in whose turns it waits for a worker (see `Caller.share`)."""
    seconds: float
    operations: float
    """The estimated operations."""
    state: str = "queued"
    stage: str = "waiting for a worker"
    fraction: float = 0.0
    problem: Problem | None = None
    document: dict[str, Any] | None = None
    cached: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    waiting: Counter[str | None] = field(default_factory=Counter)
    """The number of requests that wait for it, by share."""
    promised: set[str | None] = field(default_factory=set)
    """The shares of requests whose responses have promised the result: it needs no caller."""
    owner: str = ""
    """The owner of the first request for it."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    since: float = field(default_factory=time.time)
    ran: float = 0.0
    """The seconds that workers have spent on it."""

    @property
    def method(self) -> str:
        """The requested method, which may be ``auto``, or the kind of another request."""
        kind = self.request.kind
        return self.request.method if kind == "solve" else kind

    async def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` for the end. Return whether it has ended."""
        try:
            async with asyncio.timeout(seconds):
                await self.done.wait()
        except TimeoutError:
            return False
        return True

    @property
    def callers(self) -> int:
        """The number of requests that wait for it."""
        return self.waiting.total()

    @property
    def is_wanted(self) -> bool:
        """Whether a request waits for it, or its result was promised."""
        return bool(self.promised) or self.callers > 0

    def promise(self, caller: Caller) -> None:
        """Continue the solve without callers, because a response has promised its result."""
        self.promised.add(caller.share)

    def count(self, caller: Caller, more: int) -> None:
        """Change the number of the caller's requests that wait for it.

        If no request waits, the last owner's share remains until the solve is cancelled.
        """
        self.waiting[caller.share] += more
        shares = {*(+self.waiting), *self.promised}
        if shares:
            self.shares &= shares  # turns has this set
            self.shares |= shares


class Solves:
    """The solves of this process. The store's locks join those of several processes.

    At most `Settings.queue` are in flight, and `Settings.key_solves` of one owner. A task that is
    estimated to be small gets a short turn if no worker is free for a long one.

    A solve that several owners want gets the earliest turn of any of them, and counts in the share
    of the owner in whose turn it began. It is cancelled some seconds after its last caller has
    disconnected.

    While another host solves for a key, its solve here waits without a worker, at most as long as
    its own time limit.
    """

    def __init__(
        self, pool: Pool, settings: Settings, metrics: ServiceMetrics, hosts: HostCoordination
    ) -> None:
        self._pool, self._settings, self._metrics = pool, settings, metrics
        self._hosts = hosts
        self._running: dict[str, Solve] = {}
        self._failed: OrderedDict[str, Problem] = OrderedDict()
        self._unkept: OrderedDict[str, tuple[ParsedRequest, bytes]] = OrderedDict()

    def start(
        self,
        request: ParsedRequest,
        caller: Caller,
        operations: float,
        seconds: float | None = None,
    ) -> Solve:
        """Return the solve of a key in flight, or start one with a time limit of `seconds`.

        `operations` is the estimate. Raises `ProblemError` with ``queue-full`` for too many solves,
        and with ``rate-limited`` for too many solves of the caller.
        """
        if request.key in self._running:
            return self._running[request.key]
        self.require_room(caller)
        seconds = seconds or self._settings.solve_seconds
        solve = Solve(request, {caller.share}, seconds, operations, owner=caller.owner)
        self._running[request.key] = solve
        self._failed.pop(request.key, None)
        self._metrics.queue.set(len(self._running))
        solve.task = asyncio.create_task(self._run(solve))
        # a task that is cancelled before its first step runs no `finally`
        solve.task.add_done_callback(lambda _: solve.done.set())
        return solve

    @contextmanager
    def wanted(self, solve: Solve, caller: Caller) -> Iterator[None]:
        """Count a waiting caller in this block, in whose turn the solve may start.

        Some seconds after the last caller has left, the solve is cancelled, unless another one has
        come or the result was promised.
        """
        solve.count(caller, 1)
        self._pool.look()
        try:
            yield
        finally:
            solve.count(caller, -1)
            if not (solve.is_wanted or solve.done.is_set()):
                asyncio.get_running_loop().call_later(_ABANDONED_SECONDS, self._abandon, solve)

    def require_room(self, caller: Caller) -> None:
        """Raise the `ProblemError` of `start` if it cannot start another solve now."""
        if len(self._running) >= self._settings.queue:
            problem = Problem.of("queue-full", f"{len(self._running)} solves are waiting")
            raise ProblemError(problem, {"Retry-After": "10"})
        own = sum(caller.share in solve.shares for solve in self._running.values())
        if caller.share is not None and own >= self._settings.key_solves:
            detail = f"{own} solves of {caller.owner} are waiting, which is the limit: wait for one"
            raise ProblemError.of("rate-limited", detail, headers={"Retry-After": "10"})

    def _abandon(self, solve: Solve) -> None:
        if not solve.is_wanted:
            self._end(solve)

    def _end(self, solve: Solve) -> bool:
        """Cancel a solve. Return whether it was in flight."""
        if solve.task is None or self._running.get(solve.request.key) is not solve:
            return False
        del self._running[solve.request.key]  # a new caller starts another
        solve.task.cancel()
        return True

    def cancel(self, solve: Solve, reason: str) -> bool:
        """Cancel a solve with the problem ``ended-by-admin``. Return whether it was in flight."""
        is_ended = self._end(solve)
        if is_ended:
            self._fail(solve, Problem.of("ended-by-admin", reason))
        return is_ended

    def in_flight(self) -> list[Solve]:
        """Return the solves in flight, oldest first."""
        return list(self._running.values())

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
        started, outcome, method = time.perf_counter(), "failed", solve.method
        try:
            done = await self._work(solve)
            method = done.get("method", method)
            solve.cached, solve.document = done["cached"], done.get("document")
            outcome = done.get("outcome", "joined" if solve.cached else "solved")
            self._hold(solve.request, done)
        except ProblemError as error:
            self._fail(solve, error.problem)
        except Exception:
            _LOG.exception("the solve of %s failed", solve.request.key)
            detail = "an unexpected error occurred: see the service's log"
            self._fail(solve, Problem.of("internal", detail))
        except asyncio.CancelledError:
            outcome = "cancelled"
            if solve.problem is None:
                solve.problem = Problem.of("not-ready", "the service is shutting down")
            raise
        finally:
            self._metrics.solves.labels(outcome).inc()
            self._observe(method, time.perf_counter() - started, solve.ran)
            if self._running.get(solve.request.key) is solve:  # it was not abandoned
                del self._running[solve.request.key]
            self._metrics.queue.set(len(self._running))
            solve.done.set()

    def _observe(self, method: str, took: float, ran: float) -> None:
        self._metrics.solve_seconds.observe(took)
        self._metrics.solve_wait_seconds.labels(method).observe(took - ran)
        if ran > 0:
            self._metrics.solve_run_seconds.labels(method).observe(ran)

    async def _work(self, solve: Solve) -> dict[str, Any]:
        """Return the result of a worker, found in a short or a long turn."""

        def say(stage: str, fraction: float) -> None:
            solve.stage, solve.fraction = stage, fraction

        is_long = solve.operations > _QUICK_OPERATIONS
        attributes = {
            "intertwine.key": solve.request.key,
            "intertwine.operations": solve.operations,
        }
        key = solve.request.basis
        # a check takes less time than waiting for the result of another host
        patience = solve.seconds if solve.request.kind == "solve" else 0.0
        task = solve.request.task

        def wait() -> None:
            nonlocal task
            say(ELSEWHERE, 0.0)
            task = json.dumps({**json.loads(solve.request.task), "expected": True})

        while True:
            if key is not None:
                patience -= await self._hosts.wait(key, patience, wait)
            say("waiting for a worker", 0.0)
            async with self._pool.worker(solve.shares, is_long=is_long) as turn:
                lease = None if key is None else await self._hosts.take(key)
                if key is not None and lease is None and patience > 0:
                    continue  # another host was faster
                solve.state = "running"
                short = turn.is_short and self._settings.short_seconds < solve.seconds
                seconds = self._settings.short_seconds if short else solve.seconds
                began, uploads = time.perf_counter(), None
                try:
                    with traces.span("solver.solve", attributes | {"intertwine.is_short": short}):
                        done = await turn.place.solve(task, say, seconds)
                    if key is not None and not done["cached"]:
                        uploads = turn.place.uploads(key)
                    return done
                except TimeoutError:
                    if not short:
                        limit = solve.seconds
                        raise ProblemError(out_of_time("the solve", limit, limit)) from None
                    self._pool.bar(turn.owner)
                finally:
                    solve.ran += time.perf_counter() - began
                    if lease is not None:
                        self._hosts.release(lease, uploads)
            is_long, solve.state = True, "queued"

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
