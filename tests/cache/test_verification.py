"""`verify` finds each kind of fault, and repairs it without touching what is whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.example_stores import (
    BLOB_FAULTS,
    MANIFEST_FAULTS,
    age,
    content,
    digest,
    exchange_blobs,
    faults,
    flip,
    key,
    overwrite,
    publish,
    quarantined,
)
from intertwine_cache import Store, verify
from intertwine_cache.eviction import ABANDONED

each_blob_fault = pytest.mark.parametrize(
    "spoil", BLOB_FAULTS.values(), ids=[name.replace(" ", "-") for name in BLOB_FAULTS]
)
each_manifest_fault = pytest.mark.parametrize(
    ("spoil", "reason"),
    MANIFEST_FAULTS.values(),
    ids=[name.replace(" ", "-") for name in MANIFEST_FAULTS],
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three keys: a and b share a blob, c has its own."""
    store = Store(tmp_path / "store")
    for name, whole in (("a", b"content"), ("b", b"content"), ("c", b"another")):
        publish(store, name, whole)
    return store


def check_repair(store: Store, bad: set[str]) -> None:
    """Repairing reports and moves exactly these, and then all is in order and can be used."""
    assert set(faults(store)) == bad  # and looking changes nothing
    assert {finding.path.name for finding in verify(store, repair=True)} == bad
    assert faults(store) == {}
    assert set(quarantined(store)) == bad
    assert content(store, "c") == b"another"
    for name in "ab":
        publish(store, name, b"content")
        assert content(store, name) == b"content"
    assert faults(store) == {}


def test_a_store_in_order_has_no_faults(store: Store) -> None:
    assert faults(store) == {}
    assert list(verify(store, repair=True)) == []
    assert quarantined(store) == {}
    assert [content(store, name) for name in "abc"] == [b"content", b"content", b"another"]


def test_a_store_that_is_not_there_has_no_faults(tmp_path: Path) -> None:
    assert list(verify(Store(tmp_path / "none"), repair=True)) == []
    assert not (tmp_path / "none").exists()


@each_blob_fault
def test_a_spoilt_blob_is_found_with_every_manifest_that_names_it(
    store: Store, spoil: Callable[[Path], None]
) -> None:
    spoil(store.layout.blob(digest(b"content")))
    check_repair(store, {digest(b"content"), f"{key('a')}.json", f"{key('b')}.json"})


def test_a_fault_that_the_disk_hides_from_readers_is_found(store: Store) -> None:
    """The note says that the file was checked and has not changed since; it did rot."""
    blob = store.layout.blob(digest(b"content"))
    flip(blob)
    found = blob.stat()
    fields = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    store.layout.checked(digest(b"content")).write_text(" ".join(map(str, fields)))
    check_repair(store, {digest(b"content"), f"{key('a')}.json", f"{key('b')}.json"})


@each_manifest_fault
def test_a_spoilt_manifest_is_found(
    store: Store, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(store.layout.manifest(key("a")))
    assert reason in faults(store)[f"{key('a')}.json"]
    check_repair(store, {f"{key('a')}.json"})


def test_a_manifest_whose_blob_is_gone_is_found(store: Store) -> None:
    store.layout.blob(digest(b"content")).unlink()
    assert set(faults(store).values()) == {"its blob is missing"}
    check_repair(store, {f"{key('a')}.json", f"{key('b')}.json"})


def test_a_manifest_with_the_size_of_another_blob_is_found(store: Store) -> None:
    path = store.layout.manifest(key("a"))
    manifest = store.manifest(key("a"))
    assert manifest is not None
    overwrite(path, dataclasses.replace(manifest, size=8).to_bytes())
    assert faults(store) == {f"{key('a')}.json": "its blob has 7 bytes instead of 8"}
    check_repair(store, {f"{key('a')}.json"})


def test_a_manifest_that_is_a_folder_is_found(store: Store) -> None:
    path = store.layout.manifest(key("a"))
    path.unlink()
    path.mkdir()
    assert set(faults(store)) == {f"{key('a')}.json"}
    check_repair(store, {f"{key('a')}.json"})


def test_everything_that_is_wrong_is_found_at_once(store: Store) -> None:
    publish(store, "d", b"fourth")
    flip(store.layout.blob(digest(b"content")))
    overwrite(store.layout.manifest(key("b")), b"{")
    store.layout.blob(digest(b"fourth")).unlink()
    bad = {digest(b"content"), *(f"{key(name)}.json" for name in "abd")}
    check_repair(store, bad)


def test_a_blob_that_nobody_names_yet_is_no_fault(store: Store) -> None:
    store.layout.manifest(key("c")).unlink()
    assert faults(store) == {}
    assert list(verify(store, repair=True)) == []
    assert store.blob(digest(b"another")) is not None


def test_repair_removes_what_crashes_left_behind_long_ago(store: Store) -> None:
    old = store.layout.temporaries / "old"
    old.write_bytes(b"half")
    age(old, ABANDONED + 60)
    assert list(verify(store)) == []
    assert old.exists()
    assert list(verify(store, repair=True)) == []
    assert not old.exists()


def test_a_finding_names_the_file_and_says_what_is_wrong(store: Store) -> None:
    blob = store.layout.blob(digest(b"another"))
    flip(blob)
    found = {str(finding.path): finding.reason for finding in verify(store)}
    assert found == {
        str(blob): "its bytes do not have its digest",
        str(store.layout.manifest(key("c"))): "its blob's bytes do not have its digest",
    }


def test_a_store_that_is_cleared_meanwhile_ends_it_without_a_false_finding(store: Store) -> None:
    for number in range(20):
        publish(store, str(number), str(number).encode())
    findings = verify(store)
    flip(max(store.layout.all_blobs()))
    flip(min(store.layout.all_blobs()))
    assert next(findings).reason == "its bytes do not have its digest"
    store.clear()
    assert list(findings) == []


def test_a_blob_whose_content_is_of_another_key_is_found(store: Store) -> None:
    """What a blob is of, only the caller can read: `check_blob` says so."""

    def check_blob(key_: str, path: Path) -> str:
        return "of another key" if path.read_bytes() == b"another" and key_ != key("c") else ""

    assert list(verify(store, check_blob=check_blob)) == []
    exchange_blobs(store, key("a"), key("c"))
    [found] = verify(store, check_blob=check_blob)
    assert (found.path.stem, found.reason) == (key("a"), "its blob: of another key")
    assert [finding.path for finding in verify(store, True, check_blob)] == [found.path]
    assert list(verify(store, check_blob=check_blob)) == []
