"""Jobs from the queue to a process and back, with real processes on both databases."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from helpers.databases import KINDS
from helpers.example_jobs import GENEROUS, is_dead, soon
from helpers.example_queues import leased, running
from helpers.patience import PATIENCE, in_one_of
from intertwine_api.storage.database import Database
from intertwine_api.work.controller import Controller
from intertwine_api.work.events import Events
from intertwine_api.work.host import HostCapacity, JobEnvironment
from intertwine_api.work.job import Job, Limits, NewJob
from intertwine_api.work.local import LocalExecutor
from intertwine_api.work.queue import Fenced, Queue

MB = 10**6
COMMAND = (sys.executable, str(Path(__file__).with_name("some_job.py")))


class Lab:
    """A queue, and controllers of one host that may come and go."""

    def __init__(self, url: str, folder: Path) -> None:
        self.database = Database(url)
        self.around = JobEnvironment(folder, url, folder / "cache", lease_seconds=1.5)
        self.queue = Queue(self.database, self.around.lease_seconds)
        self._folder = folder
        self._morning = folder / "morning"
        self._controllers: list[Controller] = []
        self._executors: list[LocalExecutor] = []

    def opens(self, slots: int = 4, host: str = "here", grace: float = 1.0) -> Controller:
        """A new controller of the host, at work."""
        environment = self.around.to_variables()
        places = HostCapacity(host, slots, COMMAND, environment, grace, self.around.lease_seconds)
        self._executors.append(LocalExecutor(self._folder / "jobs", grace))
        controller = Controller(self.queue, self._executors[-1], places)
        controller.start()
        self._controllers.append(controller)
        return controller

    def stops(self, controller: Controller) -> None:
        """Stop a controller, also one that takes long to look."""
        controller.stop()
        soon(lambda: all(thread.name != "controller" for thread in threading.enumerate()))

    def lets_leases_last(self) -> None:
        """Lengthen leases: a host that is stopped for a while keeps its jobs."""
        self.around = replace(self.around, lease_seconds=300.0)
        self.queue = Queue(self.database, self.around.lease_seconds)

    def submit(self, do: str, limits: Limits = GENEROUS, **request: Any) -> str:
        """A new job's id."""
        new = NewJob("train", "somebody", {"do": do, **request}, limits)
        return self.queue.submit(new)[0].id

    def submit_sleeper(self) -> str:
        """A job that runs until `morning_comes`, however slow the machine is."""
        return self.submit("sleep", until=str(self._morning))

    def morning_comes(self) -> None:
        self._morning.touch()

    def job(self, job_id: str) -> Job:
        return self.queue.get(job_id)

    def ended(self, job_id: str, seconds: float = PATIENCE) -> Job:
        """The job when it has ended."""
        soon(lambda: self.job(job_id).has_ended, seconds)
        return self.job(job_id)

    def process(self, job_id: str, attempt: int = 1) -> psutil.Process:
        """The job's own process in an attempt, when it has told its id."""

        def told() -> bool:
            job = self.job(job_id)
            return job.attempt == attempt and "pid" in job.progress

        soon(told)
        return psutil.Process(self.job(job_id).progress["pid"])

    def supervisor(self, job_id: str) -> psutil.Process:
        return psutil.Process(int(self.job(job_id).external_id or 0))

    def close(self) -> None:
        for controller in self._controllers:
            controller.stop()
        for job in self.queue.held("here"):
            self._executors[0].cancel(job, 0)
            while any(each.state(job) == "running" for each in self._executors):
                time.sleep(0.02)
        self.database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_kind(request: pytest.FixtureRequest) -> str:
    """SQLite for whoever is in a hurry; one test below is quick on both."""
    kind: str = request.param
    return kind


@pytest.fixture
def lab(database_url: str, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(database_url, tmp_path)
    yield lab
    lab.close()


def story(lab: Lab, job_id: str) -> list[str]:
    """The states that a job went through."""
    events = Events(lab.database).after(job_id)
    return [event.data["state"] for event in events if event.type == "state"]


def test_a_job_runs_and_succeeds(lab: Lab, tmp_path: Path) -> None:
    controller = lab.opens()
    job_id = lab.submit("answer")
    controller.wake()
    job = lab.ended(job_id)
    assert job.result == {"answer": 42, "folder": str(tmp_path / "jobs" / job_id)}
    assert story(lab, job_id) == ["queued", "leased", "running", "succeeded"]
    assert job.host == "here"


class TestAJobThatFails:
    """All kinds at once, since each is a process that takes a second to start."""

    @pytest.mark.slow
    def test_has_its_reason_and_is_not_retried(self, lab: Lab) -> None:
        deeds = ("refuse", "stumble", "fill the disk", "crash", "exit", "take all at once")
        ids = {do: lab.submit(do) for do in deeds}
        lab.opens(slots=3)
        problems = {}
        for do, job_id in ids.items():
            job = lab.ended(job_id)
            assert (job.state, job.attempt) == ("failed", 1), do
            problems[do] = job.problem or {}
        codes = {do: problem["code"] for do, problem in problems.items()}
        assert codes == {
            "refuse": "invalid-rep",
            "stumble": "internal",
            "fill the disk": "disk-full",
            "crash": "worker-died",
            "exit": "worker-died",
            "take all at once": "out-of-memory",
        }
        assert problems["refuse"]["detail"] == "this cannot be"
        assert "secret" not in str(problems["stumble"])
        log = (lab.around.home / "jobs" / ids["stumble"] / "log").read_text()
        assert "RuntimeError: a secret of the code" in log
        assert "/somewhere" in problems["fill the disk"]["detail"]
        assert "SIGSEGV" in problems["crash"]["detail"]
        assert problems["crash"]["signal"] == "SIGSEGV"
        assert "the last words" in problems["crash"]["log"]
        assert "in _crash" in problems["crash"]["log"]  # where it was
        assert problems["exit"]["exit_code"] == 5

    @pytest.mark.slow
    def test_by_its_limits_says_by_how_much(self, lab: Lab) -> None:
        greedy = lab.submit("grow", Limits(600, 250 * MB))
        slow = lab.submit("sleep", Limits(2, 10**9))
        lab.opens()
        greedy_job, slow_job = lab.ended(greedy), lab.ended(slow)
        problem = greedy_job.problem or {}
        assert (greedy_job.attempt, problem["code"]) == (1, "out-of-memory")
        assert problem["limit_bytes"] == 250 * MB < problem["peak_bytes"] < 500 * MB
        assert "0.25 GB" in problem["detail"]
        problem = slow_job.problem or {}
        assert (slow_job.attempt, problem["code"]) == (1, "out-of-time")
        assert problem["limit_seconds"] == 2 < problem["seconds"]


class TestALostWorker:
    @pytest.mark.slow
    def test_is_replaced_a_limited_number_of_times(self, lab: Lab) -> None:
        by_process = lab.submit("sleep", attempts=1)
        by_supervisor = lab.submit("sleep", attempts=1)
        at_last = lab.submit("sleep", Limits(600, 10**9, attempts=1))
        lab.opens()
        processes = [lab.process(job_id) for job_id in (by_process, by_supervisor, at_last)]
        lab.supervisor(by_supervisor).kill()
        processes[0].kill()
        processes[2].kill()
        soon(lambda: all(is_dead(process) for process in processes))
        for job_id in (by_process, by_supervisor):
            assert lab.ended(job_id).result == {"attempt": 2}
            assert story(lab, job_id) == [
                *("queued", "leased", "running"),
                *("queued", "leased", "running", "succeeded"),
            ]
        job = lab.ended(at_last)
        assert (job.state, job.attempt) == ("failed", 1)
        assert (job.problem or {})["code"] == "worker-died"
        assert "SIGKILL" in job.reason

    @pytest.mark.slow
    def test_that_is_killed_at_the_same_epoch_each_time_is_not_replaced_without_end(
        self, lab: Lab
    ) -> None:
        job_id = lab.submit("store and die", replace(GENEROUS, attempts=2))
        lab.opens()
        job = lab.ended(job_id)
        assert (job.state, job.attempt) == ("failed", 3)  # the first one stored a new checkpoint
        assert (job.problem or {})["code"] == "worker-died"
        assert "2 attempts in succession were lost without a new checkpoint" in job.reason

    @pytest.mark.slow
    def test_is_replaced_when_its_lease_is_over_and_no_process_is_known(self, lab: Lab) -> None:
        queue = Queue(lab.database, lease_seconds=1)
        ids = [lab.submit("answer"), lab.submit("answer")]
        assert queue.claim("elsewhere", 1) is not None  # by a host that is gone
        assert queue.claim("here", 1) is not None  # by a controller that was killed just then
        lab.opens()
        for job_id in ids:
            job = lab.ended(job_id)
            assert (job.state, job.host, job.attempt) == ("succeeded", "here", 2)
            _, taken, lost, *_ = Events(lab.database).after(job_id)
            assert lost.data["state"] == "queued"
            assert lost.at - taken.at >= 1


class TestCancel:
    def test_of_a_job_that_runs_ends_its_process(self, lab: Lab) -> None:
        sleeping, asking = lab.submit("sleep"), lab.submit("ask")
        controller = lab.opens()
        processes = [lab.process(sleeping), lab.process(asking)]
        for job_id in (sleeping, asking):
            assert lab.queue.cancel(job_id, "no longer wanted").state == "cancelling"
        controller.wake()
        for job_id, process in zip((sleeping, asking), processes, strict=True):
            job = lab.ended(job_id)
            assert (job.state, job.reason) == ("cancelled", "no longer wanted")
            soon(lambda process=process: is_dead(process))  # type: ignore[misc]

    def test_of_a_job_that_was_just_taken(self, lab: Lab) -> None:
        job_id = lab.submit("sleep")
        lab.opens()
        soon(lambda: lab.job(job_id).external_id is not None)
        supervisor = lab.supervisor(job_id)
        lab.queue.cancel(job_id, "no")
        assert lab.ended(job_id).state == "cancelled"
        soon(lambda: is_dead(supervisor))

    @pytest.mark.slow
    def test_of_a_job_that_waits_means_that_it_never_runs(self, lab: Lab) -> None:
        first, second = lab.submit_sleeper(), lab.submit("answer")
        lab.opens(slots=1)
        lab.process(first)
        assert lab.queue.cancel(second, "no").state == "cancelled"
        lab.morning_comes()
        assert lab.ended(first).state == "succeeded"
        assert not (lab.around.home / "jobs" / second).exists()
        assert lab.queue.cancel(first, "too late").state == "succeeded"

    def test_of_a_job_whose_supervisor_was_killed(self, lab: Lab) -> None:
        job_id = lab.submit("sleep")
        controller = lab.opens()
        process = lab.process(job_id)
        lab.stops(controller)
        lab.queue.cancel(job_id, "no")
        lab.supervisor(job_id).kill()
        lab.opens()
        job = lab.ended(job_id)
        assert (job.state, job.reason) == ("cancelled", "no")
        soon(lambda: is_dead(process))


class TestAController:
    @pytest.mark.slow
    def test_that_is_stopped_leaves_its_jobs_to_the_next(self, lab: Lab) -> None:
        goes_on, crashes = lab.submit_sleeper(), lab.submit("sleep")
        cancelled = lab.submit("sleep")
        controller = lab.opens()
        processes = [lab.process(job_id) for job_id in (goes_on, crashes, cancelled)]
        lab.stops(controller)
        processes[1].send_signal(signal.SIGSEGV)
        soon(lambda: is_dead(processes[1]))
        assert lab.job(crashes).state == "running"  # nobody is there to tell
        again = lab.opens()
        assert (lab.ended(crashes).problem or {})["signal"] == "SIGSEGV"
        lab.queue.cancel(cancelled, "enough")
        again.wake()
        assert lab.ended(cancelled).state == "cancelled"
        soon(lambda: is_dead(processes[2]))
        lab.morning_comes()
        job = lab.ended(goes_on)
        assert (job.state, job.attempt) == ("succeeded", 1)

    @pytest.mark.slow
    @pytest.mark.parametrize("database_kind", KINDS, indirect=True)
    def test_runs_no_more_at_once_than_it_has_places_and_disturbs_no_other(self, lab: Lab) -> None:
        lab.lets_leases_last()
        ids = [lab.submit_sleeper() for _ in range(4)]
        for _ in range(3):
            lab.opens(slots=2)
        seen: set[int] = set()

        def held() -> int:
            seen.add(len(lab.queue.held("here")))
            return max(seen)

        soon(lambda: held() >= 2)
        time.sleep(1)  # for the others to look for jobs
        held()
        lab.morning_comes()
        soon(lambda: held() and all(lab.job(job_id).has_ended for job_id in ids))
        assert max(seen) == 2
        assert [lab.job(job_id).attempt for job_id in ids] == [1] * 4

    @pytest.mark.slow
    def test_keeps_the_lease_of_a_process_that_cannot_say_that_it_lives(self, lab: Lab) -> None:
        lab.opens()
        lab.opens(host="elsewhere", slots=0)  # would take it for lost

        def is_kept() -> bool:  # if this host is not stopped for longer than a lease
            job_id = lab.submit("sleep", attempts=1)
            process = lab.process(job_id)
            process.suspend()
            time.sleep(2 * lab.around.lease_seconds)
            process.resume()
            job = lab.job(job_id)
            lab.queue.cancel(job_id, "enough")
            lab.ended(job_id)
            return (job.state, job.attempt) == ("running", 1)

        assert in_one_of([is_kept] * 5)


class TestALeaseThatHasExpired:
    """Of a job of another host, which this one watches, a look at a time."""

    LEASE = 0.8

    @pytest.fixture
    def watched(self, lab: Lab) -> tuple[Queue, Job, Controller]:
        queue = Queue(lab.database, self.LEASE)
        job = leased(queue, "elsewhere")
        places = HostCapacity("here", 0, COMMAND, lease_seconds=self.LEASE)
        controller = Controller(queue, LocalExecutor(lab.around.home / "jobs"), places)
        soon(queue.expired)
        return queue, job, controller

    def is_lost(self, watched: tuple[Queue, Job, Controller]) -> bool:
        """Whether the job is lost after one more look."""
        queue, job, controller = watched
        controller.look()
        return queue.get(job.id).state == "queued"

    def test_is_the_end_of_the_job_only_if_it_stays_so(
        self, watched: tuple[Queue, Job, Controller]
    ) -> None:
        queue, job, _ = watched
        assert not self.is_lost(watched)
        queue.heartbeat(job.id, 1)  # nobody could write one, or the clock was set forward
        soon(queue.expired)
        assert not self.is_lost(watched)
        soon(lambda: self.is_lost(watched))

    @pytest.mark.slow
    def test_is_seen_anew_after_an_outage(
        self, watched: tuple[Queue, Job, Controller], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue, _, controller = watched
        assert not self.is_lost(watched)
        with monkeypatch.context() as away:
            away.setattr(queue, "held", None)
            with pytest.raises(TypeError):
                controller.look()
        time.sleep(self.LEASE / 2)
        assert not self.is_lost(watched)
        time.sleep(2.1)  # this host was suspended, perhaps with the others
        assert not self.is_lost(watched)
        soon(lambda: self.is_lost(watched))

    def test_is_renewed_by_a_heartbeat_at_the_last_moment(
        self, watched: tuple[Queue, Job, Controller]
    ) -> None:
        queue, _, _ = watched
        (seen,) = queue.expired()
        queue.heartbeat(seen.id, 1)
        with pytest.raises(Fenced, match="has sent a heartbeat"):
            queue.lose(seen.id, 1, "silent", lease_expires=seen.lease_expires)
        assert queue.get(seen.id).state == "leased"

    def test_costs_an_attempt_unless_it_was_an_outage(self, lab: Lab) -> None:
        job = running(lab.queue, limits=Limits(600, 10**9, attempts=1))
        assert lab.queue.lose(job.id, 1, "an outage", counts=False).state == "queued"
        soon(lambda: lab.queue.claim("here", 1))
        assert lab.queue.lose(job.id, 2, "an outage", counts=False).state == "queued"
        soon(lambda: lab.queue.claim("here", 1))
        assert lab.queue.lose(job.id, 3, "a crash").state == "failed"


@pytest.mark.slow
def test_an_attempt_that_was_replaced_ends(lab: Lab) -> None:
    asking, sleeping = lab.submit("ask"), lab.submit("sleep")
    controller = lab.opens()
    processes = [lab.process(asking), lab.process(sleeping)]
    lab.stops(controller)
    for job_id in (asking, sleeping):
        lab.queue.lose(job_id, 1, "taken for lost")  # as another host might
    soon(lambda: all(is_dead(process) for process in processes))


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_database_that_is_away_for_a_while_ends_neither_controller_nor_job(lab: Lab) -> None:
    job_id = lab.submit_sleeper()
    lab.opens()
    process = lab.process(job_id)
    with _away(lab.database):
        lab.morning_comes()
        time.sleep(4)
        assert not is_dead(process)  # it has done its work, and insists on telling it
    assert lab.ended(job_id).state == "succeeded"
    assert lab.job(job_id).attempt == 1
    assert lab.ended(lab.submit("answer"), 60).state == "succeeded"


@contextmanager
def _away(database: Database) -> Iterator[None]:
    """A PostgreSQL database that throws everybody out, and lets nobody in."""
    name = database.url.database
    elsewhere = database.url.set(drivername="postgresql", database="postgres")
    with psycopg.connect(elsewhere.render_as_string(False), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        yield
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
