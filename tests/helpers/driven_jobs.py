"""A service whose jobs a test runs itself: nothing is computed, and nothing depends on timing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from intertwine_api.storage.database import Database
from intertwine_api.work.job import Job
from intertwine_api.work.job_metrics import JobMetrics
from intertwine_api.work.queue import Queue

from helpers.example_queues import queued, running
from helpers.service import ServiceProcess, service_process

#: The request of a training, as the service stores it.
TRAINING: dict[str, Any] = {
    "dataset": {"name": "Inertia", "size": 30, "seed": 0},
    "model": {"type": "EMLP", "group": "SO(3)", "rep_in": "5V0+5V", "rep_out": "V**2", "ch": 8},
    "training": {"epochs": 10, "learning_rate": 0.003},
}
_FIRST = 100  # the priority of a job that is started at once


@dataclass(frozen=True)
class DrivenJobs:
    """The service, a client of it, and its queue."""

    process: ServiceProcess
    client: httpx.Client
    database: Database
    queue: Queue
    metrics: JobMetrics
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    """The headers of callers by their owner, on a service with keys."""

    def queued(self, owner: str = "local", **changes: Any) -> Job:
        """A queued training."""
        return queued(self.queue, owner, **{"request": TRAINING, **changes})

    def running(self, owner: str = "local", **changes: Any) -> Job:
        """A training that this process runs."""
        changes = {"request": TRAINING, "priority": _FIRST, **changes}
        return running(self.queue, owner=owner, **changes)

    def train(self, job: Job, epochs: range, scale: float = 1.0) -> None:
        """Report the losses of epochs, and the progress after the last one."""
        rows = [
            {
                "epoch": epoch,
                "train_loss": scale / epoch,
                "test_loss": 2 * scale / epoch,
                "learning_rate": 0.003,
                "seconds": float(epoch),
            }
            for epoch in epochs
        ]
        self.metrics.add(job.id, job.attempt, rows)
        progress = {"stage": "training", "epoch": epochs[-1], "epochs": 10, "eta_seconds": 65.0}
        self.queue.heartbeat(job.id, job.attempt, progress)


@contextmanager
def driven_jobs(data: Path, **settings: str) -> Iterator[DrivenJobs]:
    """A service that runs no jobs, with a database that the test writes to as a host does."""
    with service_process(data, jobs="0", workers="1", **settings) as process:
        database = Database(f"sqlite:///{data / 'intertwine.db'}")
        with httpx.Client(base_url=process.address, timeout=120) as client:
            queue = Queue(database, lease_seconds=3600.0)
            yield DrivenJobs(process, client, database, queue, JobMetrics(database))
        database.close()
