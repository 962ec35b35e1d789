"""The order in which waiting jobs are taken, and that a host takes no more than it has places."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.sql.elements import ColumnElement

from intertwine_api.database.clock import now
from intertwine_api.database.tables import jobs
from intertwine_api.jobs.job import HELD, Job, Kind
from intertwine_api.jobs.rows import job_of

_LOCKS = 1_769_236_837  # tells these advisory locks of PostgreSQL from anybody else's

#: How many jobs each owner has on hosts.
_BUSY = (
    select(jobs.c.owner, func.count().label("held"))
    .where(jobs.c.state.in_(HELD))
    .group_by(jobs.c.owner)
    .subquery("busy")
)
_QUEUED = jobs.outerjoin(_BUSY, _BUSY.c.owner == jobs.c.owner)

#: The larger priority first, then whoever has fewer jobs on hosts, then the older job.
_ORDER: tuple[ColumnElement[object], ...] = (
    jobs.c.priority.desc(),
    func.coalesce(_BUSY.c.held, 0),
    jobs.c.created,
    jobs.c.id,
)


def take_turns(connection: Connection, whose: str) -> None:
    """Let nobody else claim for this host, or hand in for this owner, until the transaction ends.

    SQLite has one writer at a time, and so no need.
    """
    if connection.dialect.name != "sqlite":
        number = zlib.crc32(whose.encode()) - 2**31  # as a signed number of 32 bits
        connection.execute(select(func.pg_advisory_xact_lock(_LOCKS, number)))


def places_taken(connection: Connection, host: str | None = None) -> int:
    """How many jobs the host holds, or all hosts."""
    taken = select(func.count()).select_from(jobs).where(jobs.c.state.in_(HELD))
    if host is not None:
        taken = taken.where(jobs.c.host == host)
    return int(connection.execute(taken).scalar_one())


def next_due(connection: Connection, kinds: Sequence[Kind]) -> Job | None:
    """The job that is to be taken next, locked; None if none is due.

    On PostgreSQL a job that somebody is taking just now is passed over.
    """
    due: Select[tuple[object, ...]] = (
        select(jobs)
        .select_from(_QUEUED)
        .where(
            jobs.c.state == "queued", jobs.c.not_before <= now(connection), jobs.c.kind.in_(kinds)
        )
        .order_by(*_ORDER)
        .limit(1)
        .with_for_update(of=jobs, skip_locked=True)
    )
    row = connection.execute(due).one_or_none()
    return None if row is None else job_of(row)


def position(connection: Connection, job_id: str) -> int | None:
    """A job's place among those that wait, 1 for the next; None if it does not wait.

    Jobs that are to be tried again later stand behind all that are due.
    """
    place = func.row_number().over(order_by=[jobs.c.not_before > now(connection), *_ORDER])
    places = (
        select(jobs.c.id, place.label("place"))
        .select_from(_QUEUED)
        .where(jobs.c.state == "queued")
        .subquery("places")
    )
    found = connection.execute(select(places.c.place).where(places.c.id == job_id)).scalar()
    return None if found is None else int(found)


def waiting(
    connection: Connection, job: Job, host: str | None, slots: int | None
) -> tuple[int, str]:
    """A job's position, and why it waits."""
    place = position(connection, job.id)
    if place is None:
        return 0, "it waits no longer"
    later = job.not_before - float(connection.execute(select(now(connection))).scalar_one())
    if later > 0:
        return place, f"it is tried again in {math.ceil(later)} s"
    if place > 1:
        return place, "1 job is ahead" if place == 2 else f"{place - 1} jobs are ahead"
    if slots == 0:
        return place, "this host runs no jobs: it waits for one that does"
    taken = places_taken(connection, host)
    if slots is not None and taken >= slots:
        places = (
            "the 1 place on this host is" if slots == 1 else f"all {slots} places on this host are"
        )
        return place, f"{places} taken"
    if taken:
        return place, f"it is the next; {taken} {'job runs' if taken == 1 else 'jobs run'}"
    return place, "it is the next, and starts as soon as a host is free"
