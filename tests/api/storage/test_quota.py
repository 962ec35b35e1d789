"""What owners keep is bounded, on either database."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.example_models import bytes_only
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models
from intertwine_api.storage.quota import Quota, UploadedWeights, bytes_by_owner
from intertwine_api.storage.references import collect_garbage
from intertwine_api.storage.uploads import Uploads
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.job import Limits, NewJob
from intertwine_api.work.queue import Queue


class Lab:
    def __init__(self, database: Database, folder: Path, most: int) -> None:
        self.database, self.folder = database, folder
        self.objects = FolderObjects(folder / "objects")
        self.weights = UploadedWeights(database, self.objects)
        self.jobs: dict[str, int] = {}
        self.quota = Quota(
            database, self.weights, most, lambda job: self.jobs.get(job, 0), job_seconds=0
        )
        self.datasets = Datasets(database, self.objects, quota=self.quota)

    def file(self, seed: int, rows: int = 1000) -> Path:
        path = self.folder / f"{seed}.npz"
        rng = np.random.default_rng(seed)
        np.savez(path, X=rng.normal(size=(rows, 3)), Y=rng.normal(size=rows))
        return path

    def upload(self, owner: str, weights: bytes) -> str:
        """Upload weights and return their digest."""
        file = self.folder / "weights.bin"
        file.write_bytes(weights)
        return self.weights.add(owner, file)[0]

    def add(self, owner: str, seed: int) -> int:
        """Upload 32 kB and return the bytes that were kept."""
        return self.datasets.add(owner, self.file(seed)).bytes


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Lab:
    return Lab(database, tmp_path, most=100_000)


def exceeded() -> pytest.RaisesExc[ProblemError]:
    return pytest.raises(ProblemError, check=lambda error: error.problem.code == "quota-exceeded")


def test_all_that_an_owner_keeps_counts(lab: Lab) -> None:
    size = lab.add("ada", 1)
    Models(lab.database, lab.objects).publish("inertia", "ada", None, bytes_only(b"w" * 500))
    digest = lab.upload("ada", b"v" * 300)
    job = Queue(lab.database, 30).submit(NewJob("solve", "ada", {}, Limits(1, 1)), 9)[0]
    lab.jobs[job.id] = 77
    assert lab.quota.used("ada") == {"datasets": size, "models": 500, "weights": 300, "jobs": 77}
    assert sum(lab.quota.used("bob").values()) == 0
    with lab.database.read() as connection:
        assert bytes_by_owner(connection) == {"ada": {"datasets": size, "models": 500}}
    lab.objects.remove(digest)
    collect_garbage(lab.database, lab.objects, Uploads(lab.folder / "uploads"))
    assert lab.quota.used("ada")["weights"] == 0
    assert not lab.weights.is_of("ada", digest)


@pytest.mark.slow
def test_more_than_the_quota_is_refused_until_something_is_deleted(lab: Lab) -> None:
    for seed in range(3):
        lab.add("ada", seed)
    with exceeded() as caught:
        lab.add("ada", 3)
    assert caught.value.problem.status == 507
    for word in ("datasets", "delete", "INTERTWINE_OWNER_BYTES"):
        assert word in caught.value.problem.detail
    lab.add("bob", 4)
    kept = lab.datasets.page("ada")[0]
    assert len(kept) == 3
    lab.add("ada", 0)  # the same samples again take no more room
    lab.datasets.delete(kept[0].id, "ada")
    lab.add("ada", 5)


def test_a_refused_dataset_leaves_nothing(lab: Lab) -> None:
    for seed in range(3):
        lab.add("ada", seed)
    with exceeded():
        lab.add("ada", 3)
    assert len(lab.objects.unused(time.time() + 1)) == 3
    assert {path.suffix for path in lab.folder.iterdir() if path.is_file()} <= {".npz", ".db"}


@pytest.mark.slow
def test_concurrent_uploads_do_not_exceed_it_together(lab: Lab) -> None:
    def add(seed: int) -> bool:
        try:
            lab.add("ada", seed)
        except ProblemError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(add, range(6))) == 3
    assert lab.quota.used("ada")["datasets"] <= 100_000


def test_bytes_that_are_arriving_count(lab: Lab) -> None:
    lab.add("ada", 1)
    with lab.quota.upload("ada") as one, lab.quota.upload("ada") as other:
        one.start(0)
        other.start(0)
        one.take(40_000)
        with exceeded():
            other.take(40_000)
    with lab.quota.upload("ada") as again:
        again.start(60_000)
        again.take(60_000)


def test_a_declared_size_is_refused_before_it_arrives(lab: Lab) -> None:
    with lab.quota.upload("ada") as incoming, exceeded():
        incoming.start(100_001)


class TestUploadedWeights:
    def test_each_owner_has_its_own(self, lab: Lab) -> None:
        digest = lab.upload("ada", b"weights")
        assert lab.weights.is_of("ada", digest)
        assert not lab.weights.is_of("bob", digest)
        lab.upload("ada", b"weights")  # again, which takes no more room
        assert lab.quota.used("ada")["weights"] == 7

    def test_records_of_earlier_versions_are_imported(self, lab: Lab) -> None:
        digest, _ = lab.objects.put_bytes(b"weights")
        folder = lab.folder / "weights"
        record = folder / hashlib.sha256(b"ada").hexdigest() / digest
        record.parent.mkdir(parents=True)
        record.write_text("7")
        with ThreadPoolExecutor(4) as pool:  # as several hosts with one folder start
            list(pool.map(lab.weights.import_files, [folder] * 4))
        assert lab.weights.is_of("ada", digest)
        assert lab.quota.used("ada")["weights"] == 7
        assert not folder.exists()
        lab.weights.import_files(folder)

    def test_a_damaged_record_has_the_size_of_the_object(self, lab: Lab) -> None:
        digest, _ = lab.objects.put_bytes(b"weights")
        record = lab.folder / "weights" / hashlib.sha256(b"ada").hexdigest() / digest
        record.parent.mkdir(parents=True)
        record.write_text("7\x00?")
        lab.weights.import_files(lab.folder / "weights")
        assert lab.quota.used("ada")["weights"] == 7
        assert not record.exists()

    def test_unused_ones_are_deleted_with_their_records(self, lab: Lab) -> None:
        digest = lab.upload("ada", b"weights")
        uploads = Uploads(lab.folder / "uploads")
        collect_garbage(lab.database, lab.objects, uploads, 60)
        assert lab.weights.is_of("ada", digest)
        collect_garbage(lab.database, lab.objects, uploads, -60)
        assert not lab.weights.is_of("ada", digest)
        assert lab.quota.used("ada")["weights"] == 0
