"""Garbage collection of tiers deletes the oldest entries, and nothing that a writer will use."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.example_stores import content, digest, key, publish
from helpers.example_tiers import Proxied, chain, far_tier, rclone_server, s3_gateway, web_folder
from intertwine_cache import Manifest, Store
from intertwine_cache.garbage_collection import Collected, collect
from intertwine_cache.layout import blob_path, manifest_path
from intertwine_cache.manifest import LaterVersion, is_digest
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.opening import open_tier
from intertwine_cache.tiers.tier import PRESENT, STORED, CannotList, Tier, TierError

DAY = 86_400.0
AT_ONCE = -2.0
"""A grace time after which everything counts as old: S3 dates objects in whole seconds."""


class Aging:
    """A folder of files whose age a test may set, as a tier and as its owner sees it."""

    def __init__(self, folder: Path, *, is_served: bool) -> None:
        self.root = folder if is_served else folder / "v1"
        folder.mkdir()
        self.tier: Tier = (
            ObjectTier(folder.as_uri(), is_writable=True)
            if is_served
            else open_tier(str(folder), is_writable=True, limit=10**9)
        )
        self._made = Store(folder.parent / f"made for {folder.name}")

    def add(self, name: str, content: bytes, days: float = 0.0) -> Manifest:
        manifest, blob = publish(self._made, name, content)
        assert self.tier.publish(manifest, blob)
        if isinstance(self.tier, FolderTier):
            self.tier._store.wait_for_eviction()  # it deletes blobs without a manifest too
        for path in (manifest_path(manifest.key), blob_path(manifest.digest)):
            self.age(path, days)
        return manifest

    def age(self, path: str, days: float) -> None:
        at = time.time() - days * DAY
        os.utime(self.root / path, (at, at))

    def write(self, path: str, content: bytes, days: float) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)
        self.age(path, days)

    @property
    def keys(self) -> set[str]:
        return set(self.tier.keys())

    @property
    def blobs(self) -> set[str]:
        return {path.name for path in self.root.glob("blobs/??/*") if is_digest(path.name)}


@pytest.fixture(params=["folder", "file"])
def aging(request: pytest.FixtureRequest, tmp_path: Path) -> Aging:
    return Aging(tmp_path / "far", is_served=request.param == "file")


def delete(tier: Tier, path: str) -> None:
    """Delete a manifest."""
    tier.delete([file for page in tier.files("manifests") for file in page if file.path == path])


def keys(names: str) -> set[str]:
    return set(map(key, names))


class TestLimits:
    def test_of_size_keep_the_newest(self, aging: Aging) -> None:
        for number, name in enumerate("abcde"):
            aging.add(name, name.encode() * 100, days=10 - number)
        planned = collect(aging.tier, max_bytes=250, is_dry=True)
        assert (len(aging.keys), len(aging.blobs)) == (5, 5)
        assert collect(aging.tier, max_bytes=250) == planned
        assert planned == Collected(
            kept=2, kept_bytes=200, deleted=3, damaged={}, blobs=3, freed=300, waiting=0
        )
        assert aging.keys == keys("de")
        assert aging.blobs == {digest(b"d" * 100), digest(b"e" * 100)}
        assert collect(aging.tier, max_bytes=250).deleted == 0

    def test_of_age_delete_what_is_older(self, aging: Aging) -> None:
        for name, days in (("a", 91), ("b", 89), ("c", 0)):
            aging.add(name, name.encode() * 100, days)
        assert collect(aging.tier, max_age=90 * DAY).deleted == 1
        assert aging.keys == keys("bc")

    def test_both(self, aging: Aging) -> None:
        for name, days in (("a", 91), ("b", 5), ("c", 4)):
            aging.add(name, name.encode() * 100, days)
        assert collect(aging.tier, max_age=90 * DAY, max_bytes=100).deleted == 2
        assert aging.keys == keys("c")

    def test_count_a_shared_blob_once_and_keep_it_for_the_last_manifest(self, aging: Aging) -> None:
        for name, days in (("a", 9), ("b", 8), ("c", 7)):
            aging.add(name, b"shared" * 100, days)
        assert collect(aging.tier, max_bytes=600).deleted == 0
        assert collect(aging.tier, max_age=7.5 * DAY) == Collected(1, 600, 2, {}, 0, 0, 0)
        assert collect(aging.tier, max_bytes=599).freed == 600
        assert aging.keys == aging.blobs == set()

    def test_delete_a_new_blob_a_day_later(self, aging: Aging) -> None:
        manifest = aging.add("a", b"content")
        found = collect(aging.tier, max_bytes=0)
        assert (found.deleted, found.blobs, found.waiting) == (1, 0, 7)
        assert (aging.keys, len(aging.blobs)) == (set(), 1)
        aging.age(blob_path(manifest.digest), days=1.1)
        found = collect(aging.tier, max_bytes=0)
        assert (found.blobs, found.waiting, aging.blobs) == (1, 0, set())

    def test_without_any_delete_nothing_that_can_be_used(self, aging: Aging) -> None:
        aging.add("a", b"content", days=1000)
        assert collect(aging.tier) == Collected(1, 7, 0, {}, 0, 0, 0)
        assert aging.keys == keys("a")

    def test_of_an_empty_tier(self, aging: Aging) -> None:
        assert collect(aging.tier, max_bytes=0) == Collected(0, 0, 0, {}, 0, 0, 0)


class TestWhatNobodyCanUse:
    @pytest.mark.parametrize("days", [0.9, 1.1])
    def test_is_deleted_after_a_day(self, aging: Aging, days: float) -> None:
        bereft, half = (aging.add(name, name.encode() * 9, days) for name in ("a", "b"))
        (aging.root / blob_path(bereft.digest)).unlink()
        (aging.root / blob_path(half.digest)).chmod(0o644)
        aging.write(blob_path(half.digest), b"half", days)
        aging.write(manifest_path(key("c")), b"{}", days)
        aging.add("d", b"content", days)
        aging.write(blob_path(digest(b"unnamed")), b"unnamed", days)
        found = collect(aging.tier)
        if days < 1:
            assert (found.damaged, found.blobs, found.waiting) == ({}, 0, 7)
            assert aging.keys == keys("abcd")
            return
        assert found.damaged.pop(key("a")) == "its blob is missing"
        assert found.damaged.pop(key("b")) == "its blob has 4 bytes, not 9"
        assert found.damaged.pop(key("c")).startswith("no manifest")
        assert (found.damaged, found.kept, found.blobs, found.freed) == ({}, 1, 2, 11)
        assert (aging.keys, aging.blobs) == (keys("d"), {digest(b"content")})

    def test_other_files_stay(self, aging: Aging) -> None:
        aging.add("a", b"content", days=9)
        others = ["manifests/ab/README", "blobs/ab/README", "index.html"]
        for path in others:
            aging.write(path, b"text", days=1000)
        collect(aging.tier, max_bytes=0)
        assert all((aging.root / path).exists() for path in others)
        assert aging.keys == aging.blobs == set()

    def test_may_be_known_to_a_later_version(self, aging: Aging) -> None:
        aging.add("a", b"content", days=9)
        aging.write(manifest_path(key("b")), b'{"version": 2, "of": "another form"}', days=9)
        aging.write(blob_path(digest(b"of b")), b"of b", days=9)
        with pytest.raises(LaterVersion, match="has 1 manifests of a later version"):
            collect(aging.tier, max_bytes=0)
        aging.add("c", b"more")  # the store of a folder deletes blobs without a manifest
        assert (aging.keys, len(aging.blobs)) == (keys("abc"), 3)


class TestABucket:
    @pytest.mark.slow
    def test_keeps_the_newest(
        self, s3: dict[str, str], near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tier = far_tier("s3", tmp_path, s3, monkeypatch)
        entries = [publish(near, name, name.encode() * 100) for name in "abc"]
        for entry in entries:
            assert tier.publish(*entry)
            time.sleep(1.1)  # S3 dates objects in whole seconds
        found = collect(tier, max_bytes=250)
        assert (found.deleted, found.waiting) == (1, 100)  # its blob is new
        assert set(tier.keys()) == keys("bc")
        assert collect(tier, grace=AT_ONCE).freed == 100
        assert set(tier.keys()) == keys("bc")

    def test_is_dated_by_its_own_clock(
        self, s3: dict[str, str], near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tier = far_tier("s3", tmp_path, s3, monkeypatch)
        assert tier.publish(*publish(near, "a", b"content"))
        delete(tier, manifest_path(key("a")))
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 30 * DAY)
        assert collect(tier, max_age=DAY) == Collected(0, 0, 0, {}, 0, 0, 7)

    @pytest.mark.slow
    def test_deletes_many_objects_in_one_request(
        self, s3: dict[str, str], near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests: list[str] = []
        with s3_gateway(s3, lambda request: requests.append(request.command)) as environment:
            tier = far_tier("s3", tmp_path, environment, monkeypatch)
            for number in range(20):
                assert tier.publish(*publish(near, str(number), str(number).encode()))
            requests.clear()
            assert collect(tier, max_bytes=0, grace=AT_ONCE).blobs == 20
        assert requests.count("POST") == 2  # the manifests, and the blobs
        assert "DELETE" not in requests

    def test_that_refuses_deletes_is_an_error(
        self, s3: dict[str, str], near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(request: Proxied) -> bool:
            if request.command == "POST":
                request.send_error(403)
            return request.command == "POST"

        with s3_gateway(s3, refuse) as environment:
            tier = far_tier("s3", tmp_path, environment, monkeypatch)
            assert tier.publish(*publish(near, "a", b"content"))
            with pytest.raises(TierError, match=r"^s3://lab/.* answers 403 Forbidden"):
                collect(tier, max_bytes=0, grace=AT_ONCE)

    @pytest.mark.slow
    def test_of_rclone(self, near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with rclone_server(tmp_path) as environment:
            tier = far_tier("s3", tmp_path, environment, monkeypatch)
            for name in "ab":
                assert tier.publish(*publish(near, name, name.encode()))
            assert collect(tier, max_bytes=0, grace=AT_ONCE).blobs == 2
            assert list(tier.keys()) == []


class TestAtTheSameTime:
    """Others write, and collect, while a collection runs."""

    @pytest.fixture
    def entry(self, near: Store) -> tuple[Manifest, Path]:
        return publish(near, "a", b"content")

    def test_a_blob_that_is_put_again_while_it_is_deleted_leaves_no_manifest(
        self,
        s3: dict[str, str],
        near: Store,
        entry: tuple[Manifest, Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A writer puts the blob and its manifest between the list and the deletion."""
        writers: list[Tier] = []
        outcomes = []

        def publish_first(request: Proxied) -> None:
            if request.command == "POST" and writers:
                outcomes.append(writers.pop().publish(*entry))

        writer = far_tier("s3", tmp_path, s3, monkeypatch)
        assert writer.publish(*entry)
        assert writer.publish(*publish(near, "b", b"more"))
        delete(writer, manifest_path(key("a")))
        with s3_gateway(s3, publish_first) as environment:
            monkeypatch.setenv("AWS_ENDPOINT_URL", environment["AWS_ENDPOINT_URL"])
            writers.append(writer)
            collector = ObjectTier(writer.address, is_writable=True)
            assert collect(collector, grace=AT_ONCE).blobs == 1
        assert outcomes == [STORED]
        assert set(writer.keys()) == keys("b")  # a manifest without its blob was deleted
        assert writer.publish(*entry) == STORED

    def test_a_manifest_that_arrives_after_the_end_is_a_miss_until_the_next_writer(
        self,
        s3: dict[str, str],
        entry: tuple[Manifest, Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        has_arrived, may_pass = threading.Event(), threading.Event()

        def hold_manifests(request: Proxied) -> None:
            if request.command == "PUT" and "/manifests/" in request.path:
                has_arrived.set()
                assert may_pass.wait(60)

        collector = far_tier("s3", tmp_path, s3, monkeypatch)
        with s3_gateway(s3, hold_manifests) as environment, ThreadPoolExecutor(1) as threads:
            monkeypatch.setenv("AWS_ENDPOINT_URL", environment["AWS_ENDPOINT_URL"])
            writer = ObjectTier(collector.address, is_writable=True)
            published = threads.submit(writer.publish, *entry)
            assert has_arrived.wait(60)
            # with the real grace time, the new blob stays
            assert collect(collector, max_bytes=0) == Collected(0, 0, 0, {}, 0, 0, 7)
            assert collect(collector, max_bytes=0, grace=AT_ONCE).blobs == 1
            may_pass.set()
            assert published.result(60) == STORED
        here = chain(tmp_path / "here", collector)
        assert here.fetch(key("a"), lambda *_: None, 10**9) is None
        assert collector.publish(*entry) == STORED
        there = chain(tmp_path / "there", collector)
        assert there.fetch(key("a"), lambda *_: None, 10**9) is not None

    def test_two_collections_delete_no_more_than_one(self, aging: Aging) -> None:
        for number in range(60):
            aging.add(str(number), str(number).encode() * 100, days=100 - number)
        sizes = [len(str(number)) * 100 for number in range(60)]
        limit = sum(sizes[-20:])
        barrier = threading.Barrier(2)

        def run(_: int) -> Collected:
            barrier.wait()
            return collect(aging.tier, max_bytes=limit)

        with ThreadPoolExecutor(2) as threads:
            found = list(threads.map(run, range(2)))
        assert aging.keys == {key(str(number)) for number in range(40, 60)}
        assert len(aging.blobs) == 20
        assert all(each.kept == 20 for each in found)

    def test_writers_and_a_collection_leave_entries_that_can_be_read(
        self, aging: Aging, tmp_path: Path
    ) -> None:
        """Old blobs without a manifest are published again while they are collected."""
        made = Store(tmp_path / "made")
        entries = [publish(made, str(n), str(n).encode() * 10) for n in range(60)]
        for manifest, blob in entries:
            aging.write(blob_path(manifest.digest), blob.read_bytes(), days=2)
        with ThreadPoolExecutor(4) as threads:
            writing = [threads.submit(aging.tier.publish, *entry) for entry in entries]
            collecting = [threads.submit(collect, aging.tier) for _ in range(3)]
            for each in collecting:
                each.result(60)
            for each in writing:
                with suppress(TierError):  # its blob was deleted before it looked at it
                    each.result(60)
        for manifest, blob in entries:
            assert aging.tier.publish(manifest, blob) in (STORED, PRESENT)
            pieces: list[bytes] = []
            aging.tier.read(manifest, lambda piece, to=pieces: to.append(bytes(piece)))
            assert b"".join(pieces) == blob.read_bytes()


class TestOtherTiers:
    def test_are_refused_if_they_cannot_be_listed(self, near: Store) -> None:
        publish(near, "a", b"content")
        with web_folder(near.layout.root / "v1") as address:
            tier = open_tier(address, is_writable=False, limit=10**9)
            with pytest.raises(CannotList):
                collect(tier, is_dry=True)
        assert content(near, "a") == b"content"

    def test_of_the_near_folder_the_last_used_stay(self, tmp_path: Path) -> None:
        near = Aging(tmp_path / "near", is_served=False)
        store = Store(tmp_path / "near")
        for name, days in (("a", 9), ("b", 8)):
            near.add(name, name.encode() * 100, days)
        assert content(store, "a") is not None
        assert collect(near.tier, max_bytes=100).deleted == 1
        assert near.keys == keys("a")
        assert list(store.layout.notes(digest(b"b" * 100))) == []


@pytest.mark.slow
def test_it_takes_less_than_a_kilobyte_for_each_entry(tmp_path: Path) -> None:
    import tracemalloc

    number = 4_000
    far = Aging(tmp_path / "far", is_served=True)
    for each in range(number):
        content = str(each).encode()
        manifest = Manifest(key(str(each)), digest(content), len(content), 0.0, {})
        for path, written in (
            (manifest_path(manifest.key), manifest.to_bytes()),
            (blob_path(manifest.digest), content),
        ):
            far.write(path, written, days=2)
    tracemalloc.start()
    try:
        assert collect(far.tier, max_bytes=0).blobs == number
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1000 * number, f"{peak / number:.0f} bytes for each entry"
    assert far.keys == far.blobs == set()
