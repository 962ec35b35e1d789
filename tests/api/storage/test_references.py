"""What nobody needs any more goes, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.example_jobs import GENEROUS
from helpers.example_models import bytes_only
from helpers.patience import PATIENCE
from helpers.service import running_service
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models
from intertwine_api.storage.references import collect_garbage
from intertwine_api.storage.uploads import Uploads
from intertwine_api.work.job import NewJob
from intertwine_api.work.queue import Queue
from safetensors.numpy import save


class Lab:
    """The database and the files of a service."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.objects = database, FolderObjects(folder / "objects")
        self.models, self.queue = Models(database, self.objects), Queue(database)
        self.uploads, self.folder = Uploads(folder / "uploads"), folder

    def has(self, digest: str) -> bool:
        return bool(list(self.folder.glob(f"objects/v1/blobs/*/{digest}")))

    def tidies(self, days_later: float = 2) -> None:
        """Tidy up, as if so much time had passed since everything was touched."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                then = path.stat().st_mtime - days_later * 24 * 3600
                os.utime(path, (then, then))
        collect_garbage(self.database, self.objects, self.uploads)


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Lab:
    return Lab(database, tmp_path)


def weights(lab: Lab, content: bytes) -> str:
    return lab.objects.put_bytes(content)[0]


def test_unreferenced_weights_are_deleted_after_a_day(lab: Lab) -> None:
    digest = weights(lab, b"never used")
    lab.tidies(0.9)
    assert lab.has(digest)
    lab.tidies()
    assert not lab.has(digest)


def test_recently_uploaded_weights_are_kept(lab: Lab) -> None:
    digest = weights(lab, b"sent again")
    since = time.time() + 1
    assert lab.objects.unused(since) == [digest]
    then = time.time() - 10
    for path in lab.folder.rglob("*.json"):
        os.utime(path, (then, then))
    weights(lab, b"sent again")
    assert not lab.objects.remove_unused(digest, since=then + 5)
    assert lab.has(digest)


def test_weights_of_models_are_kept(lab: Lab) -> None:
    version = lab.models.publish("inertia", "ada", None, bytes_only(b"a model"))
    lab.tidies()
    assert lab.has(version.weights)


def test_samples_are_kept(lab: Lab) -> None:
    np.savez(lab.folder / "sent.npz", X=np.ones((4, 3)), Y=np.ones((4, 1)))
    stored = Datasets(lab.database, lab.objects).add(
        "ada", lab.folder / "sent.npz", "", "V", "V0", "SO(3)"
    )
    lab.tidies()
    assert lab.has(stored.id)


def test_initial_weights_are_kept_until_their_job_is_deleted(lab: Lab) -> None:
    digest = weights(lab, b"to go on from")
    request = {"dataset": {"name": "Inertia"}, "model": {"config": {}, "weights": digest}}
    job, _ = lab.queue.submit(NewJob("train", "ada", request, GENEROUS))
    lab.tidies()
    assert lab.has(digest)
    lab.queue.cancel(job.id, "by ada")
    lab.tidies()
    assert lab.has(digest)  # it may be tried again
    lab.queue.delete(job.id)
    lab.tidies()
    assert not lab.has(digest)


def test_partial_files_are_deleted(lab: Lab) -> None:
    half = lab.folder / "uploads" / "half"
    half.parent.mkdir()
    half.write_bytes(b"x")
    lab.tidies(0.9)
    assert half.exists()
    lab.tidies()
    assert not half.exists()


@pytest.mark.slow
def test_a_service_collects_garbage_when_it_starts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_service(data, jobs="0", workers="1") as client:
        digest = client.post(
            "/v1/blobs",
            content=save({"w": np.ones(3)}),
            headers={"content-type": "application/zip"},
        ).json()["digest"]
        assert client.get(f"/v1/blobs/{digest}").status_code == 200
    then = time.time() - 2 * 24 * 3600
    for path in data.glob("objects/**/*.json"):
        os.utime(path, (then, then))
    with running_service(data, jobs="0", workers="1") as client:
        give_up = time.monotonic() + PATIENCE
        while list(data.glob(f"objects/v1/blobs/*/{digest}")):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        assert client.get(f"/v1/blobs/{digest}").status_code == 404
