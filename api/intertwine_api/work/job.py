"""A job, as a value; its mapping from a row of the database, and to a document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row

from intertwine_api.storage.tables import jobs, plain
from intertwine_api.wire.jobs import (
    JobDocument,
    LimitsTold,
    MetricsRow,
    MetricsSummary,
    QueuePlace,
    instant,
)
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import ENDED, Kind, State

#: The result of a job; or a function that writes the last of it in the transaction in which the
#: job succeeds, and returns the result: neither is kept without the other.
Result: TypeAlias = Mapping[str, Any] | Callable[[Connection], Mapping[str, Any]]


@dataclass(frozen=True)
class Limits:
    """The most that a job may take: wall time in seconds, memory in bytes, and attempts.

    `attempts` is the number of attempts that may be lost in succession without a new checkpoint.
    """

    seconds: float
    memory: int
    attempts: int = 3


@dataclass(frozen=True)
class NewJob:
    """A job to be queued.

    `original_request` is the request as submitted. Idempotency compares this, not the completed
    `request`.
    """

    kind: Kind
    owner: str
    request: Mapping[str, Any]
    limits: Limits
    name: str = ""
    labels: tuple[str, ...] = ()
    priority: int = 0
    subject: str | None = None
    idempotency_key: str | None = None
    original_request: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """A job as the database has it. Times are seconds since 1970.

    `attempt` counts its claims and is the fencing token: reports of earlier attempts are refused.
    `progress` is {"stage", "fraction", "epoch", "epochs", "checkpoint", "train_loss", "test_loss",
    "eta_seconds"}, as far as known; `problem` the RFC 9457 document of its failure.
    """

    id: str
    kind: Kind
    state: State
    reason: str
    owner: str
    name: str
    labels: tuple[str, ...]
    priority: int
    request: Mapping[str, Any]
    subject: str | None
    attempt: int
    limits: Limits
    not_before: float
    host: str | None
    external_id: str | None
    lease_expires: float | None
    created: float
    updated: float
    started: float | None
    ended: float | None
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    problem: Mapping[str, Any] | None = None
    last_event: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended; only a retry changes it again."""
        return self.state in ENDED


#: The fields of a job whose columns have the same name and hold the same value.
_COLUMNS = [f.name for f in fields(Job) if f.name not in ("labels", "limits", "progress")]
_TIMES = ("created", "updated", "started", "ended")


def job_of(row: Row[Any]) -> Job:
    """Return the job of a row with all columns."""
    return Job(
        **{name: row._mapping[name] for name in _COLUMNS},
        labels=tuple(row.labels),
        limits=Limits(float(row.seconds_limit), row.memory_limit, row.attempts_limit),
        progress=row.progress or {},
    )


def values_of(new: NewJob) -> dict[str, Any]:
    """Return the columns that a new job determines. Raises `ProblemError` for values too large."""
    for name in ("owner", "name", "subject", "idempotency_key"):
        _require_fitting(name, getattr(new, name))
    _require_at_most("priority", abs(new.priority), 2**31 - 1)
    _require_at_most("memory", new.limits.memory, 2**63 - 1)
    _require_at_most("number of attempts", new.limits.attempts, 10**6)
    same = ("kind", "owner", "name", "priority", "subject", "idempotency_key")
    return {
        **{name: getattr(new, name) for name in same},
        "labels": list(new.labels),
        "request": dict(new.request),
        "request_digest": digest_of(new),
        "attempts_limit": new.limits.attempts,
        "attempts_most": new.limits.attempts,
        "seconds_limit": float(new.limits.seconds),
        "memory_limit": new.limits.memory,
    }


def document_of(
    job: Job,
    links: Mapping[str, str],
    *,
    waits: tuple[int, str] | None = None,
    last: Mapping[str, Any] | None = None,
    in_list: bool = False,
) -> JobDocument:
    """Return the document of a job, with its place in the queue and the last row of its metrics.

    `links` are those of its kind. A document in a list omits the config of a saved model, which
    may be long.
    """
    here = f"/v1/jobs/{job.id}"
    own = {name: f"{here}/{name}" for name in ("events", "metrics", "logs")}
    acts = {name: f"{here}:{name}" for name in ("cancel", "retry")}
    times = {name: getattr(job, name) for name in _TIMES}
    changed = {
        **{name: None if at is None else instant(at) for name, at in times.items()},
        "labels": list(job.labels),
        "queue": None if waits is None else QueuePlace(position=waits[0], why=waits[1]),
        "metrics": MetricsSummary(last=None if last is None else MetricsRow(**last)),
        "limits": LimitsTold(**vars(job.limits)),
        "request": _without_config(job.request) if in_list else dict(job.request),
        "links": {"self": here, **own, **acts, **links},
    }
    return JobDocument(**{**vars(job), **changed})  # which drops the fields that it does not have


def digest_of(new: NewJob) -> str:
    """Return a digest that tells a request from others under the same idempotency key."""
    if new.original_request is not None:
        return _digest([new.kind, new.original_request])
    limits = [float(new.limits.seconds), new.limits.memory, new.limits.attempts]
    return _digest([new.kind, new.name, new.labels, new.priority, new.subject, limits, new.request])


def _without_config(request: Mapping[str, Any]) -> dict[str, Any]:
    model = request.get("model")
    if not isinstance(model, Mapping) or "config" not in model:
        return dict(request)
    return {**request, "model": {k: v for k, v in model.items() if k != "config"}}


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(plain(document), sort_keys=True).encode()).hexdigest()


def _require_fitting(column: str, text: str | None) -> None:
    if text is not None:
        most: int = jobs.c[column].type.length  # type: ignore[attr-defined]
        name = column.replace("_", " ")
        _require_at_most(f"{name}, in characters,", len(plain(text)), most)


def _require_at_most(what: str, number: int, most: int) -> None:
    if number > most:
        detail = f"a job's {what} may be {most} at most, and is {number}"
        raise ProblemError.of("invalid-request", detail)
