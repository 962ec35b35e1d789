"""Blobs that must not be lost: put once, there until removed, and never false."""

from __future__ import annotations

import errno
import hashlib
import json
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers.example_stores import digest, flip, leftovers, run_with_mounts
from intertwine.errors import InvalidSetting
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.objects import Objects, open_objects
from intertwine_api.work.settings import Settings, objects_of
from intertwine_cache import Store


@pytest.fixture(params=["folder", "bucket"])
def address(request: pytest.FixtureRequest) -> str:
    """Where the objects are: in a folder, and in a bucket."""
    return "" if request.param == "folder" else str(request.getfixturevalue("bucket"))


@pytest.fixture
def objects(address: str, tmp_path: Path) -> Objects:
    return open_objects(address, tmp_path)


@pytest.fixture
def elsewhere(address: str, tmp_path: Path) -> Objects:
    """The same objects, as another process has them; of a bucket, as another host has them."""
    return open_objects(address, tmp_path / "other" if address else tmp_path)


@pytest.fixture
def in_folder(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects")


def test_a_cache_that_is_too_small_for_the_largest_dataset_is_refused(tmp_path: Path) -> None:
    small: dict[str, Any] = {"objects_cache_bytes": 2**20, "dataset_bytes": 2**21}
    with pytest.raises(InvalidSetting, match="CACHE_BYTES is 1,048,576, less than the 2,097,152"):
        objects_of(Settings(data=tmp_path, objects="s3://lab/objects", **small))
    assert objects_of(Settings(data=tmp_path, **small)).bucket is None  # it has no cache


class TestPut:
    def test_a_file_is_there_under_its_digest(self, objects: Objects, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"weights" * 10**6)
        found = objects.put(file)
        assert found == (hashlib.sha256(file.read_bytes()).hexdigest(), 7 * 10**6)
        kept = objects.path(found[0])
        assert kept is not None
        assert not kept.samefile(file)
        file.write_bytes(b"other")
        assert kept.read_bytes() == b"weights" * 10**6

    def test_bytes_and_a_file_of_them_are_one_blob(self, objects: Objects, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"weights")
        assert objects.put_bytes(b"weights") == objects.put(file) == (digest(b"weights"), 7)

    def test_nothing_at_all_is_a_blob_too(self, objects: Objects) -> None:
        assert objects.put_bytes(b"") == (digest(b""), 0)
        path = objects.path(digest(b""))
        assert path is not None
        assert path.read_bytes() == b""

    def test_another_process_has_it_too(self, objects: Objects, elsewhere: Objects) -> None:
        name, size = objects.put_bytes(b"weights")
        assert elsewhere.has(name)
        assert elsewhere.size(name) == size
        path = elsewhere.path(name)
        assert path is not None
        assert path.read_bytes() == b"weights"

    def test_what_was_spoilt_on_the_disk_is_missing_and_can_be_put_again(
        self, in_folder: FolderObjects
    ) -> None:
        in_folder.put_bytes(b"weights")
        path = in_folder.path(digest(b"weights"))
        assert path is not None
        flip(path)
        assert in_folder.path(digest(b"weights")) is None
        in_folder.put_bytes(b"weights")
        again = in_folder.path(digest(b"weights"))
        assert again is not None
        assert again.read_bytes() == b"weights"

    def test_what_changes_while_it_is_read_is_not_kept(
        self, objects: Objects, tmp_path: Path
    ) -> None:
        texts = iter([b"first", b"second"])
        with pytest.raises(OSError, match="changed while it was read"):
            objects.put_content(lambda write: write(next(texts)))
        assert objects.path(digest(b"first")) is None
        assert objects.path(digest(b"second")) is None

    def test_many_at_once(self, objects: Objects) -> None:
        contents = [str(i % 5).encode() * 1000 for i in range(20)]
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(objects.put_bytes, contents))
        assert found == [(digest(content), 1000) for content in contents]


class TestStaying:
    def test_nothing_goes_by_itself(self, objects: Objects, tmp_path: Path) -> None:
        found = [objects.put_bytes(bytes([i]) * 1000)[0] for i in range(20)]
        cache = Store(tmp_path / "cache", limit=5000)
        for i in range(20):
            cache.publish(found[i], lambda write, i=i: write(bytes([i]) * 1000), {})
        cache.wait_for_eviction()
        assert len(list(cache.manifests())) < 20  # a cache of that size would have forgotten some
        assert all(objects.path(one) is not None for one in found)

    def test_backups_are_not_told_to_leave_it_out(
        self, in_folder: FolderObjects, tmp_path: Path
    ) -> None:
        in_folder.put_bytes(b"weights")
        assert list((tmp_path / "objects").rglob("CACHEDIR.TAG")) == []


class TestCopy:
    def test_a_copy_has_the_bytes(
        self, objects: Objects, elsewhere: Objects, tmp_path: Path
    ) -> None:
        name, _ = objects.put_bytes(b"weights" * 10**5)
        assert elsewhere.copy(name, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"weights" * 10**5

    def test_there_is_no_copy_of_nothing(self, objects: Objects, tmp_path: Path) -> None:
        assert not objects.copy(digest(b"never put"), tmp_path / "copy")


class TestUnused:
    def test_those_of_before_are_unused(self, objects: Objects, elsewhere: Objects) -> None:
        name, _ = objects.put_bytes(b"weights")
        now = time.time()
        assert elsewhere.unused(now - 60) == []
        assert elsewhere.unused(now + 60) == [name]
        assert not elsewhere.remove_unused(name, now - 60)
        assert elsewhere.has(name)
        assert elsewhere.remove_unused(name, now + 60)
        assert not objects.has(name)
        assert not elsewhere.remove_unused(name, now + 60)

    @pytest.mark.slow
    def test_an_object_that_is_put_again_is_new(self, objects: Objects) -> None:
        name, _ = objects.put_bytes(b"weights")
        time.sleep(4)
        between = time.time() - 0.5
        assert objects.unused(between + 0.5) == [name]
        objects.put_bytes(b"weights")
        assert objects.unused(between) == []
        assert not objects.remove_unused(name, between)

    @pytest.mark.slow
    def test_reading_is_a_use(self, objects: Objects, elsewhere: Objects) -> None:
        name, _ = objects.put_bytes(b"weights")
        time.sleep(4)
        between = time.time() - 0.5
        assert elsewhere.path(name) is not None
        assert objects.unused(between) == []
        assert not objects.remove_unused(name, between)


class TestVerify:
    def test_whole_ones_have_no_faults(self, objects: Objects) -> None:
        assert objects.is_empty()
        objects.put_bytes(b"weights")
        assert not objects.is_empty()
        assert list(objects.verify()) == []
        objects.check()


class TestRemove:
    def test_it_is_gone(self, objects: Objects, elsewhere: Objects) -> None:
        objects.put_bytes(b"weights")
        objects.put_bytes(b"others")
        assert elsewhere.path(digest(b"weights")) is not None
        assert objects.remove(digest(b"weights"))
        for each in (objects, elsewhere):
            assert each.path(digest(b"weights")) is None
            assert not each.has(digest(b"weights"))
            assert each.size(digest(b"weights")) == 0
            assert each.path(digest(b"others")) is not None
        assert not objects.remove(digest(b"weights"))

    def test_its_bytes_are_gone_from_the_disk(
        self, in_folder: FolderObjects, tmp_path: Path
    ) -> None:
        in_folder.put_bytes(b"weights")
        in_folder.put_bytes(b"others")
        assert in_folder.remove(digest(b"weights"))
        assert in_folder.path(digest(b"weights")) is None
        assert not in_folder.remove(digest(b"weights"))
        left = [path for path in (tmp_path / "objects").rglob("blobs/*/*") if path.is_file()]
        assert [path.read_bytes() for path in left] == [b"others"]

    def test_what_is_no_digest_is_no_path(self, objects: Objects) -> None:
        for name in ("../../etc/passwd", "", "A" * 64):
            with pytest.raises(ValueError, match="is no sha256"):
                objects.path(name)
            with pytest.raises(ValueError, match="is no sha256"):
                objects.remove(name)
            assert not objects.has(name)
            with pytest.raises(ValueError, match="is no sha256"):
                objects.size(name)


class TestAFullDisk:
    def test_it_says_so_and_keeps_what_it_had(self, tmp_path: Path) -> None:
        program = textwrap.dedent("""
            import errno, json
            from pathlib import Path
            import intertwine_cache.store
            from intertwine_api.storage.folder_objects import FolderObjects
            mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", sys.argv[1])
            intertwine_cache.store._KEPT_FREE = 0  # the disk itself is to say no
            objects, found = FolderObjects(Path(sys.argv[1])), []
            kept, _ = objects.put_bytes(b"x" * 2**20)
            try:
                objects.put_bytes(b"y" * 2**21)
            except OSError as error:
                found.append(error.errno == errno.ENOSPC)
            found.append(objects.path(kept) is not None)
            found += [path.name for path in Path(sys.argv[1]).rglob("temporary/*")]
            print(json.dumps(found))
        """)
        done = run_with_mounts(program, tmp_path)
        assert json.loads(done.stdout or "null") == [True, True], done.stderr

    def test_a_reserve_is_left_to_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("intertwine_cache.store._KEPT_FREE", 2**62)
        with pytest.raises(OSError, match="bytes are free on the disk") as raised:
            FolderObjects(tmp_path / "objects").put_bytes(b"weights")
        assert raised.value.errno == errno.ENOSPC
        assert leftovers(Store(tmp_path / "objects")) == []

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match=r"directory|exists"):
            FolderObjects(tmp_path / "file" / "objects").put_bytes(b"weights")
