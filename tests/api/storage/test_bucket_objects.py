"""Objects in a bucket: verified, not deleted while in use, and with bounded local copies."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.example_models import bytes_only
from helpers.example_stores import MB, digest, flip
from helpers.example_tiers import Gateway
from intertwine_api.storage.bucket import Bucket, BucketRefused, BucketUnavailable, Entry
from intertwine_api.storage.bucket_objects import BucketObjects
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.models import Models
from intertwine_api.storage.objects import open_objects
from intertwine_api.storage.quota import UploadedWeights
from intertwine_api.storage.references import collect_garbage
from intertwine_api.storage.uploads import Uploads
from intertwine_cache import Store


def path_of(name: str) -> str:
    return f"objects/{name[:2]}/{name}"


class TestProof:
    @pytest.mark.parametrize("content", [b"weighty", b"weight", b"weights and more", b""])
    def test_false_bytes_in_the_bucket_are_not_used(
        self, bucket: str, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        objects, elsewhere = open_objects(bucket, tmp_path / "a"), open_objects(bucket, tmp_path)
        name, _ = objects.put_bytes(b"weights")
        Bucket(bucket).put(path_of(name), content)
        assert elsewhere.path(name) is None
        assert f"{bucket}/{path_of(name)} is damaged" in caplog.text
        assert not elsewhere.copy(name, tmp_path / "copy")
        faults = list(elsewhere.verify())
        assert [(fault.digest, fault.reason) for fault in faults] == [
            (name, "its bytes do not have its digest")
        ]
        assert faults[0].place == f"{bucket}/{path_of(name)}"
        assert elsewhere.put_bytes(b"weights")[0] == name  # which replaces them
        assert list(objects.verify()) == []
        fresh = open_objects(bucket, tmp_path / "fresh").path(name)
        assert fresh is not None
        assert fresh.read_bytes() == b"weights"

    def test_a_damaged_local_copy_is_downloaded_again(self, bucket: str, tmp_path: Path) -> None:
        objects = open_objects(bucket, tmp_path)
        name, _ = objects.put_bytes(b"weights")
        local = objects.path(name)
        assert local is not None
        flip(local)
        again = objects.path(name)
        assert again is not None
        assert again.read_bytes() == b"weights"


class TestTheLocalCopies:
    def test_are_bounded_and_all_objects_stay_readable(self, bucket: str, tmp_path: Path) -> None:
        objects = open_objects(bucket, tmp_path, 3 * MB)
        contents = [bytes([number]) * MB for number in range(8)]
        names = [objects.put_bytes(content)[0] for content in contents]
        cache = Store(tmp_path / "objects-cache", 3 * MB)
        for name, content in zip(names, contents, strict=True):
            found = objects.path(name)
            assert found is not None
            assert found.read_bytes() == content
        time.sleep(0.5)  # for an eviction in the background
        assert cache.statistics()["bytes"] <= 4 * MB

    def test_are_left_out_of_backups_by_others(self, bucket: str, tmp_path: Path) -> None:
        open_objects(bucket, tmp_path).put_bytes(b"weights")
        assert list((tmp_path / "objects-cache").rglob("CACHEDIR.TAG"))

    def test_are_downloaded_once_by_all_at_once(self, s3: dict[str, str], tmp_path: Path) -> None:
        gateway = Gateway()
        with gateway.open(s3) as address:
            name, _ = open_objects(address, tmp_path / "a").put_bytes(b"x" * MB)
            here = [open_objects(address, tmp_path / "b") for _ in range(6)]
            gateway.requests.clear()
            with ThreadPoolExecutor(6) as threads:
                found = list(threads.map(lambda each: each.path(name), here))
        assert None not in found
        assert gateway.requests["GET"] == 1


class TestOutages:
    def test_a_local_copy_is_used_and_others_wait_for_the_end(
        self, s3: dict[str, str], tmp_path: Path
    ) -> None:
        gateway = Gateway()
        with gateway.open(s3) as address:
            objects = open_objects(address, tmp_path / "a")
            name, _ = objects.put_bytes(b"weights")
            gateway.is_down = True
            assert objects.path(name) is not None
            elsewhere = open_objects(address, tmp_path / "b")
            with pytest.raises(BucketUnavailable):
                elsewhere.path(name)
            with pytest.raises(BucketUnavailable):
                elsewhere.put_bytes(b"others")
            with pytest.raises(BucketUnavailable):
                objects.check()
            gateway.is_down = False
            objects.check()
            assert elsewhere.path(name) is not None

    @pytest.mark.slow
    def test_patient_ones_are_retried(self, s3: dict[str, str], tmp_path: Path) -> None:
        gateway = Gateway()
        with gateway.open(s3) as address:
            name, _ = open_objects(address, tmp_path / "a").put_bytes(b"weights")
            gateway.is_down = True
            timer = threading.Timer(3, lambda: setattr(gateway, "is_down", False))
            timer.start()
            patient = open_objects(address, tmp_path / "b", patience=60)
            assert patient.path(name) is not None
            assert patient.put_bytes(b"others")[0] == digest(b"others")
            timer.join()

    def test_a_bucket_that_is_read_only_can_be_read(
        self, s3: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        gateway = Gateway()
        with gateway.open(s3) as address:
            name, _ = open_objects(address, tmp_path / "a").put_bytes(b"weights")
            gateway.refused = ("PUT", "POST", "DELETE")
            objects = open_objects(address, tmp_path / "b")
            with caplog.at_level(logging.WARNING):
                assert objects.path(name) is not None
            assert "cannot record in the bucket" in caplog.text
            with pytest.raises(BucketRefused):
                objects.put_bytes(b"others")
            with pytest.raises(BucketRefused):
                objects.remove(name)
            assert objects.has(name)


class AnotherClock(Bucket):
    """A bucket whose clock is a day behind."""

    def head(self, path: str) -> Entry | None:
        found = super().head(path)
        return None if found is None else _a_day_before(found)

    def list(self, folder: str) -> Iterator[Entry]:
        return map(_a_day_before, super().list(folder))


def _a_day_before(entry: Entry) -> Entry:
    return replace(entry, modified=entry.modified - 24 * 3600)


class TestGarbage:
    def test_the_clock_of_the_bucket_may_be_another(self, bucket: str, tmp_path: Path) -> None:
        objects = BucketObjects(AnotherClock(bucket), Store(tmp_path / "cache"))
        name, _ = objects.put_bytes(b"weights")
        assert objects.unused(time.time() - 60) == []
        assert not objects.remove_unused(name, time.time() - 60)
        assert objects.unused(time.time() + 60) == [name]

    def test_what_others_have_written_below_the_prefix_is_passed_over(
        self, database: Database, bucket: str, tmp_path: Path
    ) -> None:
        objects = BucketObjects(AnotherClock(bucket), Store(tmp_path / "cache"))
        name, _ = objects.put_bytes(b"weights")
        others = [
            "readme.txt",
            name,
            f"00/{name}",
            f"{name[:2]}/{name}.bak",
            f"{name[:2]}/x/{name}",
        ]
        for other in others:
            for folder in ("objects", "used"):
                Bucket(bucket).put(f"{folder}/{other}", b"of others")
        uploads = Uploads(tmp_path / "uploads")
        assert objects.unused(time.time() + 60) == [name]
        assert list(objects.verify()) == []
        collect_garbage(database, objects, uploads, -60)
        assert not objects.has(name)
        assert len(list(Bucket(bucket).list("objects"))) == len(others)

    @pytest.mark.slow
    def test_an_upload_is_not_lost_to_a_collection_at_the_same_time(
        self, database: Database, bucket: str, tmp_path: Path
    ) -> None:
        """To the collector, everything looks a minute old, so only the transactions protect it."""
        objects = open_objects(bucket, tmp_path / "a")
        collector = open_objects(bucket, tmp_path / "b")
        datasets, models = Datasets(database, objects), Models(database, objects)
        weights = UploadedWeights(database, objects)
        is_over = threading.Event()
        deleted: list[int] = []

        def collect() -> None:
            uploads = Uploads(tmp_path / "uploads")
            is_last = False
            while not is_last:
                is_last = is_over.is_set()  # it may have been stopped until then
                deleted.extend(collect_garbage(database, collector, uploads, -60)[0])

        def upload(number: int) -> list[str]:
            file = tmp_path / f"{number}.npz"
            np.savez(file, X=np.full((5, 3), number), Y=np.ones((5, 1)))
            (tmp_path / f"{number}.bin").write_bytes(b"%d" % number)
            weights.add("ada", tmp_path / f"{number}.bin")
            version = models.publish("model", "ada", None, bytes_only(b"weights %d" % number))
            return [datasets.add("ada", file).id, version.weights]

        collecting = threading.Thread(target=collect)
        collecting.start()
        try:
            with ThreadPoolExecutor(3) as threads:
                kept = [name for names in threads.map(upload, range(12)) for name in names]
        finally:
            is_over.set()
            collecting.join()
        assert [name for name in kept if not objects.has(name)] == []
        assert deleted  # the collector found unreferenced weights meanwhile


@pytest.mark.slow
def test_memory_is_bounded_for_large_objects(bucket: str, tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import json, resource, sys
        from pathlib import Path
        from intertwine_api.storage.objects import open_objects

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        address, home, what, name = sys.argv[1:]
        objects = open_objects(address, Path(home))
        objects.put_bytes(b"small")
        objects.check()
        before = peak()
        if what == "put":
            found = objects.put(Path(name))[0]
        elif what == "copy":
            found = objects.copy(name, Path(home) / "copy")
        else:
            found = str(objects.path(name))
        print(json.dumps([found, peak() - before]))
    """)
    file = tmp_path / "large"
    with file.open("wb") as written:
        for _ in range(300):
            written.write(np.random.default_rng(1).bytes(MB))

    def run(home: str, what: str, name: str) -> tuple[str, int]:
        command = [sys.executable, "-c", program, bucket, str(tmp_path / home), what, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found, more = json.loads(done.stdout)
        return found, more

    name, more = run("a", "put", str(file))
    assert more < 100
    found, more = run("b", "path", name)
    assert more < 100
    assert Path(found).stat().st_size == 300 * MB
    whole, more = run("c", "copy", name)
    assert whole
    assert more < 100
