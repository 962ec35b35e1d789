"""The sign of life of a job's process, and how it learns that it is to end."""

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
_REPORTS = 1000  # of a job, and more only where they would come later than a sign of life
_BEATS = 6  # in a lease
_POLITE = 2.0  # seconds in which a job that is to end may end by itself


class Heartbeat:
    """Extends the lease of a job from a thread, with the latest progress, while it is entered.

    Where the job was cancelled, or belongs to another attempt by now, the process ends, after
    some seconds in which `check` says so.
    """

    def __init__(self, queue: Queue, job: Job, lease_seconds: float) -> None:
        self._queue, self._job = queue, job
        self._interval = lease_seconds / _BEATS
        self._latest: deque[Mapping[str, Any]] = deque(maxlen=1)
        self._to_end: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def report(self, progress: Mapping[str, Any]) -> None:
        """Tell how far the job is. Only the latest is sent, and not too often."""
        self._latest.append(dict(progress))

    def check(self) -> None:
        """Raise `Stopped` if the job is to end."""
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
            if self._latest:  # the last is worth telling
                self._beat()
        elif not self._over.wait(_POLITE):
            _LOG.warning("this process ends: %s", self._to_end)
            logging.shutdown()
            os._exit(0)

    def _beat(self) -> None:
        progress = self._latest.pop() if self._latest else None
        try:
            if self._queue.heartbeat(self._job.id, self._job.attempt, progress) == "cancelling":
                self._to_end = "the job was cancelled"
        except Fenced as error:
            self._to_end = str(error)
        except SQLAlchemyError as error:  # the next beat may come through
            _LOG.warning("the database did not hear of this job: %s", error)
