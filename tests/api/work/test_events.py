"""Events of jobs: numbered without a gap, seen in their order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.example_queues import queued, running
from intertwine_api.storage.database import Database
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.events import EventRecord, Events, append
from intertwine_api.work.queue import Queue


class TestEvents:
    def test_begin_with_the_state(self, database: Database) -> None:
        job = queued(Queue(database))
        (event,) = Events(database).after(job.id)
        assert abs(event.at - time.time()) < 60
        data = {"state": "queued", "reason": "handed in", "attempt": 0}
        assert event == EventRecord(1, event.at, "state", data)
        assert job.last_event == 1

    def test_are_numbered_for_each_job(self, database: Database) -> None:
        queue, events = Queue(database), Events(database)
        first, second = queued(queue), queued(queue)
        assert [events.add(first.id, "progress", {"epoch": n}) for n in range(3)] == [2, 3, 4]
        assert events.add(second.id, "progress", {}) == 2
        assert [event.data for event in events.after(first.id, 2)] == [{"epoch": 1}, {"epoch": 2}]
        assert queue.get(first.id).last_event == 4

    def test_come_in_pages(self, database: Database) -> None:
        events = Events(database)
        job = queued(Queue(database))
        for number in range(5):
            events.add(job.id, "progress", {"epoch": number})
        assert [event.seq for event in events.after(job.id, 1, limit=2)] == [2, 3]
        assert [event.seq for event in events.after(job.id, 3, limit=2)] == [4, 5]
        assert events.after(job.id, 6) == []

    def test_of_a_job_that_is_not_there(self, database: Database) -> None:
        events = Events(database)
        assert events.after("none") == []
        with pytest.raises(ProblemError, match="there is no job none") as refused:
            events.add("none", "progress", {})
        assert refused.value.problem.code == "not-found"

    def test_that_were_rolled_back_leave_no_gap(self, database: Database) -> None:
        events, job = Events(database), queued(Queue(database))

        def fail() -> None:
            with database.write() as connection:
                append(connection, job.id, "progress", {"epoch": 1})
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert events.add(job.id, "progress", {"epoch": 2}) == 2
        assert [event.seq for event in events.after(job.id)] == [1, 2]

    def test_keep_strange_documents(self, database: Database) -> None:
        events, job = Events(database), queued(Queue(database))
        events.add(job.id, "progress", {"stage": "a\0b", "train_loss": float("nan")})
        assert events.after(job.id, 1)[0].data == {"stage": "a\\x00b", "train_loss": None}

    def test_of_many_writers_are_read_without_gap_or_repeat(self, database: Database) -> None:
        """What a stream of events stands on: none comes late, behind one with a larger number."""
        queue, events = Queue(database), Events(database)
        job = running(queue)
        done = threading.Event()

        def write(_: int) -> None:
            for number in range(12):
                if number % 3:
                    events.add(job.id, "metrics", {})
                else:
                    queue.heartbeat(job.id, job.attempt, {"epoch": number})

        def read() -> list[int]:
            seen: list[int] = []
            while True:
                is_over = done.is_set()  # before the look, so that the last look sees all
                found = events.after(job.id, seen[-1] if seen else 0, limit=7)
                seen += [event.seq for event in found]
                if is_over and not found:
                    return seen

        with ThreadPoolExecutor(7) as threads:
            readers = [threads.submit(read) for _ in range(2)]
            list(threads.map(write, range(5)))
            done.set()
            assert [reader.result() for reader in readers] == [list(range(1, 3 + 60 + 1))] * 2
