"""The bytes of bases that were sent, until their manifests arrive."""

from __future__ import annotations

import os
import time
from pathlib import Path

from intertwine_api.storage.arrivals import Arrivals


def add(arrivals: Arrivals, folder: Path, owner: str, name: str, size: int, age: float = 0) -> Path:
    """Add a file of a size and an age in seconds; where it is."""
    file = folder / "upload"
    file.write_bytes(bytes(size))
    arrivals.add(owner, file, name)
    path = arrivals.find(owner, name)
    assert path is not None
    assert not file.exists()
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_file_is_found_by_its_owner_alone_until_it_is_removed(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path / "arrivals", 100)
    path = add(arrivals, tmp_path, "ann", "a", 10)
    assert path.read_bytes() == bytes(10)
    assert arrivals.find("bob", "a") is None
    assert arrivals.find("ann", "b") is None
    arrivals.remove("bob", "a")
    assert arrivals.find("ann", "a") == path
    arrivals.remove("ann", "a")
    assert arrivals.find("ann", "a") is None
    arrivals.remove("ann", "a")


def test_the_oldest_of_an_owner_make_room(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path / "arrivals", 100)
    add(arrivals, tmp_path, "bob", "a", 90, age=50)
    for age, name in ((40, "a"), (30, "b"), (20, "c")):
        add(arrivals, tmp_path, "ann", name, 40, age)
    assert [arrivals.find("ann", name) is not None for name in "abc"] == [False, True, True]
    assert arrivals.find("bob", "a") is not None
    add(arrivals, tmp_path, "ann", "large", 100)
    assert [arrivals.find("ann", name) is not None for name in "abc"] == [False, False, False]


def test_old_files_of_all_owners_are_deleted(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path / "arrivals", 100)
    old = add(arrivals, tmp_path, "bob", "old", 10, age=3_700)
    young = add(arrivals, tmp_path, "bob", "young", 10, age=3_500)
    add(arrivals, tmp_path, "ann", "new", 10)
    assert (old.exists(), young.exists()) == (False, True)
    Arrivals(tmp_path / "arrivals", 100, seconds=3_400).remove_old()
    assert not young.exists()
    Arrivals(tmp_path / "no folder", 100).remove_old()


def test_the_same_file_twice_starts_its_hour_anew(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path / "arrivals", 100)
    add(arrivals, tmp_path, "ann", "a", 60, age=3_700)
    path = add(arrivals, tmp_path, "ann", "a", 60)
    arrivals.remove_old()
    assert path.exists()
