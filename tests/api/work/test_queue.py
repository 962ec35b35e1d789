"""The queue of jobs, on both databases."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from helpers.example_queues import (
    LIMITS,
    claimed,
    ended,
    ids,
    leased,
    let_time_pass,
    new_job,
    postpone,
    queued,
    refused,
    running,
)
from helpers.patience import PATIENCE
from intertwine_api.storage.database import Database
from intertwine_api.storage.tables import events
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work.events import Events
from intertwine_api.work.job import Limits
from intertwine_api.work.queue import Fenced, Queue
from intertwine_api.work.transitions import held, move
from sqlalchemy import func, select


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database)


class TestSubmit:
    def test_a_job_has_what_was_said_of_it(self, queue: Queue) -> None:
        said = new_job(
            "ada",
            kind="solve",
            request={"rep": "V**2", "deep": [{"χ": 1.5}]},
            name="a try",
            labels=("thesis", "χ"),
            priority=-3,
            subject="0" * 64,
            limits=Limits(seconds=60, memory=2**40, attempts=2),
        )
        before = time.time()
        job, is_new = queue.submit(said)
        assert is_new
        for name in ("kind", "owner", "request", "name", "labels", "priority", "subject", "limits"):
            assert getattr(job, name) == getattr(said, name), name
        assert (job.state, job.attempt, job.progress, job.result) == ("queued", 0, {}, None)
        assert before - 0.001 <= job.created <= time.time() + 0.001
        assert queue.get(job.id) == job

    def test_a_key_used_twice_gives_the_first_job(self, queue: Queue) -> None:
        said = new_job(idempotency_key="k1")
        assert queue.submitted(said) is None
        job, is_new = queue.submit(said)
        assert queue.submit(said) == (job, False)
        assert is_new
        assert queue.submitted(said) == job
        assert queue.unfinished("ada") == 1

    def test_a_key_belongs_to_its_owner(self, queue: Queue) -> None:
        first, _ = queue.submit(new_job("ada", idempotency_key="k1"))
        second, is_new = queue.submit(new_job("bea", idempotency_key="k1"))
        assert is_new
        assert first.id != second.id

    def test_without_a_key_every_job_is_new(self, queue: Queue) -> None:
        assert queued(queue).id != queued(queue).id
        assert queue.submitted(new_job()) is None

    @pytest.mark.parametrize(
        "change",
        [
            {"request": {"epochs": 4}},
            {"kind": "solve"},
            {"name": "other"},
            {"labels": ("a",)},
            {"priority": 1},
            {"limits": replace(LIMITS, seconds=61.0)},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_a_key_with_another_request_is_refused(
        self, queue: Queue, change: dict[str, Any]
    ) -> None:
        job, _ = queue.submit(new_job(idempotency_key="k1"))
        with refused("idempotency-conflict") as error:
            queue.submit(new_job(idempotency_key="k1", **change))
        assert error.value.problem.model_dump()["job"] == job.id
        with refused("idempotency-conflict"):
            queue.submitted(new_job(idempotency_key="k1", **change))

    def test_an_owner_has_no_more_unfinished_than_the_most(self, queue: Queue) -> None:
        def hand_in(_: int) -> str:
            try:
                return queue.submit(new_job("ada"), most=5)[0].state
            except ProblemError as error:
                return error.problem.code

        with ThreadPoolExecutor(12) as threads:
            answers = Counter(threads.map(hand_in, range(12)))
        assert answers == {"queued": 5, "too-many-jobs": 7}
        assert queue.submit(new_job("bea"), most=5)[1]
        ended = queue.page(owner="ada", limit=1)[0][0]
        queue.cancel(ended.id, "by ada")
        assert queue.retry(ended.id, most=5).state == "queued"
        with refused("too-many-jobs"):
            queue.retry(ended.id, most=5)

    def test_what_was_submitted_is_found_whatever_the_most_is(self, queue: Queue) -> None:
        job, _ = queue.submit(new_job(idempotency_key="k1"), most=1)
        assert queue.submit(new_job(idempotency_key="k1"), most=1) == (job, False)

    def test_a_key_used_at_once_by_many_makes_one_job(self, queue: Queue) -> None:
        said = new_job(idempotency_key="k1")
        with ThreadPoolExecutor(12) as threads:
            answers = list(threads.map(lambda _: queue.submit(said), range(12)))
        assert len({job.id for job, _ in answers}) == 1
        assert sum(is_new for _, is_new in answers) == 1

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"idempotency_key": "k" * 256}, "255 at most, and is 256"),
            ({"name": "n" * 129}, "128 at most"),
            ({"owner": "\0" * 20}, "64 at most, and is 80"),  # as it would be written
            ({"subject": "s" * 65}, "64 at most"),
            ({"priority": 2**31}, "priority may be 2147483647 at most"),
            ({"priority": -(2**31)}, "priority may be"),
            ({"limits": Limits(1.0, 2**63)}, "memory may be"),
            ({"limits": Limits(1.0, 1, attempts=10**9)}, "attempts may be 1000000"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, queue: Queue, change: dict[str, Any], said: str
    ) -> None:
        with refused("invalid-request") as error:
            queue.submit(new_job(**change))
        assert said in str(error.value)

    def test_what_just_fits_is_kept(self, queue: Queue) -> None:
        most = new_job("o" * 64, name="n" * 128, idempotency_key="k" * 255, priority=2**31 - 1)
        assert queue.submit(most)[0].priority == 2**31 - 1


class TestClaim:
    def test_takes_the_oldest_first(self, queue: Queue) -> None:
        jobs = [queued(queue) for _ in range(4)]
        assert ids(claimed(queue, 4)) == ids(jobs)
        assert queue.claim("here", 1000) is None

    def test_takes_the_larger_priority_first(self, queue: Queue) -> None:
        low, high, middle = (queued(queue, priority=number) for number in (-1, 5, 0))
        assert ids(claimed(queue, 3)) == ids([high, middle, low])

    def test_takes_turns_among_owners(self, queue: Queue) -> None:
        """Whoever has fewer jobs on hosts comes first, however many another has handed in."""
        a = [queued(queue, "ada") for _ in range(4)]
        b = [queued(queue, "bea") for _ in range(2)]
        assert ids(claimed(queue, 6)) == ids([a[0], b[0], a[1], b[1], a[2], a[3]])

    def test_counts_what_an_owner_has_on_any_host(self, queue: Queue) -> None:
        running(queue, "there", owner="ada")
        first, second = queued(queue, "ada"), queued(queue, "bea")
        assert ids(claimed(queue, 2)) == ids([second, first])

    def test_prefers_priority_to_turns(self, queue: Queue) -> None:
        running(queue, owner="ada")
        urgent = queued(queue, "ada", priority=1)
        queued(queue, "bea")
        assert ids(claimed(queue, 1)) == [urgent.id]

    def test_fills_a_host_and_no_more(self, queue: Queue) -> None:
        for _ in range(4):
            queued(queue)
        assert queue.claim("here", 0) is None
        first, second = queue.claim("here", 2), queue.claim("here", 2)
        assert first is not None
        assert second is not None
        assert queue.claim("here", 2) is None
        assert queue.claim("there", 1) is not None  # each host has its own places
        queue.begin(first.id, 1)
        queue.cancel(first.id, "by hand")
        assert queue.claim("here", 2) is None  # its process is still there
        queue.cancelled(first.id, 1, "it is gone")
        assert queue.claim("here", 2) is not None

    def test_takes_only_the_kinds_that_are_asked_for(self, queue: Queue) -> None:
        queued(queue, kind="train")
        solve = queued(queue, kind="solve")
        taken = queue.claim("here", 9, kinds=["solve"])
        assert taken is not None
        assert taken.id == solve.id
        assert queue.claim("here", 9, kinds=["solve"]) is None

    def test_leaves_what_is_not_due(self, database: Database, queue: Queue) -> None:
        job = leased(queue)
        queue.lose(job.id, 1, "gone")
        postpone(database, 1000)
        assert queue.claim("here", 9) is None
        let_time_pass(database)
        again = queue.claim("there", 9)
        assert again is not None
        assert (again.id, again.attempt, again.host) == (job.id, 2, "there")

    def test_leaves_a_solve_while_another_job_solves_for_the_same_basis(self, queue: Queue) -> None:
        first = leased(queue, kind="solve", subject="a")
        second = queued(queue, "bob", kind="solve", subject="a")
        other = queued(queue, "bob", kind="solve", subject="b")
        assert queue.waiting(second) == (2, "another job is solving for the same basis")
        assert queue.waiting(other)[0] == 1
        assert claimed(queue, 1) == [queue.get(other.id)]
        assert queue.claim("here", 1000) is None
        queue.cancel(first.id, "by ada")
        assert queue.claim("here", 1000) is None  # its process still runs
        queue.cancelled(first.id, 1, "it was ended")
        assert claimed(queue, 1) == [queue.get(second.id)]

    def test_gives_a_lease(self, database: Database) -> None:
        queue = Queue(database, lease_seconds=100.0)
        job = leased(queue)
        assert job.state == "leased"
        assert job.host == "here"
        assert job.lease_expires == pytest.approx(time.time() + 100, abs=30)


class TestLife:
    def test_from_the_queue_to_success(self, queue: Queue) -> None:
        job = leased(queue)
        assert queue.placed(job.id, 1, "12:34.5").external_id == "12:34.5"
        begun = queue.begin(job.id, 1)
        assert begun.state == "running"
        assert begun.started == pytest.approx(time.time(), abs=30)
        assert queue.heartbeat(job.id, 1, {"epoch": 3}) == "running"
        assert queue.get(job.id).progress == {"epoch": 3}
        done = queue.succeed(job.id, 1, {"test_loss": 0.5})
        assert (done.state, done.result, done.external_id) == (
            "succeeded",
            {"test_loss": 0.5},
            "12:34.5",
        )
        assert done.ended is not None
        assert done.ended >= (begun.started or 0)
        assert done.has_ended
        assert queue.get(job.id) == done

    def test_is_told_in_events(self, database: Database, queue: Queue) -> None:
        job = running(queue)
        queue.heartbeat(job.id, 1, {"epoch": 3})
        queue.heartbeat(job.id, 1)
        queue.succeed(job.id, 1, {})
        told = [(event.type, dict(event.data)) for event in Events(database).after(job.id)]
        assert told == [
            ("state", {"state": "queued", "reason": "handed in", "attempt": 0}),
            ("state", {"state": "leased", "reason": "taken by here", "attempt": 1}),
            ("state", {"state": "running", "reason": "runs on here", "attempt": 1}),
            ("progress", {"epoch": 3}),
            ("state", {"state": "succeeded", "reason": "done", "attempt": 1}),
        ]

    def test_to_failure(self, queue: Queue) -> None:
        problem = Problem.of("out-of-memory", "it took 9 GB", limit_bytes=8)
        failed = queue.fail(running(queue).id, 1, problem)
        assert (failed.state, failed.reason) == ("failed", "it took 9 GB")
        assert failed.problem == problem.model_dump()
        assert failed.ended is not None

    def test_to_failure_before_it_began(self, queue: Queue) -> None:
        assert queue.fail(leased(queue).id, 1, Problem.of("internal", "no")).state == "failed"

    def test_may_be_placed_after_all_is_over(self, queue: Queue) -> None:
        """The job's process may be quicker than whoever started it."""
        job = running(queue)
        queue.succeed(job.id, 1, {})
        placed = queue.placed(job.id, 1, "12:34.5")
        assert (placed.state, placed.external_id) == ("succeeded", "12:34.5")

    def test_reasons_are_kept_to_a_length(self, queue: Queue) -> None:
        job = queue.cancel(queued(queue).id, "x" * 10**6)
        assert len(job.reason) == 2000


class TestLeases:
    def test_run_out(self, database: Database) -> None:
        queue = Queue(database, lease_seconds=-1.0)
        jobs = [leased(queue, "here"), running(queue, "there"), running(queue, "there")]
        queue.cancel(jobs[2].id, "by hand")
        queued(queue)
        assert ids(queue.expired()) == ids(jobs)
        for job in jobs:
            queue.lose(job.id, 1, "it was not heard of")
        assert queue.expired() == []

    def test_are_extended_by_a_sign_of_life(self, database: Database) -> None:
        job = running(Queue(database, lease_seconds=-1.0))
        queue = Queue(database, lease_seconds=60.0)
        assert ids(queue.expired()) == [job.id]
        assert queue.heartbeat(job.id, 1) == "running"
        assert queue.expired() == []
        assert queue.get(job.id).last_event == job.last_event

    def test_are_extended_while_a_job_is_cancelled(self, queue: Queue) -> None:
        job = running(queue)
        queue.cancel(job.id, "by hand")
        assert queue.heartbeat(job.id, 1) == "cancelling"


class TestLoss:
    def test_queues_it_again_as_untouched(self, queue: Queue) -> None:
        job = running(queue)
        queue.placed(job.id, 1, "12:34.5")
        queue.heartbeat(job.id, 1, {"epoch": 7})
        lost = queue.lose(job.id, 1, "it was killed by SIGKILL")
        assert (lost.state, lost.reason) == ("queued", "it was killed by SIGKILL")
        assert (lost.host, lost.external_id, lost.lease_expires, lost.started) == (None,) * 4
        assert lost.progress == {"epoch": 7}  # from where it goes on

    def test_makes_it_wait_longer_each_time(self, database: Database, queue: Queue) -> None:
        job = queued(queue, limits=replace(LIMITS, attempts=4))
        pauses = []
        for attempt in (1, 2, 3):
            claimed(queue, 1)
            lost = queue.lose(job.id, attempt, "gone")
            pauses.append(lost.not_before - lost.updated)
            let_time_pass(database)
        assert pauses == pytest.approx([1, 4, 16], abs=0.5)

    def test_of_the_last_attempt_fails_it(self, database: Database, queue: Queue) -> None:
        job = queued(queue, limits=replace(LIMITS, attempts=2))
        for attempt in (1, 2):
            let_time_pass(database)
            claimed(queue, 1)
            lost = queue.lose(job.id, attempt, "gone")
        assert lost.state == "failed"
        assert lost.problem is not None
        assert lost.problem["code"] == "worker-died"
        assert lost.problem["detail"] == (
            "gone; 2 attempts in succession were lost without a new checkpoint, which is the limit"
        )

    def test_of_the_only_attempt_fails_it(self, queue: Queue) -> None:
        job = running(queue, limits=replace(LIMITS, attempts=1))
        lost = queue.lose(job.id, 1, "gone")
        assert lost.state == "failed"
        assert "its limit is 1" in lost.reason

    def test_does_not_count_after_a_new_checkpoint(self, database: Database, queue: Queue) -> None:
        job = queued(queue, limits=replace(LIMITS, attempts=2))
        for attempt in range(1, 8):
            let_time_pass(database)
            claimed(queue, 1)
            queue.heartbeat(job.id, attempt, {"stage": "reading"})
            queue.heartbeat(job.id, attempt, {"epoch": attempt}, checkpoint=attempt)
            queue.heartbeat(job.id, attempt, {"epoch": attempt + 1})
            lost = queue.lose(job.id, attempt, "gone")
            assert (lost.state, lost.attempt) == ("queued", attempt)
            assert lost.progress == {"epoch": attempt + 1, "checkpoint": attempt}
            assert lost.not_before - lost.updated <= 1.5

    def test_counts_if_the_checkpoint_is_not_after_that_of_earlier_attempts(
        self, database: Database, queue: Queue
    ) -> None:
        """A process that is killed at epoch 7 each time stores the checkpoint of epoch 6 once."""
        job = queued(queue, limits=replace(LIMITS, attempts=2))
        for attempt in (1, 2, 3):
            let_time_pass(database)
            claimed(queue, 1)
            queue.heartbeat(job.id, attempt, {"epoch": 6}, checkpoint=6)
            queue.heartbeat(job.id, attempt, {"epoch": 6})
            lost = queue.lose(job.id, attempt, "killed")
        assert (lost.state, lost.attempt) == ("failed", 3)
        assert lost.problem is not None
        assert "2 attempts in succession" in lost.problem["detail"]

    def test_that_an_outage_caused_counts_neither(self, database: Database, queue: Queue) -> None:
        job = queued(queue, limits=replace(LIMITS, attempts=1))
        states = []
        for attempt, counts in enumerate((False, False, False, True), 1):
            let_time_pass(database)
            claimed(queue, 1)
            queue.heartbeat(job.id, attempt, checkpoint=3)
            assert queue.get(job.id).progress == {"checkpoint": 3}
            states.append(queue.lose(job.id, attempt, "gone", counts=counts).state)
        assert states == ["queued", "queued", "queued", "failed"]

    def test_of_one_that_is_cancelled_ends_it(self, queue: Queue) -> None:
        job = running(queue)
        queue.cancel(job.id, "by hand")
        lost = queue.lose(job.id, 1, "gone")
        assert (lost.state, lost.ended is not None) == ("cancelled", True)

    def test_never_makes_it_wait_for_days(self, database: Database, queue: Queue) -> None:
        job = queued(queue, limits=replace(LIMITS, attempts=100))
        for attempt in range(1, 30):
            claimed(queue, 1)
            lost = queue.lose(job.id, attempt, "gone")
            let_time_pass(database)
        assert lost.not_before - lost.updated == pytest.approx(600, abs=0.5)


class TestCancel:
    def test_of_one_that_waits_is_done_at_once(self, queue: Queue) -> None:
        job = queue.cancel(queued(queue).id, "by ada")
        assert (job.state, job.reason, job.ended is not None) == ("cancelled", "by ada", True)
        assert queue.claim("here", 9) is None

    @pytest.mark.parametrize("made", [leased, running])
    def test_of_one_on_a_host_waits_for_its_process(self, queue: Queue, made: Any) -> None:
        job = queue.cancel(made(queue).id, "by ada")
        assert (job.state, job.reason, job.ended) == ("cancelling", "by ada", None)
        assert queue.cancel(job.id, "again") == job
        done = queue.cancelled(job.id, 1, "it was ended")
        assert (done.state, done.ended is not None) == ("cancelled", True)

    def test_of_one_that_is_done_just_then_comes_too_late(self, queue: Queue) -> None:
        job = running(queue)
        queue.cancel(job.id, "by ada")
        done = queue.succeed(job.id, 1, {"test_loss": 0.5})
        assert (done.state, done.reason) == ("succeeded", "was done before the cancel reached it")
        with pytest.raises(Fenced):
            queue.cancelled(job.id, 1, "it was ended")

    def test_of_one_that_fails_just_then_has_its_way(self, queue: Queue) -> None:
        """What a process says of its end, when it was told to end, is not why it ended."""
        job = queue.cancel(running(queue).id, "by ada")
        with pytest.raises(Fenced, match="is cancelling, not leased or running"):
            queue.fail(job.id, 1, Problem.of("internal", "no"))
        assert queue.get(job.id) == job

    def test_waits_for_whoever_changes_the_job_just_then(
        self, database: Database, queue: Queue
    ) -> None:
        job = leased(queue)
        with ThreadPoolExecutor(1) as threads:
            with database.write() as connection:
                begun = move(connection, held(connection, job.id, 1), "running", "it runs")
                cancelling = threads.submit(queue.cancel, job.id, "by ada")
                with pytest.raises(TimeoutError):
                    cancelling.result(timeout=0.3)
            cancelled = cancelling.result(timeout=PATIENCE)
        assert cancelled.state == "cancelling"
        assert cancelled.started == begun.started

    @pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
    def test_of_one_that_has_ended_changes_nothing(self, queue: Queue, end: str) -> None:
        job = ended(queue, end)
        assert queue.cancel(job.id, "by ada") == job

    def test_of_nothing(self, queue: Queue) -> None:
        with refused("not-found"):
            queue.cancel("none", "by ada")


class TestRetry:
    @pytest.mark.parametrize("end", ["failed", "cancelled"])
    def test_begins_anew(self, queue: Queue, end: str) -> None:
        job = queue.retry(ended(queue, end).id)
        assert (job.state, job.attempt, job.problem, job.ended) == ("queued", 1, None, None)
        assert (job.host, job.started, job.progress) == (None, None, {})
        assert claimed(queue, 1)[0].attempt == 2

    def test_counts_attempts_anew(self, database: Database, queue: Queue) -> None:
        job = queued(queue, limits=replace(LIMITS, attempts=2))
        for attempt in range(1, 5):
            let_time_pass(database)
            claimed(queue, 1)
            lost = queue.lose(job.id, attempt, "gone")
            if attempt % 2:
                assert lost.state == "queued"
                assert lost.not_before - lost.updated == pytest.approx(1, abs=0.5)
            else:
                assert lost.state == "failed"
                queue.retry(job.id)

    @pytest.mark.parametrize("made", [queued, leased, running])
    def test_of_one_that_has_not_ended_is_refused(self, queue: Queue, made: Any) -> None:
        with refused("wrong-state"):
            queue.retry(made(queue).id)

    def test_of_one_that_succeeded_is_refused(self, queue: Queue) -> None:
        with refused("wrong-state") as error:
            queue.retry(ended(queue, "succeeded").id)
        assert "is succeeded: only failed and cancelled jobs" in str(error.value)

    def test_of_nothing(self, queue: Queue) -> None:
        with refused("not-found"):
            queue.retry("none")


class TestDelete:
    @pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
    def test_leaves_nothing(self, database: Database, queue: Queue, end: str) -> None:
        job = ended(queue, end)
        queue.delete(job.id)
        with refused("not-found"):
            queue.get(job.id)
        with database.read() as connection:
            assert connection.execute(select(func.count()).select_from(events)).scalar() == 0

    @pytest.mark.parametrize("made", [queued, leased, running])
    def test_of_one_that_has_not_ended_is_refused(self, queue: Queue, made: Any) -> None:
        job = made(queue)
        with refused("wrong-state"):
            queue.delete(job.id)
        assert queue.get(job.id) == job

    def test_of_nothing(self, queue: Queue) -> None:
        with refused("not-found"):
            queue.delete("none")


class TestFencing:
    @pytest.mark.parametrize(
        "say",
        [
            lambda queue, job: queue.begin(job, 1),
            lambda queue, job: queue.placed(job, 1, "12:34.5"),
            lambda queue, job: queue.heartbeat(job, 1),
            lambda queue, job: queue.heartbeat(job, 1, {"epoch": 1}),
            lambda queue, job: queue.succeed(job, 1, {}),
            lambda queue, job: queue.fail(job, 1, Problem.of("internal", "no")),
            lambda queue, job: queue.lose(job, 1, "gone"),
            lambda queue, job: queue.cancelled(job, 1, "gone"),
        ],
        ids=["begin", "placed", "heartbeat", "progress", "succeed", "fail", "lose", "cancelled"],
    )
    def test_refuses_whatever_a_lost_attempt_says(
        self, database: Database, queue: Queue, say: Any
    ) -> None:
        job = running(queue)
        lost = queue.lose(job.id, 1, "gone")
        with pytest.raises(Fenced):  # while it waits
            say(queue, job.id)
        assert queue.get(job.id) == lost
        let_time_pass(database)
        (again,) = claimed(queue, 1, "there")
        with pytest.raises(Fenced, match=f"attempt 1 of job {job.id} is over"):
            say(queue, job.id)
        assert queue.get(job.id) == again
        queue.begin(job.id, 2)
        queue.succeed(job.id, 2, {})
        queue.delete(job.id)
        with pytest.raises(Fenced):
            say(queue, job.id)
