"""Jobs go on after an outage of the database, and nothing of them is lost or told twice."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from helpers.databases import Databases, write_lock
from helpers.example_jobs import soon
from helpers.example_trainings import DATASET, MODEL
from intertwine_api.storage.database import Database
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models
from intertwine_api.wire.basis_request import parse_request
from intertwine_api.work.controller import Controller
from intertwine_api.work.events import Events
from intertwine_api.work.host import HostCapacity, JobEnvironment
from intertwine_api.work.job import Job, Limits, NewJob
from intertwine_api.work.job_metrics import JobMetrics
from intertwine_api.work.local import LocalExecutor
from intertwine_api.work.queue import Queue
from intertwine_cache import Store

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled

COMMAND = (sys.executable, str(Path(__file__).with_name("slow_training.py")))
#: Seconds of a lease: shorter than the outages, and longer than a busy machine delays a heartbeat.
LEASE = 7.0
ONCE = Limits(seconds=600, memory=8 * 10**9, attempts=1)

#: Makes the database unavailable.
Outage = Callable[[], AbstractContextManager[None]]


class Lab:
    """A host that runs trainings, and another one that waits for jobs that are lost."""

    def __init__(self, url: str, folder: Path, lease: float, outage: float = 300) -> None:
        self.database, self.lease = Database(url), lease
        self.queue = Queue(self.database, lease)
        self.around = JobEnvironment(folder, url, folder / "cache", lease, outage)
        self.executor = LocalExecutor(folder / "jobs", 1.0)
        environment = self.around.to_variables()
        self._controllers = [
            Controller(
                self.queue,
                self.executor,
                HostCapacity(host, slots, COMMAND, environment, 1.0, lease),
            )
            for host, slots in (("here", 2), ("elsewhere", 0))
        ]
        for controller in self._controllers:
            controller.start()

    def trains(self, epochs: int) -> str:
        """Submit a training, and wait until it has told of some epochs. Return its id."""
        training = {"epochs": epochs, "batch_size": 16, "seed": 3}
        request = {"dataset": DATASET, "model": MODEL, "training": training, "name": "kept"}
        job, _ = self.queue.submit(NewJob("train", "ada", request, ONCE))
        soon(lambda: len(JobMetrics(self.database).rows(job.id)) > 3)
        return job.id

    def solves(self) -> str:
        """Submit a solve, and wait until it has told of some progress. Return its id."""
        parsed = parse_request({"rep": "V**4", "group": "SO(3)"})
        new = NewJob("solve", "ada", json.loads(parsed.task), ONCE, subject=parsed.key)
        job, _ = self.queue.submit(new)
        soon(lambda: self.queue.get(job.id).progress.get("fraction", 0) > 0.5)
        return job.id

    def ends(self, job_id: str) -> None:
        """Let a solve end."""
        (self.around.home / "jobs" / job_id / "may-end").touch()

    def ended(self, job_id: str) -> Job:
        soon(lambda: self.queue.get(job_id).has_ended, 240)
        return self.queue.get(job_id)

    def close(self) -> None:
        for controller in self._controllers:
            controller.stop()
        for job in self.queue.held("here"):
            self.executor.cancel(job, 0)
            soon(lambda job=job: self.executor.state(job) != "running")  # type: ignore[misc]
        self.database.close()


def require_complete(lab: Lab, job_id: str, epochs: int) -> None:
    """Require that every epoch is in the metrics once, and was told in one event of an attempt."""
    rows = JobMetrics(lab.database).rows(job_id)
    assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))
    assert all(row["train_loss"] is not None for row in rows)
    told: list[tuple[int, int]] = []
    attempt = 0
    events = Events(lab.database).after(job_id, 0, 100_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    for event in events:
        attempt = event.data.get("attempt", attempt) if event.type == "state" else attempt
        if event.type == "metrics":
            told += [(attempt, row["epoch"]) for row in event.data["rows"]]
    assert len(told) == len(set(told))
    assert {epoch for _, epoch in told} == set(range(1, epochs + 1))
    models = Models(lab.database, FolderObjects(lab.around.home / "objects"))
    assert [version.version for version in models.versions("kept")[0]] == [1]


def states(lab: Lab, job_id: str) -> list[str]:
    events = Events(lab.database).after(job_id, 0, 100_000)
    return [event.data["state"] for event in events if event.type == "state"]


def goes_through(lab: Lab, outage: Outage, seconds: float, epochs: int) -> None:
    """Train, with an outage meanwhile and another one when the training is done."""
    job_id = lab.trains(epochs)
    with outage():
        time.sleep(seconds)
    soon(lambda: len(JobMetrics(lab.database).rows(job_id)) > epochs - 3, 120)
    with outage():
        time.sleep(min(seconds, 4.0))
    job = lab.ended(job_id)
    assert (job.state, job.attempt) == ("succeeded", 1), job.problem
    assert states(lab, job_id) == ["queued", "leased", "running", "succeeded"]
    require_complete(lab, job_id, epochs)


def solve_goes_through(lab: Lab, outage: Outage, seconds: float) -> None:
    """Solve, with an outage meanwhile and another one in which the solve ends."""
    job_id = lab.solves()
    with outage():
        time.sleep(seconds)
    before = lab.queue.get(job_id).progress
    soon(lambda: lab.queue.get(job_id).progress != before)
    with outage():
        lab.ends(job_id)
        time.sleep(min(seconds, 4.0))
    require_solved(lab, job_id)


def require_solved(lab: Lab, job_id: str) -> None:
    """Require that a solve has succeeded in its first attempt, and that its basis is stored."""
    job = lab.ended(job_id)
    assert (job.state, job.attempt) == ("succeeded", 1), job.problem
    assert states(lab, job_id) == ["queued", "leased", "running", "succeeded"]
    assert (job.result or {})["rank"] == 3
    assert Store(lab.around.store).manifest(str(job.subject)) is not None
    events = Events(lab.database).after(job_id, 0, 100_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    told = [e.data["fraction"] for e in events if e.data.get("stage") == "waiting"]
    assert told == sorted(set(told))


@pytest.fixture
def server() -> Iterator[Databases]:
    """A PostgreSQL of its own, which a test may stop."""
    databases = Databases()
    yield databases
    databases.close()


class TestPostgreSQL:
    def test_that_is_restarted_ends_no_training(self, server: Databases, tmp_path: Path) -> None:
        with server.migrated("postgresql") as url:
            lab = Lab(url, tmp_path, lease=LEASE)
            try:
                goes_through(lab, server.stopped, 2 * LEASE, 60)
            finally:
                lab.close()

    def test_that_is_restarted_ends_no_solve(self, server: Databases, tmp_path: Path) -> None:
        with server.migrated("postgresql") as url:
            lab = Lab(url, tmp_path, lease=LEASE)
            try:
                solve_goes_through(lab, server.stopped, 2 * LEASE)
            finally:
                lab.close()

    def test_that_is_away_for_longer_than_a_job_waits_costs_no_attempt(
        self, server: Databases, tmp_path: Path
    ) -> None:
        with server.migrated("postgresql") as url:
            lab = Lab(url, tmp_path, lease=30.0, outage=2.0)
            try:
                job_id = lab.trains(60)
                job = lab.queue.get(job_id)
                with server.stopped():
                    soon(lambda: lab.executor.state(job) != "running")
                    ended = lab.executor.state(job)
                    assert not isinstance(ended, str)
                    assert ended.code == 75  # its supervisor has noted it without the database
                last = JobMetrics(lab.database).last(job_id)
                assert last is not None
                job = lab.ended(job_id)
                assert (job.state, job.attempt) == ("succeeded", 2), job.problem
                require_complete(lab, job_id, 60)
                after = [
                    row["epoch"]
                    for event in Events(lab.database).after(job_id, 0, 100_000)
                    if event.type == "metrics" and event.at > (job.started or 0)
                    for row in event.data["rows"]
                ]
                assert min(after) >= last["epoch"]  # it went on from its checkpoint
            finally:
                lab.close()


def test_a_training_that_is_killed_after_each_new_checkpoint_goes_on_to_its_end(
    databases: Databases, tmp_path: Path
) -> None:
    """As when a container is replaced, or a host restarted, more often than a job has attempts."""
    with databases.migrated("sqlite") as url:
        lab = Lab(url, tmp_path, lease=30.0)
        try:
            held = tmp_path / "held"
            held.touch()  # no attempt ends before it is killed
            job_id = lab.trains(60)
            checkpoints = [0]
            for attempt in (1, 2, 3, 4):
                soon(lambda: lab.queue.get(job_id).progress.get("checkpoint", 0) > checkpoints[-1])
                job = lab.queue.get(job_id)
                assert (job.state, job.attempt) == ("running", attempt)
                checkpoints.append(job.progress["checkpoint"])
                os.killpg(int(job.external_id or 0), signal.SIGKILL)  # the supervisor too
                soon(lambda n=attempt: lab.queue.get(job_id).attempt > n)  # type: ignore[misc]
            held.unlink()
            job = lab.ended(job_id)
            assert (job.state, job.attempt) == ("succeeded", 5), job.problem
            require_complete(lab, job_id, 60)
        finally:
            lab.close()


class TestSQLite:
    def test_that_is_locked_ends_no_training(self, databases: Databases, tmp_path: Path) -> None:
        with databases.migrated("sqlite") as url:
            lab = Lab(f"{url}?timeout=0.5", tmp_path, lease=LEASE)
            try:
                goes_through(lab, lambda: write_lock(url), 2 * LEASE, 60)
            finally:
                lab.close()

    def test_that_is_locked_ends_no_solve(self, databases: Databases, tmp_path: Path) -> None:
        with databases.migrated("sqlite") as url:
            lab = Lab(f"{url}?timeout=0.5", tmp_path, lease=LEASE)
            try:
                solve_goes_through(lab, lambda: write_lock(url), 2 * LEASE)
            finally:
                lab.close()

    def test_that_is_locked_for_longer_than_its_real_timeout_ends_no_training(
        self, databases: Databases, tmp_path: Path
    ) -> None:
        with databases.migrated("sqlite") as url:
            lab = Lab(url, tmp_path, lease=30.0)
            try:
                goes_through(lab, lambda: write_lock(url), 50.0, 60)
            finally:
                lab.close()
