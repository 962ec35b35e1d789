"""Blobs that must not be lost: put once, there until removed, and never false."""

from __future__ import annotations

import errno
import hashlib
import json
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.example_stores import digest, flip, leftovers, run_with_mounts
from intertwine_api.storage.objects import Objects
from intertwine_cache import Store


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


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

    def test_another_process_has_it_too(self, objects: Objects, tmp_path: Path) -> None:
        objects.put_bytes(b"weights")
        assert Objects(tmp_path / "objects").path(digest(b"weights")) is not None

    def test_what_was_spoilt_on_the_disk_is_missing_and_can_be_put_again(
        self, objects: Objects
    ) -> None:
        objects.put_bytes(b"weights")
        path = objects.path(digest(b"weights"))
        assert path is not None
        flip(path)
        assert objects.path(digest(b"weights")) is None
        objects.put_bytes(b"weights")
        again = objects.path(digest(b"weights"))
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

    def test_backups_are_not_told_to_leave_it_out(self, objects: Objects, tmp_path: Path) -> None:
        objects.put_bytes(b"weights")
        assert list((tmp_path / "objects").rglob("CACHEDIR.TAG")) == []


class TestRemove:
    def test_it_is_gone_and_its_bytes_too(self, objects: Objects, tmp_path: Path) -> None:
        objects.put_bytes(b"weights")
        objects.put_bytes(b"others")
        assert objects.remove(digest(b"weights"))
        assert objects.path(digest(b"weights")) is None
        assert not objects.remove(digest(b"weights"))
        left = [path for path in (tmp_path / "objects").rglob("blobs/*/*") if path.is_file()]
        assert [path.read_bytes() for path in left] == [b"others"]

    def test_what_is_no_digest_is_no_path(self, objects: Objects) -> None:
        for name in ("../../etc/passwd", "", "A" * 64):
            with pytest.raises(ValueError, match="is no sha256"):
                objects.path(name)
            with pytest.raises(ValueError, match="is no sha256"):
                objects.remove(name)


class TestAFullDisk:
    def test_it_says_so_and_keeps_what_it_had(self, tmp_path: Path) -> None:
        program = textwrap.dedent("""
            import errno, json
            from pathlib import Path
            import intertwine_cache.store
            from intertwine_api.storage.objects import Objects
            mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", sys.argv[1])
            intertwine_cache.store._KEPT_FREE = 0  # the disk itself is to say no
            objects, found = Objects(Path(sys.argv[1])), []
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
            Objects(tmp_path / "objects").put_bytes(b"weights")
        assert raised.value.errno == errno.ENOSPC
        assert leftovers(Store(tmp_path / "objects")) == []

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match=r"directory|exists"):
            Objects(tmp_path / "file" / "objects").put_bytes(b"weights")
