"""The clock that all who share a database share."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from helpers.example_queues import claimed, ids, queued, running
from intertwine_api.storage.database import Database, now
from intertwine_api.work.queue import Queue
from sqlalchemy import select


def read(database: Database) -> float:
    with database.read() as connection:
        return float(connection.execute(select(now(connection))).scalar_one())


class TestNow:
    def test_is_now(self, database: Database) -> None:
        before = time.time()
        assert before - 0.001 <= read(database) <= time.time() + 0.001  # one host, one clock

    def test_goes_on_within_a_transaction(self, database: Database) -> None:
        with database.write() as connection:
            first = connection.execute(select(now(connection))).scalar_one()
            time.sleep(0.01)
            assert connection.execute(select(now(connection))).scalar_one() >= first + 0.009

    def test_is_the_clock_of_the_database_where_others_have_their_own(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        true = time.time()
        monkeypatch.setattr(time, "time", lambda: true - 3600)
        off = read(database) - true
        assert off == pytest.approx(-3600 if database.is_sqlite else 0, abs=60)


class TestAClockThatIsSetBack:
    """By an hour, as after a wrong start: nothing may wait for that hour."""

    @pytest.fixture(params=["sqlite"])
    def database_kind(self, request: pytest.FixtureRequest) -> str:
        kind: str = request.param  # PostgreSQL's clock is not ours to set
        return kind

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        now, off = time.time(), [0.0]
        monkeypatch.setattr(time, "time", lambda: now + off[0])  # it stands until it is set

        def set_by(seconds: float) -> None:
            off[0] += seconds

        return set_by

    def test_leaves_queued_jobs_due(
        self, database: Database, clock: Callable[[float], None]
    ) -> None:
        queue = Queue(database)
        first = queued(queue)
        clock(-3600)
        assert queue.waiting(first) == (1, "it is the next, and starts as soon as a host is free")
        job = queue.claim("here", 1)
        assert job is not None
        paused = queue.lose(job.id, 1, "lost")  # tried again in a second
        assert queue.claim("here", 1) is None
        assert queue.waiting(paused) == (1, "it is tried again in 1 s")
        clock(-3600)
        assert ids(claimed(queue, 1)) == [job.id]

    def test_makes_no_lease_last_longer(
        self, database: Database, clock: Callable[[float], None]
    ) -> None:
        queue = Queue(database, lease_seconds=30)
        job = running(queue)
        assert queue.expired() == []
        clock(-3600)
        assert ids(queue.expired()) == [job.id]  # until it beats again, which the controller awaits
        queue.heartbeat(job.id, 1)
        assert queue.expired() == []
        clock(31)
        assert ids(queue.expired()) == [job.id]
        queue.heartbeat(job.id, 1)
        clock(-10)
        clock(31 + 10)
        assert ids(queue.expired()) == [job.id]
