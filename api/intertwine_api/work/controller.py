"""The controller: starts the jobs of a host through an executor, and records how they end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from intertwine_api.storage.outages import cause_of_outage, is_outage
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.executor import Executor, Exit
from intertwine_api.work.failures import UNTOLD, from_exit, is_lost, loss
from intertwine_api.work.host import HostCapacity, JobEnvironment, host_of
from intertwine_api.work.job import Job
from intertwine_api.work.local import LocalExecutor
from intertwine_api.work.queue import Fenced, Queue
from intertwine_api.work.settings import Settings, usable_far_tiers

_LOG = logging.getLogger("intertwine.jobs")
_INTERVAL = 0.5  # seconds between two looks at the jobs
_PATIENCE = 10.0  # seconds for a look to end, if the database does not answer
_GRACE = 0.5  # of a lease: the time from its expiry until the job is lost
_SLOW = 2.0  # seconds that a check may take on a busy host, and the longest pause between two
_LONGEST = 30.0  # seconds between looks that fail


class Controller:
    """A thread that claims jobs for this host, watches their processes, and records their ends.

    It may be stopped at any time: jobs go on, and the next controller of the host adopts them.
    Several controllers of one host are safe, because the second transition is fenced.
    """

    def __init__(self, queue: Queue, executor: Executor, capacity: HostCapacity) -> None:
        self._queue, self._executor, self._capacity = queue, executor, capacity
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)
        self._renewed: dict[str, float] = {}
        self._expired = _ExpiredLeases(capacity.lease_seconds * _GRACE)

    @property
    def executor(self) -> str:
        """The name of the executor, which runs the jobs."""
        return self._executor.name

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and leave the jobs running."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def wake(self) -> None:
        """Look at the jobs now, because one was submitted or cancelled."""
        self._wake.set()

    def _run(self) -> None:
        pause = _INTERVAL
        while not self._stopped.is_set():
            try:
                self.look()
                pause = _INTERVAL
            except Exception as error:  # jobs and this thread go on
                _log(error, f"the jobs cannot be checked; the next attempt is in {pause:g} s")
                pause = min(2 * pause, _LONGEST)
            self._wake.wait(pause)
            self._wake.clear()

    def look(self) -> None:
        """Check every job of this host once, and claim new ones while there are free slots."""
        with self._expired.watched():
            self._look()

    def _look(self) -> None:
        self._executor.reconcile()
        expired = self._expired.silent(self._queue.expired())
        silent = {(job.id, job.attempt) for job in expired}
        held = self._queue.held(self._capacity.host)
        self._renewed = {job.id: self._renewed.get(job.id, 0.0) for job in held}
        for job in held:
            with _concerning(job):
                self._inspect(job, is_silent=(job.id, job.attempt) in silent)
        for job in expired:
            if job.host != self._capacity.host:
                with _concerning(job):
                    self._queue.lose(
                        job.id,
                        job.attempt,
                        f"{job.host} has not sent a heartbeat for a lease",
                        lease_expires=job.lease_expires,
                    )
        while not self._stopped.is_set() and self._take():
            pass

    def _take(self) -> bool:
        job = self._queue.claim(self._capacity.host, self._capacity.slots)
        if job is None:
            return False
        command = [*self._capacity.command, job.id, str(job.attempt)]
        with _concerning(job):
            try:
                external_id = self._executor.submit(job, command, self._capacity.environment)
            except OSError as error:
                self._queue.lose(job.id, job.attempt, f"it could not be started: {error}")
                return True
            try:
                self._queue.placed(job.id, job.attempt, external_id)
            except Fenced:
                self._executor.cancel(replace(job, external_id=external_id), 0.0)
                raise
        return True

    def _inspect(self, job: Job, *, is_silent: bool) -> None:
        state = self._executor.state(job)
        if state == "running":
            if job.state == "cancelling":
                self._executor.cancel(job, self._capacity.grace)
            else:
                self._renew(job)
            return
        if state == "gone":
            if job.external_id is None and not is_silent:
                return  # another controller has claimed it and is about to start it
            self._executor.cancel(job, 0.0)  # its supervisor may have left processes
        self._tell(job, state)

    def _renew(self, job: Job) -> None:
        """Renew the lease of a process that may be too busy, or too new, to do so itself."""
        now = time.monotonic()
        if now - self._renewed[job.id] > self._capacity.lease_seconds / 3:
            self._queue.heartbeat(job.id, job.attempt)
            self._renewed[job.id] = now

    def _tell(self, job: Job, ended: Exit | Literal["gone"]) -> None:
        """Record the end of a process that has not reported it."""
        if job.state == "cancelling":
            self._queue.cancelled(job.id, job.attempt, job.reason)
        elif ended == "gone":
            self._queue.lose(job.id, job.attempt, "its process is gone")
        elif is_lost(ended):
            self._queue.lose(job.id, job.attempt, loss(ended), counts=ended.code != UNTOLD)
        else:
            log = self._executor.last_lines(job)
            self._queue.fail(job.id, job.attempt, from_exit(ended, job.limits, log))


class _ExpiredLeases:
    """The expired leases, and the time at which this controller first saw each.

    A lease may expire because no heartbeat could be written: the database was unavailable, the
    host was suspended, or the clock was set forward. So a job is silent only if its lease has not
    changed for `grace` seconds, and all checks in that time succeeded quickly.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._since: dict[tuple[str, int, float | None], float] = {}
        self._last = time.monotonic()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Forget all leases if a check fails, takes long, or starts long after the last one."""
        begun = time.monotonic()
        if begun - self._last > max(self._grace / 2, _SLOW):
            self._since.clear()
        try:
            yield
        except BaseException:
            self._since.clear()
            raise
        finally:
            self._last = time.monotonic()
        if self._last - begun > max(self._grace / 2, _SLOW):
            self._since.clear()

    def silent(self, expired: Sequence[Job]) -> list[Job]:
        """Return the jobs whose leases have been expired for at least the grace period."""
        now = time.monotonic()
        self._since = {lease: self._since.get(lease, now) for lease in map(_lease, expired)}
        return [job for job in expired if now - self._since[_lease(job)] >= self._grace]


def _lease(job: Job) -> tuple[str, int, float | None]:
    return job.id, job.attempt, job.lease_expires


@contextmanager
def _concerning(job: Job) -> Iterator[None]:
    """Log an error of one job, so that the others are still checked."""
    try:
        yield
    except (Fenced, ProblemError) as error:
        _LOG.debug("job %s went on without this controller: %s", job.id, error)
    except Exception as error:
        _log(error, f"job {job.id} cannot be checked")


def _log(error: Exception, what: str) -> None:
    """Log an error: with its traceback, unless the database or the bucket is unavailable."""
    if is_outage(error):
        _LOG.warning("%s: %s: %s", what, cause_of_outage(error), error)
    else:
        _LOG.error("%s", what, exc_info=error)


def host_capacity(settings: Settings, store: Path) -> HostCapacity:
    """Return the capacity of this host, as the settings have it, with the store of bases."""
    environment = JobEnvironment(
        settings.home,
        settings.database_url,
        store,
        settings.lease_seconds,
        far_tiers=usable_far_tiers(),
        objects=settings.objects,
        objects_cache_bytes=settings.objects_cache_bytes,
    )
    return HostCapacity(
        host=host_of(settings.home / "jobs"),
        slots=settings.jobs,
        environment=environment.to_variables(),
        lease_seconds=settings.lease_seconds,
    )


def make_controller(settings: Settings, capacity: HostCapacity, queue: Queue) -> Controller:
    """Return the controller of this host's jobs."""
    executor = LocalExecutor(settings.home / "jobs", capacity.grace, settings.job_log_bytes)
    return Controller(queue, executor, capacity)
