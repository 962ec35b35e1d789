"""The losses of training jobs, one row for each epoch that was evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Integer, Select, and_, func, or_, select

from intertwine_api.storage.database import Database
from intertwine_api.storage.outages import retried
from intertwine_api.storage.tables import jobs, metrics, plain
from intertwine_api.work.events import append
from intertwine_api.work.transitions import held

#: The fields of a row, beside its job; all but `epoch` and `seconds` may be None.
FIELDS = ("epoch", "train_loss", "test_loss", "validation_loss", "learning_rate", "seconds")
_MEASURED = [column for column in metrics.c if column.name not in ("job", "epoch")]


@retried
class JobMetrics:
    """The metrics of all jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job_id: str, attempt: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store rows, also as one event.

        A row replaces an earlier one of the same epoch, which a resumed job repeats. A loss that
        is not finite is stored as None. Raises `Fenced`.
        """
        if not rows:
            return
        told = [_complete(row) for row in rows]
        insert = self._database.insert(metrics)
        upsert = insert.on_conflict_do_update(
            index_elements=["job", "epoch"],
            set_={column.name: insert.excluded[column.name] for column in _MEASURED},
        )
        with self._database.write() as connection:
            held(connection, job_id, attempt)
            connection.execute(upsert, [{"job": job_id, **row} for row in told])
            append(connection, job_id, "metrics", {"rows": told})

    def rows(self, job_id: str, after: int = 0, points: int | None = None) -> list[dict[str, Any]]:
        """Return the rows of a job after an epoch, in order.

        Of more than `points` rows it returns that many, evenly spaced, with the first and the
        last (two at least).
        """
        chosen = _rows(job_id, after) if points is None else _thinned(job_id, after, points)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(chosen).mappings()]

    def last(self, job_id: str) -> dict[str, Any] | None:
        """Return the row of the last epoch, if there is one."""
        return self.last_rows([job_id]).get(job_id)

    def last_rows(self, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the row of the last epoch of each job that has rows, by the job's id."""
        newest = (
            select(metrics.c.job, func.max(metrics.c.epoch).label("epoch"))
            .where(metrics.c.job.in_(job_ids))
            .group_by(metrics.c.job)
            .subquery("newest")
        )
        of_newest = metrics.c.job == newest.c.job, metrics.c.epoch == newest.c.epoch
        columns = metrics.c.job, *(metrics.c[name] for name in FIELDS)
        query = select(*columns).join(newest, and_(*of_newest))
        with self._database.read() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
        return {row.pop("job"): row for row in found}

    def latest(self, job_id: str) -> dict[str, tuple[int, float]]:
        """Return the epoch and the value of the last measurement of each quantity that has one.

        Test losses, for example, are not measured in every epoch.
        """
        found = {}
        with self._database.read() as connection:
            for column in _MEASURED:
                query = select(metrics.c.epoch, column).where(
                    metrics.c.job == job_id, column.is_not(None)
                )
                row = connection.execute(query.order_by(metrics.c.epoch.desc()).limit(1)).first()
                if row is not None:
                    found[column.name] = (int(row[0]), float(row[1]))
        return found

    def latest_values(self, job_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return the last measurement of each quantity of each job, by the job's id, in one query.

        It reads the index of a job from its end, so it takes the same time for long histories.
        """
        names = [column.name for column in _MEASURED]
        last = [
            select(column)
            .where(metrics.c.job == jobs.c.id, column.is_not(None))
            .order_by(metrics.c.epoch.desc())
            .limit(1)
            .correlate(jobs)
            .scalar_subquery()
            .label(column.name)
            for column in _MEASURED
        ]
        query = select(jobs.c.id, *last).where(jobs.c.id.in_(job_ids))
        with self._database.read() as connection:
            rows = list(connection.execute(query).mappings())
        return {
            row["id"]: {name: row[name] for name in names if row[name] is not None} for row in rows
        }


def _complete(row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(row) - set(FIELDS))
    if unknown:
        raise ValueError(f"a row of metrics has no {unknown[0]!r}, only {', '.join(FIELDS)}")
    return {name: plain(row.get(name)) for name in FIELDS}


def _rows(job_id: str, after: int) -> Select[Any]:
    columns = [metrics.c[name] for name in FIELDS]
    return (
        select(*columns)
        .where(metrics.c.job == job_id, metrics.c.epoch > after)
        .order_by(metrics.c.epoch)
    )


def _thinned(job_id: str, after: int, points: int) -> Select[Any]:
    """Select rows at which `number / (count - 1)` reaches the next of the evenly spaced points."""
    number = func.row_number(type_=Integer).over(order_by=metrics.c.epoch) - 1
    rows = (
        _rows(job_id, after)
        .add_columns(number.label("number"), func.count().over().label("count"))
        .subquery("rows")
    )
    most, last = max(points, 2) - 1, func.nullif(rows.c.count - 1, 0)
    reached = rows.c.number * most // last
    reached_before = (rows.c.number - 1) * most // last
    return (
        select(*[rows.c[name] for name in FIELDS])
        .where(or_(rows.c.number == 0, reached > reached_before))
        .order_by(rows.c.epoch)
    )
