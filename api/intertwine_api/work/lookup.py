"""Queries of the jobs of a database."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, case, exists, func, not_, or_, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from intertwine_api.storage.database import Database, has_item, now
from intertwine_api.storage.outages import retried
from intertwine_api.storage.tables import jobs, plain
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import ENDED, HELD, Kind, State
from intertwine_api.work.events import no_such_job
from intertwine_api.work.job import Job, NewJob, digest_of, job_of

_NEWEST = jobs.c.created.desc(), jobs.c.id.desc()
_HELD = select(jobs).where(jobs.c.state.in_(HELD)).order_by(jobs.c.created, jobs.c.id)

#: The number of jobs on hosts, by owner.
_BUSY = (
    select(jobs.c.owner, func.count().label("held"))
    .where(jobs.c.state.in_(HELD))
    .group_by(jobs.c.owner)
    .subquery("busy")
)
QUEUED = jobs.outerjoin(_BUSY, _BUSY.c.owner == jobs.c.owner)

#: Larger priorities first, then owners with fewer jobs on hosts, then older jobs.
ORDER: tuple[ColumnElement[object], ...] = (
    jobs.c.priority.desc(),
    func.coalesce(_BUSY.c.held, 0),
    jobs.c.created,
    jobs.c.id,
)


@dataclass(frozen=True)
class HostUse:
    """A host that runs jobs or has run some: how many it holds, and their last change."""

    name: str
    held: int
    last: float


@dataclass(frozen=True)
class EndedJob:
    """A job that has ended, and the seconds since its end."""

    id: str
    owner: str
    state: State
    ended: float
    age: float


@retried
class Lookup:
    """Queries of the jobs of a database. Threads may share one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, job_id: str) -> Job:
        """Return a job by its id. Raises `ProblemError` with ``not-found``."""
        with self._database.read() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
            return known(None if row is None else job_of(row), job_id)

    def submitted(self, new: NewJob) -> Job | None:
        """Return the job that `Queue.submit` would return instead of a new one.

        Raises `ProblemError` with ``idempotency-conflict`` where its request was another.
        """
        with self._database.read() as connection:
            return submitted(connection, new)

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
        """Return `limit` jobs, the newest first, and the cursor of the next page, if any.

        Raises `ProblemError` with ``invalid-request`` if `after` is not a cursor.
        """
        wanted = {"owner": owner, "state": state, "kind": kind}
        filters = [jobs.c[name] == value for name, value in wanted.items() if value is not None]
        with self._database.read() as connection:
            if label is not None:
                filters.append(has_item(connection, jobs.c.labels, label))
            query = select(jobs).where(*filters).limit(limit + 1)
            if after is not None:
                query = query.where(tuple_(jobs.c.created, jobs.c.id) < tuple_(*_read(after)))
            query = query.order_by(jobs.c.created.desc(), jobs.c.id.desc())
            found = [job_of(row) for row in connection.execute(query)]
        return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else None

    def latest(self, subject: str) -> Job | None:
        """Return the newest job about a subject: one on a host, else a queued one, else any."""
        order = jobs.c.state.in_(ENDED), jobs.c.state == "queued", *_NEWEST
        found = self._jobs(select(jobs).where(jobs.c.subject == subject).order_by(*order).limit(1))
        return found[0] if found else None

    def newest(self, subject: str, owner: str) -> Job | None:
        """Return an owner's newest job about a subject."""
        own = select(jobs).where(jobs.c.subject == subject, jobs.c.owner == owner)
        found = self._jobs(own.order_by(*_NEWEST).limit(1))
        return found[0] if found else None

    def held(self, host: str) -> list[Job]:
        """Return the jobs that a host holds, the oldest first."""
        return self._jobs(_HELD.where(jobs.c.host == host))

    def expired(self) -> list[Job]:
        """Return the jobs of all hosts whose lease has expired.

        If the clock has been set back since a job's last heartbeat, its lease cannot be compared
        with the clock, and counts as expired until the next heartbeat.
        """
        with self._database.read() as connection:
            at = now(connection)
            has_expired = or_(jobs.c.lease_expires < at, _is_in_the_future(at))
            return [job_of(row) for row in connection.execute(_HELD.where(has_expired))]

    def waiting(
        self, job: Job, *, host: str | None = None, slots: int | None = None
    ) -> tuple[int, str]:
        """Return a queued job's position, 1 for the next, and why it waits, in words.

        `host` and `slots`, the host that would run it and its capacity, make the words more
        exact. The position of a job that no longer waits is 0.
        """
        waits = self.waits([job], host=host, slots=slots)
        return waits.get(job.id, (0, "it waits no longer"))

    def waits(
        self, queued: Sequence[Job], *, host: str | None = None, slots: int | None = None
    ) -> dict[str, tuple[int, str]]:
        """Return what `waiting` does of several queued jobs, by id, with few queries.

        Jobs that no longer wait are left out.
        """
        ids = [job.id for job in queued]
        if not ids:
            return {}
        with self._database.read() as connection:
            positions = _positions(connection, ids)
            queue = _QueueNow(
                at=float(connection.execute(select(now(connection))).scalar_one()),
                taken=places_taken(connection, host),
                solved_elsewhere=_solved_elsewhere(connection, ids),
            )
        return {
            job.id: (positions[job.id], _why_queued(job, positions[job.id], queue, slots))
            for job in queued
            if job.id in positions
        }

    def unfinished(self, owner: str) -> int:
        """Return the number of an owner's unfinished jobs."""
        with self._database.read() as connection:
            return unfinished(connection, owner)

    def ended(self) -> list[EndedJob]:
        """Return the jobs that have ended, in the order of their ends."""
        with self._database.read() as connection:
            age = (now(connection) - jobs.c.ended).label("age")
            columns = jobs.c.id, jobs.c.owner, jobs.c.state, jobs.c.ended, age
            query = select(*columns).where(jobs.c.state.in_(ENDED), jobs.c.ended.is_not(None))
            query = query.order_by(jobs.c.ended, jobs.c.id)
            return [EndedJob(*row) for row in connection.execute(query)]

    def ids(self) -> set[str]:
        """Return the ids of all jobs."""
        with self._database.read() as connection:
            return set(connection.execute(select(jobs.c.id)).scalars())

    def unfinished_jobs(self) -> list[Job]:
        """Return the unfinished jobs of all owners: those on hosts, then the queue in order."""
        with self._database.read() as connection:
            query = select(jobs).select_from(QUEUED).where(jobs.c.state.not_in(ENDED))
            query = query.order_by(jobs.c.state == "queued", *ORDER)
            return [job_of(row) for row in connection.execute(query)]

    def counts(self) -> dict[tuple[Kind, State], int]:
        """Return the number of jobs by kind and state, without zeros."""
        counted = select(jobs.c.kind, jobs.c.state, func.count()).group_by(
            jobs.c.kind, jobs.c.state
        )
        with self._database.read() as connection:
            return {(kind, state): n for kind, state, n in connection.execute(counted)}

    def longest_wait(self) -> float:
        """Return the seconds that the oldest queued job has waited; zero without queued jobs."""
        with self._database.read() as connection:
            waits = select(now(connection) - func.min(jobs.c.updated))
            seconds = connection.execute(waits.where(jobs.c.state == "queued")).scalar_one()
        return max(0.0, float(seconds or 0.0))

    def hosts(self, most: int = 100) -> list[HostUse]:
        """Return the hosts of the jobs in the database, the last active first."""
        last = func.max(jobs.c.updated)
        held = func.sum(case((jobs.c.state.in_(HELD), 1), else_=0))
        query = select(jobs.c.host, held, last).where(jobs.c.host.is_not(None))
        query = query.group_by(jobs.c.host).order_by(last.desc()).limit(most)
        with self._database.read() as connection:
            return [HostUse(name, int(n), at) for name, n, at in connection.execute(query)]

    def _jobs(self, query: Select[Any]) -> list[Job]:
        with self._database.read() as connection:
            return [job_of(row) for row in connection.execute(query)]


def known(job: Job | None, job_id: str) -> Job:
    """Return the job. Raises `ProblemError` with ``not-found`` for None."""
    if job is None:
        raise no_such_job(job_id)
    return job


def unfinished(connection: Connection, owner: str) -> int:
    """Return the number of an owner's unfinished jobs."""
    counted = select(func.count()).where(jobs.c.owner == owner, jobs.c.state.not_in(ENDED))
    return int(connection.execute(counted).scalar_one())


def submitted(connection: Connection, new: NewJob) -> Job | None:
    """Return the job that its owner submitted earlier under the same idempotency key, if any.

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
        raise ProblemError.of("idempotency-conflict", detail, job=row.id)
    return None if row is None else job_of(row)


def _cursor(job: Job) -> str:
    return f"{job.created!r}-{job.id}"


def _read(cursor: str) -> tuple[float, str]:
    created, _, job_id = cursor.partition("-")
    try:
        at = float(created)
    except ValueError:
        at = math.nan
    if not math.isfinite(at):
        detail = f"{cursor[:64]!r} is not a cursor: give `next` of the page before"
        raise ProblemError.of("invalid-request", detail)
    return at, plain(job_id)


def places_taken(connection: Connection, host: str | None = None) -> int:
    """Return the number of jobs that a host holds, or all hosts."""
    taken = select(func.count()).select_from(jobs).where(jobs.c.state.in_(HELD))
    if host is not None:
        taken = taken.where(jobs.c.host == host)
    return int(connection.execute(taken).scalar_one())


def is_due(connection: Connection) -> ColumnElement[bool]:
    """Whether a queued job may be claimed because its pause is over.

    If the clock has been set back since the job was queued, its pause cannot be measured, and
    counts as over.
    """
    at = now(connection)
    return or_(jobs.c.not_before <= at, _is_in_the_future(at))


def is_solved_elsewhere() -> ColumnElement[bool]:
    """Whether a queued solve waits for another job, on a host, that solves for the same basis."""
    other = jobs.alias("other")
    same = other.c.kind == "solve", other.c.subject == jobs.c.subject, other.c.state.in_(HELD)
    return and_(jobs.c.kind == "solve", exists(select(other.c.id).where(*same).correlate(jobs)))


def _is_in_the_future(at: ColumnElement[float]) -> ColumnElement[bool]:
    """Whether a job's last change is later than `at`, because the clock has been set back since."""
    return jobs.c.updated > at


def _solved_elsewhere(connection: Connection, ids: Sequence[str]) -> frozenset[str]:
    found = select(jobs.c.id).where(jobs.c.id.in_(ids), is_solved_elsewhere())
    return frozenset(connection.execute(found).scalars())


def _positions(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Return the positions of jobs in the queue, 1 for the next, without those not queued.

    Jobs that pause before a retry, or wait for another job, come after all that are due.
    """
    may_start = and_(is_due(connection), not_(is_solved_elsewhere()))
    place = func.row_number().over(order_by=[not_(may_start), *ORDER])
    places = (
        select(jobs.c.id, place.label("place"))
        .select_from(QUEUED)
        .where(jobs.c.state == "queued")
        .subquery("places")
    )
    found = select(places.c.id, places.c.place).where(places.c.id.in_(ids))
    return {job: int(place) for job, place in connection.execute(found)}


@dataclass(frozen=True)
class _QueueNow:
    """The time of the database, the places that jobs take, and the jobs that wait for others."""

    at: float
    taken: int
    solved_elsewhere: frozenset[str]


def _why_queued(job: Job, position: int, queue: _QueueNow, slots: int | None) -> str:
    later = job.not_before - queue.at
    if later > 0 and job.updated <= queue.at:
        return f"it is tried again in {math.ceil(later)} s"
    if job.id in queue.solved_elsewhere:
        return "another job is solving for the same basis"
    if position > 1:
        return "1 job is ahead" if position == 2 else f"{position - 1} jobs are ahead"
    if slots == 0:
        return "this host runs no jobs: it waits for one that does"
    taken = queue.taken
    if slots is not None and taken >= slots:
        one = "the 1 place on this host is"
        return f"{one if slots == 1 else f'all {slots} places on this host are'} taken"
    if taken:
        return f"it is the next; {taken} {'job runs' if taken == 1 else 'jobs run'}"
    return "it is the next, and starts as soon as a host is free"
