"""Jobs as processes of this machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from helpers.example_jobs import a_job, is_dead, program, soon
from helpers.patience import quickest, seconds_of
from intertwine_api.work.executor import Exit
from intertwine_api.work.host import host_of
from intertwine_api.work.job import Job, Limits
from intertwine_api.work.local import LocalExecutor

SLEEPER = program("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
#: Does not want to end, nor does the process that it has started.
STUBBORN = program(
    "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "subprocess.Popen(['sleep', '600']); print(os.getpid(), flush=True); time.sleep(600)"
)


class Started:
    """A job that an executor has started; `again` is how another process finds it."""

    def __init__(self, executor: LocalExecutor, command: Sequence[str], job: Job) -> None:
        self.executor, self.job = executor, job
        self.job = replace(job, external_id=executor.submit(job, command, {"ANSWER": "42"}))
        self.supervisor = int(self.job.external_id or 0)

    def again(self) -> LocalExecutor:
        return LocalExecutor(self.executor.folder)

    def process(self) -> psutil.Process:
        """The process of the job, when it has printed its id."""
        return psutil.Process(int(soon(lambda: self.executor.last_lines(self.job)).split()[0]))

    def ended(self, executor: LocalExecutor | None = None) -> Exit:
        asked = executor or self.executor
        soon(lambda: asked.state(self.job) != "running")
        ended = asked.state(self.job)
        assert isinstance(ended, Exit)
        return ended


class Remembering(LocalExecutor):
    """An executor that knows whom to end when the test is over."""

    def __init__(self, folder: Path, grace: float) -> None:
        super().__init__(folder, grace)
        self.submitted: list[Job] = []

    def submit(self, job: Job, command: Sequence[str], environment: Mapping[str, str]) -> str:
        external_id = super().submit(job, command, environment)
        self.submitted.append(replace(job, external_id=external_id))
        return external_id

    def close(self) -> None:
        for job in self.submitted:
            self.cancel(job, 0)
            while self.state(job) == "running":
                time.sleep(0.02)


@pytest.fixture
def executor(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalExecutor]:
    """An executor whose supervisors wait for longer than a busy machine stops a process."""
    executor = Remembering(tmp_path / "jobs", getattr(request, "param", 300.0))
    yield executor
    executor.close()


def start(executor: LocalExecutor, command: Sequence[str], **changes: object) -> Started:
    return Started(executor, command, a_job(**changes))


class TestAJob:
    def test_runs_with_its_environment_and_its_log_in_its_folder(
        self, executor: LocalExecutor, tmp_path: Path
    ) -> None:
        started = start(executor, program("import os; print(os.environ['ANSWER'])"))
        assert started.ended().code == 0
        assert executor.last_lines(started.job) == "42"
        assert (tmp_path / "jobs" / started.job.id / "log").exists()

    def test_is_running_as_soon_as_it_was_submitted(self, executor: LocalExecutor) -> None:
        names = iter("abcde")
        started: list[Started] = []

        def submit() -> None:
            started.append(start(executor, SLEEPER, id=next(names)))

        assert quickest(lambda: seconds_of(submit), 1) < 1
        assert executor.state(started[-1].job) == "running"

    def test_leaves_no_zombie(self, executor: LocalExecutor) -> None:
        started = start(executor, program(""))
        started.ended()
        soon(lambda: executor.reconcile() or not psutil.pid_exists(started.supervisor))

    def test_that_was_never_started_is_gone(self, executor: LocalExecutor) -> None:
        assert executor.state(a_job()) == "gone"

    def test_has_its_limits(self, executor: LocalExecutor) -> None:
        limits = Limits(seconds=0.5, memory=10**9)
        assert start(executor, SLEEPER, limits=limits).ended().cause == "time"


class TestAProcessIdThatIsSomebodyElsesNow:
    def test_is_not_taken_for_the_job(self, executor: LocalExecutor) -> None:
        other = start(executor, SLEEPER, id="other")
        for job in (
            a_job(external_id=str(os.getpid())),
            a_job(external_id=str(other.supervisor)),
            a_job(id="other", attempt=2, external_id=str(other.supervisor)),
        ):
            assert executor.state(job) == "gone"
            executor.cancel(job, 0)
        assert executor.state(other.job) == "running"


class TestAnotherExecutorOfTheFolder:
    """As after a restart of the service."""

    def test_finds_a_job_that_runs_and_cancels_it(self, executor: LocalExecutor) -> None:
        started = start(executor, SLEEPER)
        process, adopting = started.process(), started.again()
        assert adopting.state(started.job) == "running"
        adopting.cancel(started.job, 300)
        assert started.ended(adopting).signal == "SIGTERM"
        assert is_dead(process)

    def test_finds_how_a_job_ended(self, executor: LocalExecutor) -> None:
        started = start(executor, program("raise SystemExit(7)"))
        assert started.ended(started.again()).code == 7


class TestCancel:
    def test_asks_first(self, executor: LocalExecutor) -> None:
        started = start(executor, SLEEPER)
        process = started.process()
        executor.cancel(started.job, 300)
        assert started.ended().signal == "SIGTERM"
        assert is_dead(process)

    def test_does_not_wait_for_the_end(self, executor: LocalExecutor) -> None:
        started = start(executor, STUBBORN)
        started.process()
        for _ in range(2):
            executor.cancel(started.job, 300)
            assert executor.state(started.job) == "running"

    @pytest.mark.slow
    @pytest.mark.parametrize("executor", [1.0], indirect=True)
    def test_kills_what_does_not_want_to_end_and_all_it_started(
        self, executor: LocalExecutor
    ) -> None:
        started = start(executor, STUBBORN)
        process = started.process()
        (child,) = process.children()
        executor.cancel(started.job, 300)
        executor.cancel(started.job, 300)
        assert started.ended().signal == "SIGKILL"
        assert is_dead(process)
        soon(lambda: is_dead(child))

    def test_without_grace_kills_at_once(self, executor: LocalExecutor) -> None:
        started = start(executor, STUBBORN)
        process = started.process()
        executor.cancel(started.job, 0)
        soon(lambda: is_dead(process))
        soon(lambda: executor.state(started.job) == "gone")

    @pytest.mark.slow
    def test_does_not_rely_on_the_supervisor(self, executor: LocalExecutor) -> None:
        started = start(executor, STUBBORN)
        process = started.process()
        os.kill(started.supervisor, signal.SIGSTOP)
        executor.cancel(started.job, 0.1)

        def is_gone() -> bool:
            executor.cancel(started.job, 0.1)
            return executor.state(started.job) == "gone"

        soon(is_gone)
        soon(lambda: is_dead(process))

    def test_of_a_job_that_has_ended_is_nothing(self, executor: LocalExecutor) -> None:
        started = start(executor, program(""))
        ended = started.ended()
        executor.cancel(started.job, 1)
        assert executor.state(started.job) == ended


@pytest.mark.skipif(sys.platform != "linux", reason="reads the environment of other processes")
class TestASupervisorThatWasKilled:
    def test_leaves_a_job_that_is_gone_and_can_be_ended(self, executor: LocalExecutor) -> None:
        started = start(executor, STUBBORN)
        process = started.process()
        os.kill(started.supervisor, signal.SIGKILL)
        soon(lambda: executor.state(started.job) == "gone")
        assert not is_dead(process)
        executor.cancel(started.job, 0)
        soon(lambda: is_dead(process))

    def test_leaves_nothing_that_disturbs_the_next_attempt(self, executor: LocalExecutor) -> None:
        started = start(executor, STUBBORN)
        process = started.process()
        os.kill(started.supervisor, signal.SIGKILL)
        second = start(executor, SLEEPER, attempt=2)
        soon(lambda: is_dead(process))
        assert executor.state(second.job) == "running"
        executor.cancel(started.job, 0)  # a late word of the first does not touch the second
        time.sleep(0.1)
        assert executor.state(second.job) == "running"


def test_a_host_is_told_from_others_and_by_its_folder(tmp_path: Path) -> None:
    assert host_of(tmp_path) == host_of(tmp_path)
    assert host_of(tmp_path) != host_of(tmp_path / "other")
