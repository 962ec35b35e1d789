"""What can be asked of the jobs of a database."""

from __future__ import annotations

import re
import time

import pytest
from helpers.example_queues import (
    claimed,
    ended,
    ids,
    leased,
    new_job,
    postpone,
    queued,
    refused,
    running,
)
from intertwine_api.storage.database import Database
from intertwine_api.wire.problems import Problem
from intertwine_api.work.queue import Queue


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database)


class TestPages:
    def test_show_the_newest_first(self, queue: Queue) -> None:
        jobs = [queued(queue) for _ in range(7)]
        seen, after, sizes = [], None, []
        while True:
            page, after = queue.page(limit=3, after=after)
            seen += ids(page)
            sizes.append(len(page))
            if after is None:
                break
        assert seen == ids(jobs)[::-1]
        assert sizes == [3, 3, 1]

    def test_that_are_just_full_are_the_last(self, queue: Queue) -> None:
        for _ in range(2):
            queued(queue)
        assert queue.page(limit=2)[1] is None

    def test_of_jobs_of_the_same_moment_miss_none(
        self, queue: Queue, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "time", lambda: 1e9)
        jobs = {queued(queue).id for _ in range(6)}
        first, after = queue.page(limit=4)
        second, _ = queue.page(limit=4, after=after)
        assert {*ids(first), *ids(second)} == jobs

    def test_go_on_where_the_last_was_deleted(self, queue: Queue) -> None:
        jobs = [ended(queue, "failed") for _ in range(4)]
        page, after = queue.page(limit=2)
        queue.delete(page[-1].id)
        assert ids(queue.page(limit=2, after=after)[0]) == ids(jobs[1::-1])

    def test_are_filtered(self, queue: Queue) -> None:
        first = queued(queue, "ada", labels=("thesis", "χ"))
        second = queued(queue, "bea", kind="solve", labels=("thesis 2",))
        third = running(queue, owner="cleo", priority=9)
        assert ids(queue.page()[0]) == ids([third, second, first])
        assert ids(queue.page(owner="ada")[0]) == [first.id]
        assert ids(queue.page(kind="solve")[0]) == [second.id]
        assert ids(queue.page(state="running")[0]) == [third.id]
        assert ids(queue.page(label="thesis")[0]) == [first.id]
        assert ids(queue.page(label="χ")[0]) == [first.id]
        assert queue.page(label="thes")[0] == []
        assert queue.page(owner="ada", kind="solve")[0] == []

    @pytest.mark.parametrize("strange", ["\0", "\ud83d", "'", "%", ""])
    def test_find_nothing_for_what_is_strange(self, queue: Queue, strange: str) -> None:
        queued(queue, labels=("a",))
        assert queue.page(owner=strange) == ([], None)
        assert queue.page(label=strange) == ([], None)
        assert queue.latest(strange) is None
        with refused("not-found"):
            queue.get(strange)

    @pytest.mark.parametrize("cursor", ["", "x", "nan-a", "inf-a", "1_0\0", "-", "1e999-a"])
    def test_refuse_what_is_no_cursor(self, queue: Queue, cursor: str) -> None:
        with refused("invalid-request"):
            queue.page(after=cursor)

    def test_take_a_cursor_with_anything_behind_the_time(self, queue: Queue) -> None:
        assert queue.page(after="1.5-\0") == queue.page(after="1.5") == ([], None)


class TestLookups:
    def test_the_newest_about_a_subject(self, queue: Queue) -> None:
        queued(queue, subject="a")
        newest = queued(queue, subject="a")
        queued(queue, subject="b")
        assert queue.latest("a") == newest
        assert queue.latest("c") is None

    def test_the_latest_is_rather_one_that_goes_on(self, queue: Queue) -> None:
        on_a_host = leased(queue, subject="a")
        waits = queued(queue, subject="a")
        queue.cancel(queued(queue, subject="a").id, "by ada")
        assert queue.latest("a") == queue.get(on_a_host.id)
        queue.fail(on_a_host.id, 1, Problem.of("internal", "no"))
        assert queue.latest("a") == waits

    def test_the_newest_of_an_owner(self, queue: Queue) -> None:
        assert queue.newest("a", "ada") is None
        queued(queue, subject="a")
        own = queued(queue, subject="a")
        queue.cancel(own.id, "by ada")
        queued(queue, "bob", subject="a")
        assert queue.newest("a", "ada") == queue.get(own.id)

    def test_what_a_host_holds(self, queue: Queue) -> None:
        first = leased(queue, "here")
        second = running(queue, "here")
        running(queue, "there")
        queue.succeed(running(queue, "here").id, 1, {})
        assert ids(queue.held("here")) == [first.id, second.id]
        assert queue.held("nowhere") == []

    def test_how_much_an_owner_has_to_come(self, queue: Queue) -> None:
        queued(queue, "bea")
        running(queue, owner="ada")
        queued(queue, "ada")
        queue.cancel(queued(queue, "ada").id, "by ada")
        assert (queue.unfinished("ada"), queue.unfinished("cleo")) == (2, 0)

    def test_how_many_of_each_kind_are_in_each_state(self, queue: Queue) -> None:
        assert queue.counts() == {}
        queued(queue)
        queued(queue)
        queue.cancel(queued(queue).id, "by ada")
        running(queue, owner="ada")
        queue.submit(new_job(kind="solve"))
        assert queue.counts() == {
            ("train", "queued"): 2,
            ("train", "cancelled"): 1,
            ("train", "running"): 1,
            ("solve", "queued"): 1,
        }


class TestHosts:
    def test_are_those_of_jobs_and_the_last_active_is_first(self, queue: Queue) -> None:
        assert queue.hosts() == []
        for host in ("a", "b", "b"):
            running(queue, host)
        job = running(queue, "c")
        done = queue.succeed(job.id, 1, {})
        queued(queue)
        found = {use.name: use for use in queue.hosts()}
        assert [use.name for use in queue.hosts()] == ["c", "b", "a"]
        assert {name: use.held for name, use in found.items()} == {"a": 1, "b": 2, "c": 0}
        assert found["c"].last == done.updated
        assert [use.name for use in queue.hosts(most=1)] == ["c"]


class TestWaiting:
    def test_behind_others(self, queue: Queue) -> None:
        jobs = [queued(queue) for _ in range(3)]
        assert queue.waiting(jobs[0]) == (1, "it is the next, and starts as soon as a host is free")
        assert queue.waiting(jobs[1]) == (2, "1 job is ahead")
        assert queue.waiting(jobs[2]) == (3, "2 jobs are ahead")
        queue.cancel(jobs[1].id, "by a test")
        assert queue.waits(jobs) == {job.id: queue.waiting(job) for job in (jobs[0], jobs[2])}

    def test_for_a_place(self, queue: Queue) -> None:
        running(queue, "here")
        job = queued(queue)
        assert queue.waiting(job) == (1, "it is the next; 1 job runs")
        where = {"host": "here", "slots": 1}
        assert queue.waiting(job, **where) == (1, "the 1 place on this host is taken")
        where["slots"] = 2
        assert queue.waiting(job, **where) == (1, "it is the next; 1 job runs")
        queue.claim("here", 9)
        second = queued(queue)
        assert queue.waiting(second, **where) == (1, "all 2 places on this host are taken")
        assert queue.waiting(second, host="there", slots=0) == (
            1,
            "this host runs no jobs: it waits for one that does",
        )

    def test_for_another_try(self, queue: Queue, database: Database) -> None:
        lost = queue.lose(running(queue).id, 1, "gone")
        postpone(database, 1000)
        lost, other = queue.get(lost.id), queued(queue)
        place, why = queue.waiting(lost)
        found = re.fullmatch(r"it is tried again in (\d+) s", why)
        assert found
        assert (place, 800 < int(found[1]) <= 1001) == (2, True)
        assert queue.waiting(other)[0] == 1

    def test_is_in_the_order_of_claims(self, queue: Queue) -> None:
        running(queue, owner="ada")
        jobs = [queued(queue, "ada"), queued(queue, "bea"), queued(queue, "cleo", priority=1)]
        assert [queue.waiting(job)[0] for job in jobs] == [3, 2, 1]

    def test_is_over(self, queue: Queue) -> None:
        job = queued(queue)
        claimed(queue, 1)
        assert queue.waiting(job) == (0, "it waits no longer")
