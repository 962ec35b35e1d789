"""The steps of a publish, on a real disk."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest
from intertwine_cache import disk


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
