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

from helpers.example_queues import queued

#: The request of a training, as the service stores it.
TRAINING: dict[str, Any] = {
    "dataset": {"name": "Inertia", "size": 30, "seed": 0},
    "model": {"type": "EMLP", "group": "SO(3)", "rep_in": "5V0+5V", "rep_out": "V**2", "ch": 8},
    "training": {"epochs": 10, "learning_rate": 0.003},
}
_FIRST = 100  # the priority of a job that is started at once


@dataclass(frozen=True)
class DrivenJobs:
    """A client of the service, its data folder, and its queue."""

    data: Path
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
        job = self.queued(owner, **{"priority": _FIRST, **changes})
        claimed = self.queue.claim("here", 1000)
        assert claimed is not None
        assert claimed.id == job.id  # else an earlier test has left a job of this priority
        return self.queue.begin(job.id, claimed.attempt)

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
def driven_jobs(address: str, data: Path) -> Iterator[DrivenJobs]:
    """The jobs of a running service that runs none itself: tests write to its database."""
    database = Database(f"sqlite:///{data / 'intertwine.db'}")
    queue = Queue(database, lease_seconds=3600.0)
    with httpx.Client(base_url=address, timeout=120) as client:
        yield DrivenJobs(data, client, database, queue, JobMetrics(database))
    database.close()
