"""What can be asked of the jobs of a database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, select

from intertwine_api.database import Database
from intertwine_api.database.clock import now
from intertwine_api.database.tables import jobs
from intertwine_api.jobs import claims, listing
from intertwine_api.jobs.events import no_such_job
from intertwine_api.jobs.job import ENDED, HELD, Job, Kind, NewJob, State
from intertwine_api.jobs.rows import digest_of, job_of
from intertwine_api.problems import Problem, ProblemError

_HELD = select(jobs).where(jobs.c.state.in_(HELD)).order_by(jobs.c.created, jobs.c.id)


class Lookup:
    """The jobs of a database, as they are. Threads may share one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, job_id: str) -> Job:
        """The job."""
        with self._database.read() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
            return known(None if row is None else job_of(row), job_id)

    def handed_in(self, new: NewJob) -> Job | None:
        """The job that `Queue.submit` would find instead of handing in a new one.

        Raises `ProblemError` with ``idempotency-conflict`` where its request was another.
        """
        with self._database.read() as connection:
            return handed_in(connection, new)

    def page(
        self,
        *,
        owner: str | None = None,
        state: State | None = None,
        kind: Kind | None = None,
        label: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[list[Job], str | None]:
        """So many jobs, the newest first, and the cursor of the next page, if there is one.

        Raises `ProblemError` with ``invalid-request`` where `after` is no cursor.
        """
        wanted = {"owner": owner, "state": state, "kind": kind}
        filters = [jobs.c[name] == value for name, value in wanted.items() if value is not None]
        with self._database.read() as connection:
            if label is not None:
                filters.append(listing.has_label(connection, label))
            return listing.page(connection, filters, after, limit)

    def latest(self, subject: str) -> Job | None:
        """The newest job about a subject."""
        newest = jobs.c.created.desc(), jobs.c.id.desc()
        found = self._jobs(select(jobs).where(jobs.c.subject == subject).order_by(*newest).limit(1))
        return found[0] if found else None

    def held(self, host: str) -> list[Job]:
        """The jobs that a host holds, the oldest first."""
        return self._jobs(_HELD.where(jobs.c.host == host))

    def expired(self) -> list[Job]:
        """The jobs, of any host, whose process has not been heard of for a lease."""
        with self._database.read() as connection:
            found = connection.execute(_HELD.where(jobs.c.lease_expires < now(connection)))
            return [job_of(row) for row in found]

    def waiting(
        self, job: Job, *, host: str | None = None, slots: int | None = None
    ) -> tuple[int, str]:
        """A queued job's position, 1 for the next, and why it waits, in words.

        The words are better if they are told which host would run it, and how many places that
        has. The position of a job that no longer waits is 0.
        """
        with self._database.read() as connection:
            return claims.waiting(connection, job, host, slots)

    def unfinished(self, owner: str) -> int:
        """How many of an owner's jobs have not ended."""
        with self._database.read() as connection:
            return unfinished(connection, owner)

    def counts(self) -> dict[tuple[Kind, State], int]:
        """How many jobs there are of each kind in each state; of those that have none, nothing."""
        counted = select(jobs.c.kind, jobs.c.state, func.count()).group_by(
            jobs.c.kind, jobs.c.state
        )
        with self._database.read() as connection:
            return {(kind, state): n for kind, state, n in connection.execute(counted)}

    def _jobs(self, query: Select[Any]) -> list[Job]:
        with self._database.read() as connection:
            return [job_of(row) for row in connection.execute(query)]


def known(job: Job | None, job_id: str) -> Job:
    """The job, if there is one. Raises `ProblemError` with ``not-found``."""
    if job is None:
        raise no_such_job(job_id)
    return job


def unfinished(connection: Connection, owner: str) -> int:
    """How many of an owner's jobs have not ended."""
    counted = select(func.count()).where(jobs.c.owner == owner, jobs.c.state.not_in(ENDED))
    return int(connection.execute(counted).scalar_one())


def handed_in(connection: Connection, new: NewJob) -> Job | None:
    """The job that was handed in under the same idempotency key, if its owner has used that.

    Raises `ProblemError` with ``idempotency-conflict`` where its request was another.
    """
    if new.idempotency_key is None:
        return None
    query = select(jobs).where(
        jobs.c.owner == new.owner, jobs.c.idempotency_key == new.idempotency_key
    )
    row = connection.execute(query).one_or_none()
    if row is not None and row.request_digest != digest_of(new):
        detail = (
            f"the idempotency key {new.idempotency_key!r} belongs to job {row.id}, whose request "
            "was another: send a new key with a new request"
        )
        raise ProblemError(Problem.of("idempotency-conflict", detail, job=row.id))
    return None if row is None else job_of(row)
