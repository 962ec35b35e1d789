"""Between a job as a value and its row."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import Row

from intertwine_api.database.columns import plain
from intertwine_api.database.tables import jobs
from intertwine_api.jobs.job import Job, Limits, NewJob
from intertwine_api.problems import Problem, ProblemError


def job_of(row: Row[Any]) -> Job:
    """The job of a row with all columns."""
    return Job(
        id=row.id,
        kind=row.kind,
        state=row.state,
        reason=row.reason,
        owner=row.owner,
        name=row.name,
        labels=tuple(row.labels),
        priority=row.priority,
        request=row.request,
        subject=row.subject,
        attempt=row.attempt,
        limits=Limits(float(row.seconds_limit), row.memory_limit, row.attempts_limit),
        not_before=row.not_before,
        host=row.host,
        external_id=row.external_id,
        lease_expires=row.lease_expires,
        created=row.created,
        updated=row.updated,
        started=row.started,
        ended=row.ended,
        progress=row.progress or {},
        result=row.result,
        problem=row.problem,
        last_event=row.last_event,
    )


def values_of(new: NewJob) -> dict[str, Any]:
    """The columns that a new job says. Raises `ProblemError` for what does not fit into them."""
    for name in ("owner", "name", "subject", "idempotency_key"):
        _require_fitting(name, getattr(new, name))
    _require_at_most("priority", abs(new.priority), 2**31 - 1)
    _require_at_most("memory", new.limits.memory, 2**63 - 1)
    _require_at_most("number of attempts", new.limits.attempts, 10**6)
    return {
        "kind": new.kind,
        "owner": new.owner,
        "name": new.name,
        "labels": list(new.labels),
        "priority": new.priority,
        "request": dict(new.request),
        "subject": new.subject,
        "idempotency_key": new.idempotency_key,
        "request_digest": digest_of(new),
        "attempts_limit": new.limits.attempts,
        "attempts_most": new.limits.attempts,
        "seconds_limit": float(new.limits.seconds),
        "memory_limit": new.limits.memory,
    }


def digest_of(new: NewJob) -> str:
    """What tells a request from another under the same idempotency key."""
    if new.said is not None:
        return _digest([new.kind, new.said])
    limits = [float(new.limits.seconds), new.limits.memory, new.limits.attempts]
    said = [new.kind, new.name, new.labels, new.priority, new.subject, limits, new.request]
    return _digest(said)


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
        raise ProblemError(Problem.of("invalid-request", detail))
