"""The steps of a publish, on a real disk."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import BinaryIO

import pytest
from helpers.example_stores import content, key, leftovers, until
from intertwine_cache import Store, disk
from intertwine_cache.store import Write


def share(path: Path) -> None:
    """New files and folders keep the permissions that they were created with."""


def test_a_new_file_appears_with_its_content(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "name"
    assert disk.put_new(
        tmp_path / "temporary", target, lambda file: disk.write(file, b"content"), share
    )
    assert target.read_bytes() == b"content"
    assert not (tmp_path / "temporary").exists()


def test_a_name_that_is_taken_keeps_what_it_has(tmp_path: Path) -> None:
    target = tmp_path / "name"
    target.write_bytes(b"first")
    assert not disk.put_new(
        tmp_path / "temporary", target, lambda file: disk.write(file, b"2nd"), share
    )
    assert target.read_bytes() == b"first"
    assert not (tmp_path / "temporary").exists()


def test_a_writer_that_fails_leaves_neither_name(tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        disk.write(file, b"half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        disk.put_new(tmp_path / "temporary", tmp_path / "name", fail, share)
    assert list(tmp_path.iterdir()) == []


def test_a_rename_replaces_and_a_link_does_not(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(name)
    disk.rename(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_text() == "one"
    with pytest.raises(FileExistsError):
        disk.link(tmp_path / "two", tmp_path / "three")
    assert (tmp_path / "three").read_text() == "three"


def test_a_folder_that_is_there_is_made_once(tmp_path: Path) -> None:
    disk.make_folder(tmp_path / "a" / "b" / "c", share)
    disk.make_folder(tmp_path / "a" / "b" / "c", share)
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        disk.make_folder(tmp_path / "a" / "b", share)


class TestSyncing:
    """A large file is synced while it is written."""

    PIECE = bytes(2**20)

    @pytest.fixture(autouse=True)
    def at_four_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(disk, "_SYNCED_BYTES", 4 * len(self.PIECE))

    @pytest.fixture
    def synced(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The sizes of files when a thread synced them."""
        sizes: list[int] = []

        def fsync(descriptor: int) -> None:
            if threading.current_thread().name == "sync":
                sizes.append(os.fstat(descriptor).st_size)
            real(descriptor)

        real = os.fsync
        monkeypatch.setattr(os, "fsync", fsync)
        return sizes

    @pytest.mark.parametrize("pieces", [3, 4, 9])
    def test_from_a_size_on(self, tmp_path: Path, synced: list[int], pieces: int) -> None:
        with (tmp_path / "file").open("xb") as file, disk.syncing(file) as written:
            for number in range(1, pieces + 1):
                disk.write(file, self.PIECE)
                written(number * len(self.PIECE))
                if number % 4 == 0:
                    until(lambda count=number // 4: len(synced) == count)
        assert synced == [number * len(self.PIECE) for number in range(4, pieces + 1, 4)]
        assert self.threads() == []

    def test_the_error_of_a_sync_is_not_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A disk reports an error once: the last sync of the file succeeds."""
        failed = threading.Event()

        def fsync(descriptor: int) -> None:
            if threading.current_thread().name == "sync":
                failed.set()
                raise OSError(errno.EIO, "the disk fails")
            real(descriptor)

        def write_to(write: Write) -> None:
            for _ in range(4):
                write(self.PIECE)
            assert failed.wait(60)
            for _ in range(8):
                write(self.PIECE)

        real = os.fsync
        monkeypatch.setattr(os, "fsync", fsync)
        store = Store(tmp_path / "store")
        assert store.publish(key("a"), write_to, {}) is None
        assert "the disk fails" in caplog.text
        assert content(store, "a") is None
        assert leftovers(store) == []
        assert self.threads() == []

    def test_a_writer_that_fails_ends_it(self, tmp_path: Path, synced: list[int]) -> None:
        def write_to(write: Write) -> None:
            for _ in range(5):
                write(self.PIECE)
            raise RuntimeError("no more")

        with pytest.raises(RuntimeError, match="no more"):
            Store(tmp_path / "store").publish(key("a"), write_to, {})
        assert self.threads() == []

    def threads(self) -> list[threading.Thread]:
        """The threads that sync and have not ended."""
        return [thread for thread in threading.enumerate() if thread.name == "sync"]
