"""The sign of life of a job's process."""

from __future__ import annotations

import time
from typing import Any

import pytest
from helpers.example_jobs import GENEROUS, soon
from helpers.patience import in_one_of
from intertwine_api.storage.database import Database
from intertwine_api.work.events import Events
from intertwine_api.work.heartbeat import Heartbeat
from intertwine_api.work.job import Job, NewJob
from intertwine_api.work.job_kind import Stopped
from intertwine_api.work.queue import Queue


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database, lease_seconds=0.6)


@pytest.fixture
def job(queue: Queue) -> Job:
    queue.submit(NewJob("train", "somebody", {}, GENEROUS))
    job = queue.claim("here", 1)
    assert job is not None
    return queue.begin(job.id, 1)


def told(database: Database, job: Job) -> list[Any]:
    return [e.data for e in Events(database).after(job.id) if e.type == "progress"]


@pytest.mark.slow
def test_the_lease_lasts_while_it_beats(database: Database, job: Job) -> None:
    queue = Queue(database, lease_seconds=3)

    def lasts() -> bool:  # if no beat waits for a busy machine
        soon(lambda: not queue.expired())
        time.sleep(5)
        return queue.expired() == []

    with Heartbeat(queue, job, 3):
        assert in_one_of([lasts] * 5)
    soon(queue.expired)


def test_progress_is_told_not_too_often_and_the_last_of_it_always(
    queue: Queue, job: Job, database: Database
) -> None:
    begun = time.monotonic()
    with Heartbeat(queue, job, 30) as pulse:
        for step in range(70):
            pulse.report({"fraction": step / 100})
            time.sleep(0.01)
        pulse.report({"fraction": 1.0})
    fractions = [progress["fraction"] for progress in told(database, job)]
    assert fractions[-1] == queue.get(job.id).progress["fraction"] == 1.0
    assert len(fractions) <= 2 + (time.monotonic() - begun) / 0.5
    assert fractions == sorted(fractions)


def test_a_checkpoint_is_told_with_and_without_progress(
    queue: Queue, job: Job, database: Database
) -> None:
    with Heartbeat(queue, job, 0.6) as pulse:
        pulse.saved(3)
        soon(lambda: queue.get(job.id).progress == {"checkpoint": 3})
        pulse.report({"fraction": 0.5})
    assert queue.get(job.id).progress == {"fraction": 0.5, "checkpoint": 3}
    assert told(database, job) == [{"fraction": 0.5, "checkpoint": 3}]


def test_a_job_that_asks_learns_that_it_was_cancelled(queue: Queue, job: Job) -> None:
    with Heartbeat(queue, job, 0.6) as pulse:
        pulse.check()
        queue.cancel(job.id, "no longer wanted")
        with pytest.raises(Stopped, match="cancelled"):
            soon(pulse.check)


def test_a_job_that_asks_learns_that_it_is_another_attempts(queue: Queue, job: Job) -> None:
    with Heartbeat(queue, job, 0.6) as pulse:
        queue.lose(job.id, 1, "taken for lost")
        with pytest.raises(Stopped, match=f"job {job.id} is queued"):
            soon(pulse.check)


def test_failed_heartbeats_do_not_end_the_job(queue: Queue, job: Job, database: Database) -> None:
    with Heartbeat(queue, job, 0.6) as pulse:
        pulse.report({"pid": object()})
        time.sleep(0.5)
        pulse.report({"pid": 1})
    assert told(database, job) == [{"pid": 1}]
