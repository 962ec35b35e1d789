"""The events of a job, numbered from 1 without gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from intertwine_api.storage.database import Database, now
from intertwine_api.storage.outages import retried
from intertwine_api.storage.tables import events, jobs
from intertwine_api.wire.problems import ProblemError


@dataclass(frozen=True)
class EventRecord:
    """One event of a job.

    By its type, `data` is: "state" {"state", "reason", "attempt"}; "progress" the progress
    document; "metrics" {"rows": [a row of metrics, …]}.
    """

    seq: int
    at: float
    type: str
    data: Mapping[str, Any]


def append(connection: Connection, job_id: str, type: str, data: Mapping[str, Any]) -> int:
    """Append an event to a job in the caller's transaction. Return its number.

    The job's row stays locked until the end of the transaction, so that events become visible in
    the order of their numbers. Raises `ProblemError` with ``not-found``.
    """
    counted = (
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(last_event=jobs.c.last_event + 1)
        .returning(jobs.c.last_event)
    )
    seq = connection.execute(counted).scalar()
    if seq is None:
        raise no_such_job(job_id)
    connection.execute(
        insert(events).values(job=job_id, seq=seq, at=now(connection), type=type, data=dict(data))
    )
    return int(seq)


@retried
class Events:
    """The events of all jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, job_id: str, seq: int = 0, limit: int = 500) -> list[EventRecord]:
        """Return the events of a job after the number `seq`, in order."""
        query = (
            select(events.c.seq, events.c.at, events.c.type, events.c.data)
            .where(events.c.job == job_id, events.c.seq > seq)
            .order_by(events.c.seq)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [EventRecord(*row) for row in connection.execute(query)]

    def add(self, job_id: str, type: str, data: Mapping[str, Any]) -> int:
        """Append an event to a job. Return its number. Raises `ProblemError` with ``not-found``."""
        with self._database.write() as connection:
            return append(connection, job_id, type, data)


def no_such_job(job_id: str) -> ProblemError:
    """Return the problem of a job that does not exist."""
    return ProblemError.of("not-found", f"there is no job {job_id[:64]}")
