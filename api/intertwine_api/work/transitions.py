"""The state machine of jobs: the one place where a state is written.

    queued ─── leased ─── running ─── succeeded
       ╷          ╷          ╷
       │          ╰──────────┼─────── failed
       │                     │
       ╰──────── cancelling ─┴─────── cancelled

A lost worker leads from leased or running back to queued; a retry from failed or cancelled.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select, update

from intertwine_api.storage.database import Database, now
from intertwine_api.storage.tables import jobs
from intertwine_api.wire.vocabulary import HELD, State
from intertwine_api.work.events import append
from intertwine_api.work.job import Job, NewJob, job_of, values_of

#: The states that may follow each state. A job whose work was done before the cancel reached it
#: has succeeded.
MOVES: Mapping[State, tuple[State, ...]] = {
    "queued": ("leased", "cancelled"),
    "leased": ("running", "queued", "failed", "cancelling"),
    "running": ("succeeded", "queued", "failed", "cancelling"),
    "cancelling": ("succeeded", "cancelled"),
    "succeeded": (),
    "failed": ("queued",),
    "cancelled": ("queued",),
}

_LONGEST_REASON = 2000


class Fenced(Exception):
    """Raised if an attempt no longer holds the job: it must stop, and change nothing more."""


def enter(database: Database, connection: Connection, new: NewJob) -> Job | None:
    """Insert a queued job. Return it; None if its owner has used the idempotency key."""
    at = now(connection)
    row = {
        **values_of(new),
        "id": secrets.token_hex(8),
        "state": "queued",
        "reason": "handed in",
        "attempt": 0,
        "not_before": at,
        "created": at,
        "updated": at,
        "last_event": 0,
    }
    inserted = (
        database.insert(jobs)
        .values(row)
        .on_conflict_do_nothing(index_elements=["owner", "idempotency_key"])
    )
    found = connection.execute(inserted.returning(jobs)).one_or_none()
    return None if found is None else _told(connection, job_of(found))


def move(connection: Connection, job: Job, state: State, reason: str, **changes: Any) -> Job:
    """Move a job to a state, with an event. Return the job as it is then.

    Raises `Fenced` unless the job is still in the attempt and state of `job`.
    """
    if state not in MOVES[job.state]:
        raise ValueError(f"no job goes from {job.state} to {state}")
    moved = (
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.attempt == job.attempt, jobs.c.state == job.state)
        .values(state=state, reason=reason[:_LONGEST_REASON], updated=now(connection), **changes)
        .returning(jobs)
    )
    found = connection.execute(moved).one_or_none()
    if found is None:
        raise Fenced(f"job {job.id} is no longer {job.state} in attempt {job.attempt}")
    return _told(connection, job_of(found))


def locked(connection: Connection, job_id: str) -> Job | None:
    """Return a job, locked until the end of the transaction."""
    found = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update())
    row = found.one_or_none()
    return None if row is None else job_of(row)


def held(
    connection: Connection, job_id: str, attempt: int, states: tuple[State, ...] = HELD
) -> Job:
    """Return a job that this attempt holds in one of these states, locked. Raises `Fenced`."""
    job = locked(connection, job_id)
    if job is None or job.attempt != attempt:
        raise Fenced(f"attempt {attempt} of job {job_id} is over")
    if job.state not in states:
        raise Fenced(f"job {job_id} is {job.state}, not {' or '.join(states)}")
    return job


def _told(connection: Connection, job: Job) -> Job:
    data = {"state": job.state, "reason": job.reason, "attempt": job.attempt}
    return replace(job, last_event=append(connection, job.id, "state", data))
