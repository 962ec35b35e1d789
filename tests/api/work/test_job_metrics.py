"""JobMetrics of jobs: one row an epoch."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest
from helpers.example_queues import let_time_pass, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intertwine.training.history import Epoch
from intertwine_api.storage.database import Database
from intertwine_api.work.events import Events
from intertwine_api.work.job import Job
from intertwine_api.work.job_metrics import FIELDS, JobMetrics
from intertwine_api.work.queue import Fenced, Queue


def row(epoch: int, loss: float = 0.5, **changes: Any) -> dict[str, Any]:
    said = {"epoch": epoch, "train_loss": loss, "seconds": epoch / 10, **changes}
    return {**dict.fromkeys(FIELDS), **said}


@pytest.fixture
def job(database: Database) -> Job:
    """A job that runs."""
    return running(Queue(database))


class TestRows:
    def test_are_those_of_a_history(self, database: Database, job: Job) -> None:
        epoch = Epoch(1, 0.5, 0.25, None, 1e-3, 0.1)
        JobMetrics(database).add(job.id, job.attempt, [asdict(epoch)])
        assert JobMetrics(database).rows(job.id) == [asdict(epoch)]
        assert tuple(asdict(epoch)) == FIELDS

    def test_are_kept_and_told(self, database: Database, job: Job) -> None:
        metrics = JobMetrics(database)
        metrics.add(job.id, job.attempt, [row(1), row(2)])
        metrics.add(job.id, job.attempt, [row(3, test_loss=0.1)])
        assert metrics.rows(job.id) == [row(1), row(2), row(3, test_loss=0.1)]
        assert metrics.rows(job.id, after=2) == [row(3, test_loss=0.1)]
        assert metrics.last(job.id) == row(3, test_loss=0.1)
        assert metrics.latest(job.id) == {
            "train_loss": (3, 0.5),
            "test_loss": (3, 0.1),
            "seconds": (3, 0.3),
        }
        metrics.add(job.id, job.attempt, [row(4, 0.25)])
        assert metrics.latest(job.id)["test_loss"] == (3, 0.1)
        other = running(Queue(database))
        assert metrics.latest(other.id) == {}
        values = {name: value for name, (_, value) in metrics.latest(job.id).items()}
        assert metrics.latest_values([job.id, other.id]) == {job.id: values, other.id: {}}
        assert metrics.latest_values([]) == {}
        assert metrics.last_rows([job.id, other.id]) == {job.id: row(4, 0.25)}
        told = [event.data for event in Events(database).after(job.id) if event.type == "metrics"]
        rows = [[row(1), row(2)], [row(3, test_loss=0.1)], [row(4, 0.25)]]
        assert told == [{"rows": each} for each in rows]

    def test_that_a_resumed_job_tells_again_replace_the_old(
        self, database: Database, job: Job
    ) -> None:
        metrics, queue = JobMetrics(database), Queue(database)
        metrics.add(job.id, 1, [row(1), row(2), row(3)])
        queue.lose(job.id, 1, "gone")
        with pytest.raises(Fenced):
            metrics.add(job.id, 1, [row(4)])
        metrics.add(running(queue).id, 1, [row(1)])  # another job's epochs are its own
        again = [row(2, 0.25), row(3, 0.125), row(4)]
        retaken = queue.get(job.id)
        assert retaken.state == "queued"
        assert metrics.rows(job.id) == [row(1), row(2), row(3)]
        metrics.add(*taken_again(database, job), again)
        assert metrics.rows(job.id) == [row(1), *again]

    def test_of_numbers_that_are_not_finite_are_none(self, database: Database, job: Job) -> None:
        metrics = JobMetrics(database)
        metrics.add(job.id, 1, [row(1, float("nan"), test_loss=float("inf"))])
        assert metrics.rows(job.id) == [row(1, None, test_loss=None)]  # type: ignore[arg-type]

    def test_without_anything_are_no_event(self, database: Database, job: Job) -> None:
        JobMetrics(database).add(job.id, 1, [])
        assert Queue(database).get(job.id).last_event == job.last_event
        assert JobMetrics(database).last(job.id) is None

    def test_with_something_unknown_are_refused_whole(self, database: Database, job: Job) -> None:
        with pytest.raises(ValueError, match="has no 'accuracy'"):
            JobMetrics(database).add(job.id, 1, [row(1), row(2, accuracy=1.0)])
        assert JobMetrics(database).rows(job.id) == []
        assert Queue(database).get(job.id).last_event == job.last_event

    @pytest.mark.parametrize("attempt", [0, 2])
    def test_of_another_attempt_are_refused(
        self, database: Database, job: Job, attempt: int
    ) -> None:
        with pytest.raises(Fenced, match=f"attempt {attempt} of job {job.id} is over"):
            JobMetrics(database).add(job.id, attempt, [row(1)])

    def test_go_with_their_job(self, database: Database, job: Job) -> None:
        JobMetrics(database).add(job.id, 1, [row(1)])
        Queue(database).succeed(job.id, 1, {})
        Queue(database).delete(job.id)
        assert JobMetrics(database).rows(job.id) == []


def taken_again(database: Database, job: Job) -> tuple[str, int]:
    """The job's next attempt."""
    let_time_pass(database)
    taken = Queue(database).claim("here", 1000)
    assert taken is not None
    assert (taken.id, taken.attempt) == (job.id, job.attempt + 1)
    return taken.id, taken.attempt


class TestThinning:
    @pytest.mark.parametrize(
        ("points", "epochs"),
        [
            (2, [1, 100]),
            (4, [1, 34, 67, 100]),
            (5, [1, 26, 51, 76, 100]),
            (1, [1, 100]),
            (0, [1, 100]),
        ],
    )
    def test_keeps_the_first_and_the_last_and_some_between(
        self, database: Database, job: Job, points: int, epochs: list[int]
    ) -> None:
        metrics = JobMetrics(database)
        metrics.add(job.id, 1, [row(epoch) for epoch in range(1, 101)])
        assert [each["epoch"] for each in metrics.rows(job.id, points=points)] == epochs
        later = metrics.rows(job.id, after=98, points=points)
        assert [each["epoch"] for each in later] == [99, 100]

    @settings(
        deadline=None,
        max_examples=15,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(epochs=st.sets(st.integers(1, 10**6), max_size=60), points=st.integers(2, 70))
    def test_leaves_so_many_and_evenly(
        self, database: Database, epochs: set[int], points: int
    ) -> None:
        job, metrics = running(Queue(database)), JobMetrics(database)
        all_of_them = sorted(epochs)
        metrics.add(job.id, 1, [row(epoch) for epoch in all_of_them])
        kept = [each["epoch"] for each in metrics.rows(job.id, points=points)]
        assert len(kept) == min(points, len(all_of_them))
        assert kept[:1] + kept[-1:] == all_of_them[:1] + all_of_them[-1:]
        numbers = [all_of_them.index(epoch) for epoch in kept]
        steps = {after - before for before, after in pairwise(numbers)}
        assert not steps or max(steps) - min(steps) <= 1
