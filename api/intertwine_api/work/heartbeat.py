"""The heartbeat of a job's process, by which it also learns that it must end."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from intertwine_api.work.job import Job
from intertwine_api.work.job_kind import Stopped
from intertwine_api.work.queue import Fenced, Queue

_LOG = logging.getLogger("intertwine.jobs")
_SHORTEST = 0.5  # seconds between two reports of progress
_REPORTS = 1000  # the most of a job, apart from heartbeats
_BEATS = 6  # heartbeats in a lease
_POLITE = 2.0  # seconds for a job to end by itself


class Heartbeat:
    """Extends the lease of a job from a thread, with the latest progress, while it is entered.

    If the job is cancelled, or another attempt holds it, `check` raises `Stopped`; some seconds
    later the process ends.
    """

    def __init__(self, queue: Queue, job: Job, lease_seconds: float) -> None:
        self._queue, self._job = queue, job
        self._interval = lease_seconds / _BEATS
        self._latest: deque[Mapping[str, Any]] = deque(maxlen=1)
        self._checkpoint: int | None = None
        self._to_end: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def report(self, progress: Mapping[str, Any]) -> None:
        """Report the job's progress. Only the latest is sent, and at most every half second."""
        self._latest.append(dict(progress))

    def saved(self, epoch: int) -> None:
        """Report the epoch of a checkpoint. It is sent with the next heartbeat."""
        self._checkpoint = epoch

    def check(self) -> None:
        """Raise `Stopped` if the job must end."""
        if self._to_end is not None:
            raise Stopped(self._to_end)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat_on(self) -> None:
        last = begun = time.monotonic()
        while not self._over.wait(min(_SHORTEST, self._interval)) and self._to_end is None:
            now = time.monotonic()
            pause = (now - begun) / _REPORTS if self._latest else self._interval
            if now - last >= min(pause, self._interval):
                last = now
                self._beat()
        if self._to_end is None:
            if self._latest:  # send the last report
                self._beat()
        elif not self._over.wait(_POLITE):
            _LOG.warning("this process ends: %s", self._to_end)
            logging.shutdown()
            os._exit(0)

    def _beat(self) -> None:
        progress = self._latest.pop() if self._latest else None
        try:
            state = self._queue.heartbeat(
                self._job.id, self._job.attempt, progress, self._checkpoint
            )
            if state == "cancelling":
                self._to_end = "the job was cancelled"
        except Fenced as error:
            self._to_end = str(error)
        except SQLAlchemyError as error:  # such as a long outage; the next heartbeat may succeed
            _LOG.warning("the heartbeat failed: %s", error)
