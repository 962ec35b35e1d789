"""What a service deletes by age and by size, and what it keeps."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_jobs import GENEROUS
from helpers.example_models import bytes_only
from intertwine_api.storage.bucket import Bucket, BucketError
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models
from intertwine_api.storage.objects import Objects, open_objects
from intertwine_api.storage.tables import events, jobs
from intertwine_api.storage.uploads import Uploads
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.wire.vocabulary import State
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.job import NewJob
from intertwine_api.work.job_metrics import JobMetrics
from intertwine_api.work.logs import audited_command
from intertwine_api.work.queue import Queue
from intertwine_api.work.retention import KINDS, Removed, Retention
from intertwine_api.work.settings import Settings
from intertwine_api.work.shared_job_files import SharedJobFiles
from sqlalchemy import func, select, update

DAY = 24 * 3600.0
NOTHING = dict.fromkeys(KINDS, Removed())


class Lab:
    """The database and the data folder of a service, in which time passes quickly."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database, self.home = database, home
        self.queue = Queue(database)
        self.objects: Objects = FolderObjects(home / "objects")
        self.models = Models(database, self.objects)
        self.datasets = Datasets(database, self.objects)

    def job(self, state: State, *, days: float = 0, log: int = 0, weights: str = "") -> str:
        """A job in a state, for so many days, with a log of so many bytes."""
        request: dict[str, Any] = {"dataset": {"name": "Inertia"}, "model": {"config": {}}}
        if weights:
            request["model"]["weights"] = weights
        job, _ = self.queue.submit(NewJob("train", "ada", request, GENEROUS))
        if state == "cancelled":
            self.queue.cancel(job.id, "by ada")
        elif state != "queued":
            claimed = self.queue.claim("here", 1000)
            assert claimed is not None
            job = claimed
            if state != "leased":
                self.queue.begin(job.id, 1)
            if state == "failed":
                self.queue.fail(job.id, 1, Problem.of("out-of-time", "it was slow"))
            elif state == "succeeded":
                self.queue.succeed(job.id, 1, {})
            elif state == "cancelling":
                self.queue.cancel(job.id, "by ada")
        folder = self.folder(job.id)
        folder.path.mkdir(parents=True)
        folder.log.write_bytes(b"x" * log)
        if days and self.queue.get(job.id).has_ended:
            self.let_pass(job.id, days)
        return job.id

    def let_pass(self, job: str, days: float) -> None:
        """Let a job have ended so many days earlier."""
        with self.database.write() as connection:
            earlier = update(jobs).where(jobs.c.id == job)
            connection.execute(earlier.values(ended=jobs.c.ended - days * DAY))

    def checkpoint(self, job: str) -> Path:
        """Give a job a checkpoint of 100 bytes; its folder."""
        folder = self.folder(job).checkpoint
        folder.mkdir()
        (folder / "weights").write_bytes(b"w" * 100)
        return folder

    def folder(self, job: str) -> JobFolder:
        return JobFolder.of(self.home, job)

    def has(self, job: str) -> bool:
        """Whether a job is in the database, and its folder on the disk."""
        try:
            self.queue.get(job)
        except ProblemError:
            assert not self.folder(job).path.exists()
            return False
        assert self.folder(job).log.exists()
        return True

    def collect(self, *, is_dry: bool = False, **settings: Any) -> dict[str, tuple[int, int]]:
        """Collect with these settings. What was deleted: kinds, numbers and bytes."""
        uploads = Uploads(self.home / "uploads")
        known = Settings(data=self.home, **settings)
        retention = Retention(known, self.database, self.objects, uploads, "retention")
        with audited_command(self.home):
            found = retention.collect(is_dry=is_dry)
        assert list(found) == list(KINDS)
        return {kind: (one.number, one.bytes) for kind, one in found.items() if one.number}

    def age_files(self, days: float) -> None:
        for path in self.home.rglob("*"):
            then = path.stat().st_mtime - days * DAY
            os.utime(path, (then, then))


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Lab:
    return Lab(database, tmp_path)


class TestJobs:
    def test_are_kept_unless_a_setting_says_otherwise(self, lab: Lab) -> None:
        ended: list[State] = ["succeeded", "failed", "cancelled"]
        kept = [lab.job(state, days=5000, log=10) for state in ended]
        assert lab.collect() == {}
        assert all(map(lab.has, kept))

    def test_that_ended_long_ago_are_deleted_with_all_that_is_theirs(self, lab: Lab) -> None:
        ended: list[State] = ["succeeded", "failed", "cancelled"]
        old = [lab.job(state, days=31, log=10) for state in ended]
        young = [lab.job(state, days=29, log=10) for state in ended]
        JobMetrics(lab.database)
        assert lab.collect(keep_jobs_days=30, is_dry=True) == {"jobs": (3, 30)}
        assert all(map(lab.has, old))
        assert lab.collect(keep_jobs_days=30) == {"jobs": (3, 30)}
        assert not any(map(lab.has, old))
        assert all(map(lab.has, young))
        with lab.database.read() as connection:
            left = select(func.count()).select_from(events).where(events.c.job.in_(old))
            assert connection.execute(left).scalar_one() == 0
        lines = map(json.loads, (lab.home / "audit.jsonl").read_text().splitlines())
        assert {(line["message"], line["by"], line["id"], line["owner"]) for line in lines} == {
            ("job deleted", "retention", job, "ada") for job in old
        }
        assert lab.collect(keep_jobs_days=30) == {}

    def test_that_have_not_ended_are_never_deleted(self, lab: Lab) -> None:
        unfinished: list[State] = ["leased", "running", "cancelling", "queued"]
        kept = [lab.job(state, log=1000) for state in unfinished]
        time.sleep(0.01)
        assert lab.collect(keep_jobs_days=1e-9, keep_jobs_bytes=0) == {}
        assert all(map(lab.has, kept))

    def test_that_ended_first_are_deleted_first_above_the_bytes(self, lab: Lab) -> None:
        first, second, third = (lab.job("succeeded", days=d, log=100) for d in (3, 2, 1))
        assert lab.collect(keep_jobs_bytes=300) == {}
        assert lab.collect(keep_jobs_bytes=199) == {"jobs": (2, 200)}
        assert [lab.has(job) for job in (first, second, third)] == [False, False, True]

    def test_that_a_retry_would_resume_are_kept(self, lab: Lab) -> None:
        failed, cancelled = (lab.job(s, days=99, log=10) for s in ("failed", "cancelled"))
        for job in (failed, cancelled):
            lab.checkpoint(job)
        settings = {"keep_jobs_days": 1, "keep_jobs_bytes": 0}
        assert lab.collect(**settings) == {}
        assert lab.has(failed)
        assert lab.collect(keep_checkpoints_days=100, **settings) == {}
        due = {"checkpoints": (2, 200), "jobs": (2, 20)}
        dry = lab.collect(keep_checkpoints_days=98, is_dry=True, **settings)
        assert dry["checkpoints"] == due["checkpoints"]
        assert dry["jobs"][0] == 2
        assert lab.collect(keep_checkpoints_days=98, **settings) == due
        assert not lab.has(failed)

    def test_keep_their_logs_without_their_checkpoints(self, lab: Lab) -> None:
        job = lab.job("failed", days=2, log=10)
        checkpoint = lab.checkpoint(job)
        assert lab.collect(keep_checkpoints_days=1) == {"checkpoints": (1, 100)}
        assert lab.has(job)
        assert [path.name for path in checkpoint.parent.iterdir()] == ["log"]
        assert lab.queue.retry(job).state == "queued"

    def test_that_are_retried_meanwhile_are_kept(self, lab: Lab) -> None:
        job = lab.job("failed", days=2, log=10)
        lab.checkpoint(job)
        [found] = lab.queue.ended()
        lab.queue.retry(job)
        assert not lab.queue.delete_ended(found)
        assert not lab.queue.while_ended(found, lab.folder(job).discard_checkpoints)
        lab.queue.cancel(job, "again")  # it has ended again, at another time
        assert not lab.queue.delete_ended(found)
        assert lab.has(job)
        assert lab.folder(job).checkpoint.exists()

    def test_are_deleted_once_by_two_that_collect_at_once(self, lab: Lab) -> None:
        lab.job("succeeded", days=2)
        [found] = lab.queue.ended()
        assert lab.queue.delete_ended(found)
        assert not lab.queue.delete_ended(found)


class TestObjects:
    def test_of_models_and_datasets_are_kept_when_their_jobs_are_deleted(self, lab: Lab) -> None:
        initial = lab.objects.put_bytes(b"to start from")[0]
        job = lab.job("succeeded", days=9, weights=initial)
        version = lab.models.publish("inertia", "ada", None, bytes_only(b"a model"))
        np.savez(lab.home / "sent.npz", X=np.ones((4, 3)), Y=np.ones((4, 1)))
        dataset = lab.datasets.add("ada", lab.home / "sent.npz", "", "V", "V0", "SO(3)")
        lab.age_files(9)
        assert lab.collect() == {}
        due = {"jobs": (1, 0), "objects": (1, len(b"to start from"))}
        assert lab.collect(keep_jobs_days=8, is_dry=True) == due
        assert lab.objects.has(initial)
        assert lab.collect(keep_jobs_days=8) == due
        assert not lab.has(job)
        kept = [lab.objects.has(digest) for digest in (initial, version.weights, dataset.id)]
        assert kept == [False, True, True]

    def test_and_uploads_are_deleted_after_the_days_of_the_setting(self, lab: Lab) -> None:
        lab.objects.put_bytes(b"unused")
        half = lab.home / "uploads" / "half"
        half.parent.mkdir()
        half.write_bytes(b"half of it")
        lab.age_files(2)
        assert lab.collect(keep_unused_days=3) == {}
        assert lab.collect(is_dry=True) == {"objects": (1, 6), "uploads": (1, 10)}
        assert half.exists()
        assert lab.collect() == {"objects": (1, 6), "uploads": (1, 10)}
        assert not half.exists()
        assert lab.collect() == {}


def test_folders_of_unknown_jobs_are_deleted_after_a_day(lab: Lab) -> None:
    known, other = lab.job("succeeded", log=5), lab.home / "jobs" / ("ab" * 8)
    strange = lab.home / "jobs" / "notes"
    for folder in (other, strange):
        folder.mkdir()
        (folder / "log").write_bytes(b"12345678")
    assert lab.collect() == {}
    lab.age_files(1.1)
    assert lab.collect() == {"job folders": (1, 8)}
    assert lab.has(known)
    assert strange.exists()
    assert not other.exists()


class TestABucket:
    """The jobs have run on another host, whose files are in the bucket."""

    @pytest.fixture
    def shared(self, lab: Lab, bucket: str) -> SharedJobFiles:
        lab.objects = open_objects(bucket, lab.home)
        return SharedJobFiles(Bucket(bucket))

    def upload(self, shared: SharedJobFiles, job: str, tmp_path: Path) -> None:
        """Upload a log of 7 bytes and a checkpoint."""
        file = tmp_path / "checkpoint.safetensors"
        file.write_bytes(b"w" * 1000)
        shared.put_log(job, 1, 0, b"printed")
        shared.publish_checkpoint(job, 1, [file])

    def test_has_no_files_of_deleted_jobs(
        self, lab: Lab, shared: SharedJobFiles, tmp_path: Path
    ) -> None:
        old, young = lab.job("failed", days=31), lab.job("failed", days=29)
        for job in (old, young):
            self.upload(shared, job, tmp_path)
            lab.folder(job).remove()
        assert lab.collect(keep_jobs_days=30) == {}  # a retry would resume it
        shared.remove_checkpoints(old)
        assert lab.collect(keep_jobs_days=30, is_dry=True) == {"jobs": (1, 7)}
        assert set(shared.sizes()) == {old, young}
        assert lab.collect(keep_jobs_days=30) == {"jobs": (1, 7)}
        assert set(shared.sizes()) == {young}

    def test_has_no_old_checkpoints(self, lab: Lab, shared: SharedJobFiles, tmp_path: Path) -> None:
        job = lab.job("failed", days=5)
        self.upload(shared, job, tmp_path)
        size = shared.sizes()[job].checkpoints
        assert size > 1000
        assert lab.collect(keep_checkpoints_days=6) == {}
        assert lab.collect(keep_checkpoints_days=4, is_dry=True) == {"checkpoints": (1, size)}
        assert shared.sizes()[job].checkpoints == size
        assert lab.collect(keep_checkpoints_days=4) == {"checkpoints": (1, size)}
        assert (shared.sizes()[job].checkpoints, shared.sizes()[job].logs) == (0, 7)
        assert lab.collect(keep_checkpoints_days=4) == {}

    def test_has_no_checkpoints_of_jobs_that_succeeded(
        self, lab: Lab, shared: SharedJobFiles, tmp_path: Path
    ) -> None:
        job, running = lab.job("succeeded"), lab.job("running")
        for each in (job, running):  # an attempt that was lost, and still uploads
            self.upload(shared, each, tmp_path)
        size = shared.sizes()[job].checkpoints
        assert lab.collect() == {"checkpoints": (1, size)}
        assert shared.sizes()[job].checkpoints == 0
        assert shared.sizes()[running].checkpoints == size

    def test_counts_for_the_bytes_of_jobs_once(
        self, lab: Lab, shared: SharedJobFiles, tmp_path: Path
    ) -> None:
        first, second = (lab.job("failed", log=7) for _ in range(2))
        for job in (first, second):  # they ran on this host
            shared.put_log(job, 1, 0, b"x" * 7)
        assert lab.collect(keep_jobs_bytes=14) == {}
        assert lab.collect(keep_jobs_bytes=13) == {"jobs": (1, 7)}
        assert set(shared.sizes()) == {second}

    def test_has_no_files_of_unknown_jobs_after_a_day_of_its_clock(
        self, lab: Lab, shared: SharedJobFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known, other = lab.job("succeeded"), "ab" * 8
        for job in (known, other):
            shared.put_log(job, 1, 0, b"12345678")
        assert lab.collect() == {}
        monkeypatch.setattr(Bucket, "clock_offset", lambda _: 1.1 * DAY)  # as if later
        assert lab.collect() == {"job folders": (1, 8)}
        assert set(shared.sizes()) == {known}

    def test_that_does_not_answer_lets_nothing_be_deleted(
        self, lab: Lab, shared: SharedJobFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = lab.job("failed", days=31, log=5)  # it may have checkpoints there
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        lab.objects = open_objects("s3://lab/none", lab.home)
        with pytest.raises(BucketError):
            lab.collect(keep_jobs_days=30)
        assert lab.has(job)


def test_rotated_audit_files_are_deleted_after_the_days_of_the_setting(lab: Lab) -> None:
    current, rotated = (lab.home / f"audit{name}.jsonl" for name in ("", ".20261129T120000.0Z"))
    for file in (current, rotated):
        file.write_text("{}\n")
    lab.age_files(10)
    assert lab.collect() == {}
    assert lab.collect(keep_audit_days=11) == {}
    assert lab.collect(keep_audit_days=9) == {"audit files": (1, 3)}
    assert current.exists()
    assert not rotated.exists()
