"""The queue of jobs: rows that any number of processes on any hosts share."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, not_, select, update
from sqlalchemy.sql.elements import ColumnElement

from intertwine_api.storage.database import Database, now
from intertwine_api.storage.outages import retried
from intertwine_api.storage.tables import jobs
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.wire.vocabulary import ENDED, HELD, KINDS, Kind, State
from intertwine_api.work.events import append
from intertwine_api.work.job import Job, NewJob, Result, job_of
from intertwine_api.work.lookup import (
    ORDER,
    QUEUED,
    EndedJob,
    Lookup,
    is_due,
    is_solved_elsewhere,
    known,
    places_taken,
    submitted,
    unfinished,
)
from intertwine_api.work.transitions import Fenced, enter, held, locked, move

__all__ = ["Fenced", "Queue"]

_LOCKS = 1_769_236_837  # the namespace of these advisory locks of PostgreSQL
_LONGEST_PAUSE = 600.0  # seconds before a retry

#: The columns that belong to one attempt, as they are before the next.
_UNTOUCHED: Mapping[str, Any] = {
    "host": None,
    "external_id": None,
    "lease_expires": None,
    "started": None,
}


@retried
class Queue(Lookup):
    """The jobs of a database. Each method is one short transaction; threads may share one.

    What is said of a job by one of its attempts raises `Fenced` where that attempt is over: it was
    lost and another has begun, or the job has ended or was deleted. An unknown job raises
    `ProblemError` with ``not-found``.
    """

    def __init__(self, database: Database, lease_seconds: float = 30.0) -> None:
        super().__init__(database)
        self._lease = lease_seconds

    # -- called by its owner

    def submit(self, new: NewJob, most: int | None = None) -> tuple[Job, bool]:
        """Queue a job. Return the job, and whether it is new.

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
            assert earlier is not None  # its key was in the way
            return earlier, False

    def cancel(self, job_id: str, reason: str) -> Job:
        """Cancel a job: at once if it is queued, else by its host. Ended jobs do not change."""
        with self._database.write() as connection:
            job = known(locked(connection, job_id), job_id)
            if job.state == "queued":
                return move(connection, job, "cancelled", reason, ended=now(connection))
            if job.state in ("leased", "running"):
                return move(connection, job, "cancelling", reason)
            return job

    def retry(self, job_id: str, most: int | None = None) -> Job:
        """Queue a failed or cancelled job again, with as many attempts as at first.

        Raises `ProblemError` with ``wrong-state`` for one in another state, and with
        ``too-many-jobs`` as `submit` does.
        """
        with self._database.write() as connection:
            job = known(locked(connection, job_id), job_id)
            if most is not None:
                take_turns(connection, job.owner)
                _require_room(connection, job.owner, most)
            if job.state not in ("failed", "cancelled"):
                raise _wrong_state(job, "only failed and cancelled jobs can be retried")
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
        """Delete a job that has ended, with its events and metrics.

        Raises `ProblemError` with ``wrong-state`` for one that has not.
        """
        with self._database.write() as connection:
            job = known(locked(connection, job_id), job_id)
            if not job.has_ended:
                raise _wrong_state(job, "cancel it first, and delete it when it has ended")
            connection.execute(delete(jobs).where(jobs.c.id == job_id))

    def delete_ended(self, ended: EndedJob) -> bool:
        """Delete a job if it has not changed since it was found. Return whether it was deleted."""
        with self._database.write() as connection:
            if not _is_unchanged(connection, ended):
                return False
            connection.execute(delete(jobs).where(jobs.c.id == ended.id))
            return True

    def while_ended(self, ended: EndedJob, act: Callable[[], None]) -> bool:
        """Call a function while no retry can start, if the job has not changed since it was found.

        Return whether it was called. The function must be short, and may be called twice.
        """
        with self._database.write() as connection:
            if not _is_unchanged(connection, ended):
                return False
            act()
            return True

    # -- called by a host

    def claim(self, host: str, slots: int, kinds: Sequence[Kind] = KINDS) -> Job | None:
        """Claim the next job for a host, if one is due and the host holds fewer than `slots`.

        Concurrent claims never take a job twice, and never exceed `slots`. A solve waits while
        another job solves for the same basis, and then finds it in the store.
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
        """Store the executor's id of the job, which may have started or ended already."""
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, (*HELD, *ENDED))
            placing = update(jobs).where(jobs.c.id == job.id).values(external_id=external_id)
            return job_of(connection.execute(placing.returning(jobs)).one())

    def lose(
        self,
        job_id: str,
        attempt: int,
        reason: str,
        *,
        counts: bool = True,
        lease_expires: float | None = None,
    ) -> Job:
        """Requeue a job whose process is lost, with a longer pause each time.

        The job fails if its limit of attempts were lost in succession without a new checkpoint; an
        attempt that does not count allows another one. A job that was being cancelled is cancelled.
        With `lease_expires`, the job is lost only if its lease still expires then; otherwise it has
        sent a heartbeat, and `Fenced` is raised.
        """
        with self._database.write() as connection:
            job = held(connection, job_id, attempt)
            if lease_expires not in (None, job.lease_expires):
                raise Fenced(f"job {job_id} has sent a heartbeat")
            if job.state == "cancelling":
                return move(connection, job, "cancelled", reason, ended=now(connection))
            query = select(jobs.c.attempts_most).where(jobs.c.id == job_id)
            most = connection.execute(query).scalar_one()
            if not counts:
                most = min(most + 1, attempt + job.limits.attempts)
            left = most - attempt
            if left <= 0:
                detail = f"{reason}; {_lost_in_succession(job.limits.attempts)}"
                return _failed(connection, job, Problem.of("worker-died", detail))
            pause = _pause(job.limits.attempts - left)
            later = {"not_before": now(connection) + pause, "attempts_most": most}
            return move(connection, job, "queued", reason, **later, **_UNTOUCHED)

    def cancelled(self, job_id: str, attempt: int, reason: str) -> Job:
        """Mark a job as cancelled, after its process has ended."""
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, ("cancelling",))
            return move(connection, job, "cancelled", reason, ended=now(connection))

    # -- called by the job's own process

    def begin(self, job_id: str, attempt: int) -> Job:
        """Mark a job as running."""
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, ("leased",))
            changes = {"started": now(connection), "lease_expires": self._until(connection)}
            return move(connection, job, "running", f"runs on {job.host}", **changes)

    def heartbeat(
        self,
        job_id: str,
        attempt: int,
        progress: Mapping[str, Any] | None = None,
        checkpoint: int | None = None,
    ) -> State:
        """Extend the lease of a job, and store its progress, also as an event.

        `checkpoint` is the epoch of the attempt's last checkpoint. If it is later than those of
        earlier attempts, as many attempts may be lost as at first. Return the state of the job: at
        "cancelling" the process must end.
        """
        with self._database.write() as connection:
            job = held(connection, job_id, attempt)
            changes: dict[str, Any] = {
                "lease_expires": self._until(connection),
                "updated": now(connection),
            }
            told = job.progress if progress is None else progress
            earlier = job.progress.get("checkpoint", 0)
            if checkpoint is not None and checkpoint > earlier:
                changes["attempts_most"] = job.attempt + job.limits.attempts
                changes["progress"] = {**told, "checkpoint": checkpoint}
            elif progress is not None:  # the attempt resumed from the earlier checkpoint
                changes["progress"] = {**told, **({"checkpoint": earlier} if earlier else {})}
            if progress is not None:
                append(connection, job_id, "progress", changes["progress"])
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(changes))
            return job.state

    def succeed(self, job_id: str, attempt: int, result: Result) -> Job:
        """Mark a job as succeeded, even if it was being cancelled.

        Raises what a `Result` raises that writes to the database; then nothing changes.
        """
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, ("running", "cancelling"))
            reason = "done" if job.state == "running" else "was done before the cancel reached it"
            kept = result(connection) if callable(result) else result
            changes = {"result": dict(kept), "ended": now(connection)}
            return move(connection, job, "succeeded", reason, **changes)

    def fail(self, job_id: str, attempt: int, problem: Problem) -> Job:
        """Mark a job as failed with a problem that a retry would not solve."""
        with self._database.write() as connection:
            job = held(connection, job_id, attempt, ("leased", "running"))
            return _failed(connection, job, problem)

    def _until(self, connection: Connection) -> ColumnElement[float]:
        return now(connection) + self._lease


def _require_room(connection: Connection, owner: str, most: int) -> None:
    if unfinished(connection, owner) >= most:
        detail = f"{owner} has {most} unfinished jobs, which is the most: wait for one to end"
        raise ProblemError.of("too-many-jobs", detail, headers={"Retry-After": "10"})


def _is_unchanged(connection: Connection, ended: EndedJob) -> bool:
    """Lock a job. Return whether it has not been deleted or retried since it was found."""
    job = locked(connection, ended.id)
    return job is not None and (job.state, job.ended) == (ended.state, ended.ended)


def _failed(connection: Connection, job: Job, problem: Problem) -> Job:
    changes = {"problem": problem.model_dump(), "ended": now(connection)}
    return move(connection, job, "failed", problem.detail, **changes)


def _lost_in_succession(attempts: int) -> str:
    """Return why a job ends after this number of lost attempts, in words."""
    if attempts == 1:
        return "the attempt was lost without a new checkpoint, and its limit is 1 such attempt"
    return (
        f"{attempts} attempts in succession were lost without a new checkpoint, which is the limit"
    )


def _pause(lost: int) -> float:
    """Return the seconds until the next attempt, after `lost` lost ones."""
    return min(4.0 ** min(lost - 1, 10), _LONGEST_PAUSE)


def _wrong_state(job: Job, advice: str) -> ProblemError:
    detail = f"job {job.id} is {job.state}: {advice}"
    return ProblemError.of("wrong-state", detail, state=job.state)


def take_turns(connection: Connection, whose: str) -> None:
    """Block other claims for a host, or submissions by an owner, until the transaction ends.

    SQLite needs no lock, because it has one writer at a time.
    """
    if connection.dialect.name != "sqlite":
        number = zlib.crc32(whose.encode()) - 2**31  # as a signed number of 32 bits
        connection.execute(select(func.pg_advisory_xact_lock(_LOCKS, number)))


def next_due(connection: Connection, kinds: Sequence[Kind]) -> Job | None:
    """Return the next job to claim, locked; None if none is due.

    On PostgreSQL a job that another transaction is claiming is skipped.
    """
    due: Select[tuple[object, ...]] = (
        select(jobs)
        .select_from(QUEUED)
        .where(
            jobs.c.state == "queued",
            is_due(connection),
            not_(is_solved_elsewhere()),
            jobs.c.kind.in_(kinds),
        )
        .order_by(*ORDER)
        .limit(1)
        .with_for_update(of=jobs, skip_locked=True)
    )
    row = connection.execute(due).one_or_none()
    return None if row is None else job_of(row)
