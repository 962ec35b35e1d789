"""Jobs from their beginning to their end, as a client sees them, at a real service."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from helpers.example_jobs import soon
from helpers.patience import PATIENCE
from helpers.program import environment
from helpers.service import running_service
from intertwine.errors import InvalidSetting, NotFound
from intertwine.groups import SO
from intertwine.reps import V
from intertwine_api.client import AsyncClient, Client, Job
from intertwine_api.client.errors import JobCancelled, JobFailed, ServiceError, WaitedTooLong

QUICK = {"rep": "V**2", "group": "SO(3)"}
ENDLESS = {"rep": "V**9", "group": "SO(4)", "method": "krylov"}
HOPELESS = {"rep": "V**3", "group": "SO(3)", "method": "orbits"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that runs one job at a time, and stands under a path, as behind a proxy."""
    folder = tmp_path_factory.mktemp("jobs") / "data"
    settings = {"jobs": "1", "solve_operations": "1e20", "root_path": "/lab/intertwine"}
    with running_service(folder, **settings) as http:
        yield http


@pytest.fixture(scope="module")
def lab(http: httpx.Client) -> Iterator[Client]:
    with Client(f"{http.base_url}/lab/intertwine/") as lab:
        yield lab


@pytest.fixture
def endless(http: httpx.Client, lab: Client) -> Iterator[Job]:
    """A job that runs until it is cancelled."""
    job = submit(http, lab, ENDLESS)
    yield job
    job.cancel().wait(60)


def submit(http: httpx.Client, lab: Client, request: dict[str, Any], **more: Any) -> Job:
    answer = http.post("/v1/jobs", json={"kind": "solve", **request, **more})
    return lab.job(answer.raise_for_status().json()["id"])


def until(job: Job, state: str) -> Job:
    give_up = time.monotonic() + PATIENCE
    while job.refresh().state != state:
        assert time.monotonic() < give_up, job
        time.sleep(0.05)
    return job


@pytest.fixture(scope="module")
def job(http: httpx.Client, lab: Client) -> Job:
    """A job that succeeds."""
    return submit(http, lab, QUICK, name="squares", labels=["nice"])


class TestOneThatSucceeds:
    def test_its_result_is_brought_here(self, job: Job) -> None:
        found = job.result(timeout=60)
        assert np.array_equal(found.dense(), (V**2)(SO(3)).equivariant_basis().dense())
        assert (job.state, job.has_ended, job.reason) == ("succeeded", True, "succeeded")

    def test_every_event_came_once_and_in_order(self, job: Job) -> None:
        events = list(job.events())
        assert [event.seq for event in events] == [*range(1, len(events) + 1)]
        states = [event.data["state"] for event in events if event.type == "state"]
        assert states == ["queued", "leased", "running", "succeeded"]
        assert list(job.events(after=2)) == events[2:]
        assert list(job.events(after=events[-1].seq)) == []

    def test_it_shows_itself(self, job: Job) -> None:
        job.wait(60)
        assert repr(job) == f"<Job squares ({job.id}): succeeded>"
        assert "<th style='text-align:left'>state</th><td>succeeded</td>" in job._repr_html_()

    def test_it_has_logs_and_no_losses(self, job: Job) -> None:
        assert isinstance(job.logs(), str)
        assert "".join(job.follow_logs()) == job.logs()
        assert job.metrics() == []

    def test_it_is_watched_in_lines_where_nobody_has_a_terminal(
        self, job: Job, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert job.watch() is job
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines()[0].startswith(f"squares ({job.id}): ")
        assert err.splitlines()[-1] == f"squares ({job.id}): succeeded"

    def test_it_is_listed_by_what_it_is(self, job: Job, lab: Client) -> None:
        assert [found.id for found in lab.jobs(label="nice")] == [job.id]
        assert job.id in [found.id for found in lab.jobs(state="succeeded", kind="solve")]
        assert lab.jobs(label="nice", state="failed") == []

    def test_a_retry_is_refused(self, job: Job) -> None:
        with pytest.raises(ServiceError) as caught:
            job.retry()
        assert (caught.value.code, caught.value.status) == ("wrong-state", 409)

    def test_deleted_it_is_gone(self, http: httpx.Client, lab: Client) -> None:
        other = submit(http, lab, QUICK).wait(60)
        other.delete()
        with pytest.raises(NotFound, match=f"there is no job {other.id}"):
            lab.job(other.id)


class TestOneThatDoesNot:
    def test_that_fails_says_why(self, http: httpx.Client, lab: Client) -> None:
        job = submit(http, lab, HOPELESS, name="hopeless")
        with pytest.raises(JobFailed) as caught:
            job.result(60)
        assert caught.value.code == "method-not-applicable"
        assert str(caught.value) == f"job {job.id} failed: {caught.value.problem['detail']}"
        assert caught.value.problem["detail"] in repr(job)

    @pytest.mark.slow
    def test_that_is_cancelled_says_so(self, http: httpx.Client, lab: Client) -> None:
        job = until(submit(http, lab, ENDLESS), "running")
        assert job.cancel().state == "cancelling"
        with pytest.raises(JobCancelled, match=f"^job {job.id} was cancelled: "):
            job.result(60)
        assert job.retry().state in ("queued", "leased")
        assert job.cancel().wait(60).state == "cancelled"

    def test_that_takes_long_is_waited_for_no_longer(self, endless: Job) -> None:
        with pytest.raises(WaitedTooLong, match=rf"^job {endless.id} is \w+ after 0\.2 seconds"):
            endless.wait(0.2)

    def test_that_waits_says_why(self, http: httpx.Client, lab: Client, endless: Job) -> None:
        until(endless, "running")
        job = submit(http, lab, QUICK)
        assert job.state == "queued"
        assert job.reason.startswith("number 1 in the queue, ")
        assert job.cancel().state == "cancelled"


class TestManyJobs:
    def test_lists_come_in_pages(self, http: httpx.Client, lab: Client) -> None:
        made = [submit(http, lab, QUICK, labels=["many"]).cancel().id for _ in range(5)]
        from intertwine_api.client import retries as lists

        before, lists._PAGE = lists._PAGE, 2
        try:
            assert [job.id for job in lab.jobs(label="many", limit=None)] == made[::-1]
            assert [job.id for job in lab.jobs(label="many", limit=3)] == made[:1:-1]
        finally:
            lists._PAGE = before

    @pytest.mark.parametrize("limit", [0, -3])
    def test_a_limit_that_lists_nothing_is_refused(self, lab: Client, limit: int) -> None:
        with pytest.raises(InvalidSetting, match=f"^limit is {limit}, which lists nothing"):
            lab.jobs(limit=limit)


class TestAwaited:
    @pytest.mark.slow
    def test_all_of_it(self, http: httpx.Client, lab: Client) -> None:
        job = submit(http, lab, QUICK, name="awaited")

        async def follow() -> tuple[Any, list[int], list[str]]:
            async with AsyncClient(lab.url) as there:
                mine = await there.job(job.id)
                seen = [event.seq async for event in mine.events()]
                await mine.watch()
                found = await mine.result(60)
                listed = [one.name for one in await there.jobs(limit=1, state="succeeded")]
                assert await mine.metrics() == []
                assert await mine.logs() == "".join([piece async for piece in mine.follow_logs()])
                await mine.delete()
                return found, seen, listed

        found, seen, listed = anyio.run(follow)
        assert found.rank == 1
        assert seen == [*range(1, len(seen) + 1)]
        assert listed == ["awaited"]


class TestCtrlC:
    #: Prints a line when it is inside the method.
    PROGRAM = """
import sys, threading, time
from intertwine_api.client import Client, Job
def is_inside(frame):
    return frame and (frame.f_code.co_qualname == inside or is_inside(frame.f_back))
def tell():
    while not is_inside(sys._current_frames()[threading.main_thread().ident]):
        time.sleep(0.01)
    print("watching", flush=True)
with Client(sys.argv[1]) as lab:
    job, inside = lab.job(sys.argv[2]), f"Job.{sys.argv[3]}"
    threading.Thread(target=tell, daemon=True).start()
    getattr(job, sys.argv[3])()
"""

    @pytest.mark.slow
    @pytest.mark.parametrize("method", ["watch", "result"])
    def test_leaves_the_job_alone_and_says_how_to_come_back(
        self, lab: Client, endless: Job, method: str, tmp_path: Path
    ) -> None:
        running = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, lab.url, endless.id, method],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        assert running.stdout is not None
        assert running.stdout.readline() == "watching\n"
        time.sleep(0.7)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=PATIENCE)
        assert running.returncode == -signal.SIGINT
        assert err.rstrip().endswith(
            f'detached: job {endless.id} continues. Resume with lab.job("{endless.id}").watch(), '
            f"or: intertwine jobs watch {endless.id} --remote {lab.url}"
        )
        assert not endless.refresh().has_ended

    @pytest.mark.slow
    def test_leaves_the_client_as_it_was(self, lab: Client, endless: Job) -> None:
        main = threading.main_thread().ident or 0

        def is_watching(frame: FrameType | None) -> bool:
            return frame is not None and (
                frame.f_code is Job.watch.__code__ or is_watching(frame.f_back)
            )

        def interrupt() -> None:
            soon(lambda: is_watching(sys._current_frames()[main]))
            time.sleep(0.7)
            _thread.interrupt_main()

        stop = threading.Thread(target=interrupt)
        stop.start()
        with pytest.raises(KeyboardInterrupt, match=f"^detached: job {endless.id} continues"):
            endless.watch()
        stop.join()
        assert not lab.job(endless.id).has_ended


@pytest.mark.slow
def test_on_a_terminal_there_is_a_bar(lab: Client, http: httpx.Client) -> None:
    job = submit(http, lab, QUICK, name="seen").wait(60)
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with os.fdopen(theirs, "w") as terminal:
        subprocess.run(
            [sys.executable, "-c", TestCtrlC.PROGRAM, lab.url, job.id, "watch"],
            stdout=subprocess.PIPE,
            stderr=terminal,
            env=environment(),
            timeout=120,
            check=True,
        )
    shown = os.read(ours, 2**16).decode()
    os.close(ours)
    assert f"seen ({job.id}): succeeded 100%|" in shown
