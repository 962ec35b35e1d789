"""The queue of jobs, as rows that any number of processes on any hosts may share."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from intertwine_api.storage.database import Database, now
from intertwine_api.storage.tables import jobs
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.wire.vocabulary import ENDED, HELD, KINDS, Kind, State
from intertwine_api.work.events import append
from intertwine_api.work.job import Job, NewJob, Result, job_of
from intertwine_api.work.lookup import (
    ORDER,
    QUEUED,
    Lookup,
    known,
    places_taken,
    submitted,
    unfinished,
)
from intertwine_api.work.transitions import Fenced, enter, held, locked, move

__all__ = ["Fenced", "Queue"]

_LOCKS = 1_769_236_837  # tells these advisory locks of PostgreSQL from anybody else's
_LONGEST_PAUSE = 600.0  # seconds before a job is tried again

#: What of a row belongs to one attempt, as it is before the next.
_UNTOUCHED: Mapping[str, Any] = {
    "host": None,
    "external_id": None,
    "lease_expires": None,
    "started": None,
}


class Queue(Lookup):
    """The jobs of a database. Each method is one short transaction; threads may share one.

    What is said of a job by one of its attempts raises `Fenced` where that attempt is over: it was
    lost and another has begun, or the job has ended or was deleted. An unknown job raises
    `ProblemError` with ``not-found``.
    """

    def __init__(self, database: Database, lease_seconds: float = 30.0) -> None:
        super().__init__(database)
        self._lease = lease_seconds

    # -- what its owner does

    def submit(self, new: NewJob, most: int | None = None) -> tuple[Job, bool]:
        """Hand in a job: the job, and whether it is new.

        Under an idempotency key that the owner has used, the same request gives the job of then,
        and another raises `ProblemError` with ``idempotency-conflict``; ``too-many-jobs`` is raised
        where the owner has `most` unfinished jobs, however many are handed in at once.
        """
        with self._database.write() as connection:
            if most is not None:
                take_turns(connection, new.owner)
                earlier = submitted(connection, new)
                if earlier is not None:
                    return earlier, False
                _require_room(connection, new.owner, most)
            job = enter(self._database, connection, new)
            if job is not None:
                return job, True
            earlier = submitted(connection, new)
            assert earlier is not None  # it is what was in the way
            return earlier, False

    def cancel(self, job_id: str, reason: str) -> Job:
        """End a job that waits; have one that is on a host ended. One that has ended stays so."""
        with self._database.write() as connection:
            job = known(locked(connection, job_id), job_id)
            if job.state == "queued":
                return move(connection, job, "cancelled", reason, ended=now(connection))
            if job.state in ("leased", "running"):
                return move(connection, job, "cancelling", reason)
            return job

    def retry(self, job_id: str, most: int | None = None) -> Job:
        """Queue a job again that failed or was cancelled, with as many attempts as at first.

        Raises `ProblemError` with ``wrong-state`` for one in another state, and with
        ``too-many-jobs`` as `submit` does.
        """
        with self._database.write() as connection:
            job = known(locked(connection, job_id), job_id)
            if most is not None:
                take_turns(connection, job.owner)
                _require_room(connection, job.owner, most)
            if job.state not in ("failed", "cancelled"):
                raise _wrong_state(job, "only a job that failed or was cancelled is tried again")
            return move(
                connection,
                job,
                "queued",
                "tried again by hand",
                attempts_most=job.attempt + job.limits.attempts,
                not_before=now(connection),
                ended=None,
                progress=None,
                problem=None,
                **_UNTOUCHED,
            )

    def delete(self, job_id: str) -> None:
        """Forget a job that has ended, with its events and metrics.

        Raises `ProblemError` with ``wrong-state`` for one that has not.
        """
        with self._database.write() as connection:
            job = known(locked(connection, job_id), job_id)
            if not job.has_ended:
                raise _wrong_state(job, "cancel it, and delete it when it has ended")
            connection.execute(delete(jobs).where(jobs.c.id == job_id))

    # -- what a host does

    def claim(self, host: str, slots: int, kinds: Sequence[Kind] = KINDS) -> Job | None:
        """Take the next job for a host, if one is due and the host holds fewer than `slots`.

        No job is taken twice, and no host takes too many, however many processes claim at once.
        """
        with self._database.write() as connection:
            take_turns(connection, host)
            if places_taken(connection, host) >= slots:
                return None
            job = next_due(connection, kinds)
            if job is None:
                return None
            changes = {
                "attempt": job.attempt + 1,
                "host": host,
                "lease_expires": self._until(connection),
            }
            return move(connection, job, "leased", f"taken by {host}", **changes)

    def placed(self, job_id: str, attempt: int, external_id: str) -> Job:
        """Keep what the executor calls the job, which may have begun or even ended by now."""
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, (*HELD, *ENDED))
            placing = update(jobs).where(jobs.c.id == job.id).values(external_id=external_id)
            return job_of(connection.execute(placing.returning(jobs)).one())

    def lose(self, job_id: str, attempt: int, reason: str) -> Job:
        """The job's process is gone without a word: queue it again, later each time.

        After its last attempt it has failed; if it was to be cancelled, it is.
        """
        with self._database.write() as connection:
            job = held(connection, job_id, attempt)
            if job.state == "cancelling":
                return move(connection, job, "cancelled", reason, ended=now(connection))
            query = select(jobs.c.attempts_most).where(jobs.c.id == job_id)
            left = connection.execute(query).scalar_one() - attempt
            if left <= 0:
                detail = f"{reason}; that was the last of {job.limits.attempts} attempts"
                return _failed(connection, job, Problem.of("worker-died", detail))
            pause = _pause(job.limits.attempts - left)
            changes = {"not_before": now(connection) + pause, **_UNTOUCHED}
            return move(connection, job, "queued", reason, **changes)

    def cancelled(self, job_id: str, attempt: int, reason: str) -> Job:
        """The process of a job that was to be cancelled is gone."""
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, ("cancelling",))
            return move(connection, job, "cancelled", reason, ended=now(connection))

    # -- what the job's own process says

    def begin(self, job_id: str, attempt: int) -> Job:
        """The process runs."""
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, ("leased",))
            changes = {"started": now(connection), "lease_expires": self._until(connection)}
            return move(connection, job, "running", f"runs on {job.host}", **changes)

    def heartbeat(
        self, job_id: str, attempt: int, progress: Mapping[str, Any] | None = None
    ) -> State:
        """The process lives: its lease is extended, and its progress kept and told in an event.

        The answer is the job's state; in "cancelling" the process is to end.
        """
        with self._database.write() as connection:
            job = held(connection, job_id, attempt)
            changes: dict[str, Any] = {"lease_expires": self._until(connection)}
            if progress is not None:
                changes |= {"progress": dict(progress), "updated": now(connection)}
                append(connection, job_id, "progress", progress)
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(changes))
            return job.state

    def succeed(self, job_id: str, attempt: int, result: Result) -> Job:
        """The work is done, even if the job was to be cancelled.

        Raises what keeping the last of it does, and then nothing has changed.
        """
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, ("running", "cancelling"))
            reason = "done" if job.state == "running" else "was done before the cancel reached it"
            kept = result(connection) if callable(result) else result
            changes = {"result": dict(kept), "ended": now(connection)}
            return move(connection, job, "succeeded", reason, **changes)

    def fail(self, job_id: str, attempt: int, problem: Problem) -> Job:
        """The work cannot be done, and trying it again would not help."""
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, ("leased", "running"))
            return _failed(connection, job, problem)

    def _until(self, connection: Connection) -> ColumnElement[float]:
        return now(connection) + self._lease


def _require_room(connection: Connection, owner: str, most: int) -> None:
    if unfinished(connection, owner) >= most:
        detail = f"{owner} has {most} unfinished jobs, which is the most: wait for one to end"
        raise ProblemError(Problem.of("too-many-jobs", detail), {"Retry-After": "10"})


def _failed(connection: Connection, job: Job, problem: Problem) -> Job:
    changes = {"problem": problem.model_dump(), "ended": now(connection)}
    return move(connection, job, "failed", problem.detail, **changes)


def _pause(lost: int) -> float:
    """How long to wait, in seconds, after so many lost attempts."""
    return min(4.0 ** min(lost - 1, 10), _LONGEST_PAUSE)


def _wrong_state(job: Job, advice: str) -> ProblemError:
    detail = f"job {job.id} is {job.state}: {advice}"
    return ProblemError(Problem.of("wrong-state", detail, state=job.state))


def take_turns(connection: Connection, whose: str) -> None:
    """Let nobody else claim for this host, or hand in for this owner, until the transaction ends.

    SQLite has one writer at a time, and so no need.
    """
    if connection.dialect.name != "sqlite":
        number = zlib.crc32(whose.encode()) - 2**31  # as a signed number of 32 bits
        connection.execute(select(func.pg_advisory_xact_lock(_LOCKS, number)))


def next_due(connection: Connection, kinds: Sequence[Kind]) -> Job | None:
    """The job that is to be taken next, locked; None if none is due.

    On PostgreSQL a job that somebody is taking just now is passed over.
    """
    due: Select[tuple[object, ...]] = (
        select(jobs)
        .select_from(QUEUED)
        .where(
            jobs.c.state == "queued", jobs.c.not_before <= now(connection), jobs.c.kind.in_(kinds)
        )
        .order_by(*ORDER)
        .limit(1)
        .with_for_update(of=jobs, skip_locked=True)
    )
    row = connection.execute(due).one_or_none()
    return None if row is None else job_of(row)
