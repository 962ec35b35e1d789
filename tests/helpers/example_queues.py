"""Jobs in a queue, for tests."""

from __future__ import annotations

from typing import Any

import pytest
from intertwine_api.storage.database import Database
from intertwine_api.storage.tables import jobs
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work.job import Job, Limits, NewJob
from intertwine_api.work.queue import Queue
from sqlalchemy import update

LIMITS = Limits(seconds=60.0, memory=10**9)


def new_job(owner: str = "ada", **changes: Any) -> NewJob:
    """A job to submit."""
    said: dict[str, Any] = {"kind": "train", "request": {"epochs": 3}, "limits": LIMITS, **changes}
    return NewJob(owner=owner, **said)


def queued(queue: Queue, owner: str = "ada", **changes: Any) -> Job:
    """A queued job."""
    job, is_new = queue.submit(new_job(owner, **changes))
    assert is_new
    return job


def leased(queue: Queue, host: str = "here", **changes: Any) -> Job:
    """Queue a job, and lease the first queued one to a host."""
    queued(queue, **changes)
    job = queue.claim(host, 1000)
    assert job is not None
    return job


def running(queue: Queue, host: str = "here", **changes: Any) -> Job:
    """A job whose process has started."""
    job = leased(queue, host, **changes)
    return queue.begin(job.id, job.attempt)


def let_time_pass(database: Database) -> None:
    """Make every job that waits for a retry due."""
    with database.write() as connection:
        connection.execute(update(jobs).values(not_before=0.0))


def postpone(database: Database, seconds: float) -> None:
    """Make every job that waits for a retry wait longer, in case a test is slow."""
    with database.write() as connection:
        waits = update(jobs).where(jobs.c.state == "queued", jobs.c.attempt > 0)
        connection.execute(waits.values(not_before=jobs.c.not_before + seconds))


def refused(code: str) -> Any:
    """Expect a `ProblemError` with this code."""
    return pytest.raises(ProblemError, check=lambda error: error.problem.code == code)


def ids(jobs: list[Job]) -> list[str]:
    """The ids of jobs."""
    return [job.id for job in jobs]


def claimed(queue: Queue, count: int, host: str = "here") -> list[Job]:
    """Claim this many jobs, in order."""
    jobs = [queue.claim(host, 1000) for _ in range(count)]
    assert None not in jobs
    return [job for job in jobs if job is not None]


def ended(queue: Queue, state: str) -> Job:
    """A job that has ended with this outcome."""
    job = running(queue)
    if state == "succeeded":
        return queue.succeed(job.id, 1, {})
    if state == "failed":
        return queue.fail(job.id, 1, Problem.of("internal", "no"))
    queue.cancel(job.id, "by ada")
    return queue.cancelled(job.id, 1, "it was ended")
