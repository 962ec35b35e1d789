"""The process of a job, started by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.example_jobs import GENEROUS, soon
from helpers.program import environment
from intertwine.bases import load_basis
from intertwine_api.storage.bucket import Bucket
from intertwine_api.storage.database import Database
from intertwine_api.wire.vocabulary import Kind
from intertwine_api.work.events import Events
from intertwine_api.work.failures import UNTOLD
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.host import JobEnvironment
from intertwine_api.work.job import Job, Limits, NewJob
from intertwine_api.work.queue import Queue
from intertwine_api.work.shared_job_files import SharedJobFiles
from intertwine_api.work.supervisor import SUPERVISOR
from intertwine_cache import Store

SOME_JOB = (sys.executable, str(Path(__file__).with_name("some_job.py")))
REAL_JOB = (sys.executable, "-m", "intertwine_api.work.process")


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


class Host:
    """Takes jobs, and runs their processes."""

    def __init__(self, database: Database, folder: Path) -> None:
        url = database.url.render_as_string(hide_password=False)
        self.around = JobEnvironment(folder / "home", url, folder / "cache")
        self.queue = Queue(database)

    def takes(
        self, request: dict[str, Any], kind: Kind = "train", limits: Limits = GENEROUS
    ) -> Job:
        self.queue.submit(NewJob(kind, "somebody", request, limits))
        job = self.queue.claim("here", 1)
        assert job is not None
        return job

    def runs(
        self, job: Job, command: Sequence[str] = SOME_JOB, attempt: int = 1, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, job.id, str(attempt)],
            env=environment(**self.around.to_variables(), **env),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def host(database: Database, tmp_path: Path) -> Host:
    return Host(database, tmp_path)


def test_a_basis_is_solved_into_the_store(host: Host, database: Database) -> None:
    request = {"rep": "V**3", "group": "SO(3)", "method": "krylov"}
    job = host.takes(request, "solve")
    ended = host.runs(job, REAL_JOB)
    assert ended.returncode == 0, ended.stderr
    found = host.queue.get(job.id)
    assert found.state == "succeeded"
    assert found.result is not None
    assert (found.result["rank"], found.result["cached"]) == (1, False)
    kept = Store(host.around.store).read(found.result["key"])
    assert kept is not None
    assert kept[0].digest == found.result["digest"]
    assert load_basis(kept[1]).rank == 1
    progress = [e.data for e in Events(database).after(job.id) if e.type == "progress"]
    assert all(set(told) == {"stage", "fraction"} for told in progress)

    again = host.takes(request, "solve")
    host.runs(again, REAL_JOB)
    result = host.queue.get(again.id).result
    assert result == {**found.result, "cached": True}


def test_a_basis_that_cannot_be_solved_is_a_problem(host: Host) -> None:
    job = host.takes({"rep": "V**", "group": "SO(3)"}, "solve")
    assert host.runs(job, REAL_JOB).returncode == 0
    problem = host.queue.get(job.id).problem
    assert problem is not None
    assert (problem["code"], problem["offset"]) == ("syntax", 3)


def test_a_job_that_has_succeeded_needs_no_checkpoint(host: Host) -> None:
    job = host.takes({"do": "keep"})
    assert host.runs(job).returncode == 0
    assert host.queue.get(job.id).state == "succeeded"
    assert not JobFolder.of(host.around.home, job.id).checkpoint.exists()


@pytest.mark.slow
def test_what_is_kept_last_is_kept_with_the_jobs_success_or_not_at_all(host: Host) -> None:
    job = host.takes({"do": "fail in the end"})
    assert host.runs(job).returncode == 0
    ended = host.queue.get(job.id)
    assert (ended.state, ended.name) == ("failed", "")
    assert ended.problem is not None
    assert ended.problem["detail"] == "this cannot be kept"
    assert JobFolder.of(host.around.home, job.id).checkpoint.exists()


@pytest.mark.slow
class TestASecondAttemptOnAnotherHost:
    @pytest.fixture
    def second(self, host: Host) -> Job:
        """A job whose first attempt was lost elsewhere."""
        first = host.takes({"do": "resume"})
        host.queue.lose(first.id, 1, "for a test")
        job = soon(lambda: host.queue.claim("here", 1))
        assert job is not None
        return job

    def test_begins_with_the_checkpoint_in_the_bucket(
        self, host: Host, second: Job, bucket: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "weights"
        file.write_text("half of the way")
        SharedJobFiles(Bucket(bucket)).publish_checkpoint(second.id, 1, [file])
        host.around = replace(host.around, objects=bucket)
        ended = host.runs(second, attempt=2)
        assert ended.returncode == 0, ended.stderr
        assert host.queue.get(second.id).result == {"checkpoint": {"weights": "half of the way"}}
        assert "the checkpoint of attempt 1 was copied from s3://" in ended.stderr
        assert JobFolder.of(host.around.home, second.id).has_succeeded

    def test_is_lost_rather_than_begun_anew_while_the_bucket_is_away(
        self, host: Host, second: Job, bucket: str
    ) -> None:
        host.around = replace(host.around, objects=bucket, outage_seconds=1.0)
        ended = host.runs(second, attempt=2, AWS_ENDPOINT_URL="http://127.0.0.1:9")
        assert ended.returncode == UNTOLD, ended.stderr
        assert host.queue.get(second.id).state == "running"  # until its controller sees the end
        assert "this attempt is lost" in ended.stderr

    def test_without_a_bucket_begins_anew(self, host: Host, second: Job) -> None:
        assert host.runs(second, attempt=2).returncode == 0
        assert host.queue.get(second.id).result == {"checkpoint": {}}
        assert not JobFolder.of(host.around.home, second.id).has_succeeded


@pytest.mark.slow
def test_an_attempt_that_is_not_the_jobs_any_more_does_nothing(host: Host) -> None:
    job = host.takes({"do": "answer"})
    ended = host.runs(job, attempt=2)
    assert ended.returncode == 0
    assert "attempt 2" in ended.stderr
    assert host.queue.get(job.id).state == "leased"
    host.queue.begin(job.id, 1)
    assert host.runs(job).returncode == 0  # as a second executor might
    assert host.queue.get(job.id).state == "running"


@pytest.mark.slow
def test_more_memory_than_the_job_can_need_is_refused_at_once(host: Host) -> None:
    job = host.takes({"do": "reserve"}, limits=Limits(60, 2 * 10**8))
    host.runs(job)
    problem = host.queue.get(job.id).problem
    assert problem is not None
    assert problem["code"] == "out-of-memory"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel")
class TestTheSurroundings:
    @pytest.mark.slow
    def test_a_process_whose_supervisor_has_ended_does_not_begin(self, host: Host) -> None:
        job = host.takes({"do": "answer"})
        ended = host.runs(job, **{SUPERVISOR: "1"})
        assert ended.returncode == 1
        assert "supervisor" in ended.stderr
        assert host.queue.get(job.id).state == "leased"

    def test_the_kernel_rather_ends_a_job_than_the_service(self, host: Host) -> None:
        job = host.takes({"do": "look around"})
        host.runs(job)
        result = host.queue.get(job.id).result
        assert result is not None
        assert int(result["oom_score_adj"]) >= 300


@pytest.mark.slow
def test_without_its_surroundings_it_says_what_is_missing() -> None:
    ended = subprocess.run(
        [*REAL_JOB, "a1", "1"],
        env={name: text for name, text in environment().items() if name != "INTERTWINE_CACHE"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 1
    assert "INTERTWINE_" in ended.stderr
