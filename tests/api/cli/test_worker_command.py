"""`intertwine worker`: jobs without a service beside them."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from helpers.patience import PATIENCE
from helpers.program import PROGRAM, environment, intertwine
from helpers.service import ServiceProcess, service_process
from intertwine_api.client import Client

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled


@contextmanager
def running_worker(data: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [PROGRAM, "worker", "--data", data, *arguments]
    worker = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.communicate()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service that runs no jobs itself."""
    with service_process(tmp_path / "data", jobs="0", solve_operations="1e20") as service:
        yield service


def submit(service: ServiceProcess, rep: str, group: str, name: str) -> str:
    document = {"kind": "solve", "rep": rep, "group": group, "method": "krylov", "name": name}
    answer = httpx.post(f"{service.address}/v1/jobs", json=document, timeout=60)
    job: str = answer.raise_for_status().json()["id"]
    return job


def test_it_runs_the_jobs_of_the_database_and_leaves_them_when_it_ends(
    service: ServiceProcess,
) -> None:
    with Client(service.address) as lab, running_worker(service.data, "--jobs", "2") as worker:
        quick = lab.job(submit(service, "V**2", "SO(3)", "quick"))
        assert quick.wait(PATIENCE).state == "succeeded"
        endless = lab.job(submit(service, "V**9", "SO(4)", "endless"))
        give_up = time.monotonic() + PATIENCE
        while endless.refresh().state != "running":
            assert time.monotonic() < give_up
            time.sleep(0.1)
        worker.send_signal(signal.SIGINT)
        out, _ = worker.communicate(timeout=PATIENCE)
        assert worker.returncode == 0
        first, last = out.splitlines()
        assert first == (
            f"runs the jobs of sqlite:///{service.data}/intertwine.db, at most 2 at once; "
            f"stop it with Ctrl-C"
        )
        assert last == (
            f"job {endless.id} (endless) keeps running; the next worker or service here "
            f"supervises it"
        )
        assert endless.refresh().state == "running"
        with running_worker(service.data) as next_worker:
            assert next_worker.stdout is not None
            next_worker.stdout.readline()
            assert next_worker.stdout.readline() == f"job {endless.id} (endless) from before\n"
            assert endless.cancel().wait(PATIENCE).state == "cancelled"
            next_worker.send_signal(signal.SIGTERM)
            assert next_worker.wait(PATIENCE) == 0


def test_a_hangup_is_ignored(service: ServiceProcess) -> None:
    with Client(service.address) as lab, running_worker(service.data) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        worker.send_signal(signal.SIGHUP)
        job = lab.job(submit(service, "V**2", "SO(3)", "quick"))
        assert job.wait(PATIENCE).state == "succeeded"
        assert worker.poll() is None


def test_one_for_no_jobs_is_refused(tmp_path: Path) -> None:
    ended = intertwine("worker", "--data", tmp_path, "--jobs", "0")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == ("intertwine: a worker needs room for a job: give --jobs 1 or more\n")


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    ended = intertwine("worker", "--data", tmp_path, "--jobs", "-3")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("intertwine: jobs: ")
