"""Jobs in pages, the newest first."""

from __future__ import annotations

import math

from sqlalchemy import Connection, exists, func, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from intertwine_api.database.columns import plain
from intertwine_api.database.tables import jobs
from intertwine_api.jobs.job import Job
from intertwine_api.jobs.rows import job_of
from intertwine_api.problems import Problem, ProblemError


def page(
    connection: Connection, filters: list[ColumnElement[bool]], after: str | None, limit: int
) -> tuple[list[Job], str | None]:
    """So many jobs past a cursor, and the cursor of the next page, if there is one.

    Raises `ProblemError` with ``invalid-request`` for a text that is no cursor.
    """
    query = select(jobs).where(*filters)
    if after is not None:
        query = query.where(tuple_(jobs.c.created, jobs.c.id) < tuple_(*_read(after)))
    query = query.order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(limit + 1)
    found = [job_of(row) for row in connection.execute(query)]
    shown = found[:limit]
    return shown, _cursor(shown[-1]) if len(found) > limit else None


def has_label(connection: Connection, label: str) -> ColumnElement[bool]:
    """Whether a job has a label."""
    each = func.json_each if connection.dialect.name == "sqlite" else func.json_array_elements_text
    labels = each(jobs.c.labels).table_valued("value")
    return exists(select(labels.c.value).where(labels.c.value == plain(label)))


def _cursor(job: Job) -> str:
    return f"{job.created!r}-{job.id}"


def _read(cursor: str) -> tuple[float, str]:
    created, _, job_id = cursor.partition("-")
    try:
        at = float(created)
    except ValueError:
        at = math.nan
    if not math.isfinite(at):
        detail = f"{cursor[:64]!r} is no cursor: take `next` of the page before"
        raise ProblemError(Problem.of("invalid-request", detail))
    return at, plain(job_id)
