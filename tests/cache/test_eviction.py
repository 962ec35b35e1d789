"""A full store makes room: what was used longest ago goes first, in the background."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from helpers.example_stores import (
    age,
    content,
    digest,
    faults,
    key,
    leftovers,
    overwrite,
    publish,
    quarantined,
    until,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine_cache import Store, eviction
from intertwine_cache.eviction import ABANDONED, evict, remove_abandoned
from intertwine_cache.layout import Layout


def filled(root: Path, sizes: dict[str, int], limit: int = 10**6) -> Store:
    """A store with a content of each size, used in this order, an hour apart, long ago."""
    store = Store(root, limit=limit)
    for number, (name, size) in enumerate(sizes.items()):
        publish(store, name, _bytes(name, size))
        age(store.layout.manifest(key(name)), 3600 * (1000 - number))
    return store


def kept(store: Store, names: str) -> str:
    """Which of the names the store has; asking is no use."""
    return "".join(name for name in names if store.layout.manifest(key(name)).exists())


def _bytes(name: str, size: int) -> bytes:
    return (name.encode() * size)[:size]


class TestWhatGoes:
    def test_nothing_is_evicted_below_the_limit(self, tmp_path: Path) -> None:
        store = filled(tmp_path, dict.fromkeys("abcd", 25))
        assert evict(store.layout, 100) == 0
        assert kept(store, "abcd") == "abcd"

    def test_the_oldest_is_evicted_first(self, tmp_path: Path) -> None:
        store = filled(tmp_path, dict.fromkeys("abcde", 25))
        assert evict(store.layout, 100) == 50
        assert kept(store, "abcde") == "cde"
        assert store.statistics()["bytes"] == 75

    @pytest.mark.parametrize(("limit", "names"), [(0, ""), (74, "de"), (75, "cde"), (125, "abcde")])
    def test_a_store_is_shrunk_just_as_far_as_asked(
        self, tmp_path: Path, limit: int, names: str
    ) -> None:
        store = filled(tmp_path, dict.fromkeys("abcde", 25))
        assert store.shrink(limit) == 25 * (5 - len(names))
        assert kept(store, "abcde") == names
        assert store.statistics()["bytes"] == 25 * len(names)

    def test_a_read_delays_eviction(self, tmp_path: Path) -> None:
        store = filled(tmp_path, dict.fromkeys("abcde", 25))
        for name in "ba":
            assert content(store, name) == _bytes(name, 25)
        evict(store.layout, 100)
        assert kept(store, "abcde") == "abe"
        age(store.layout.manifest(key("e")), -3600 * 2000)
        evict(store.layout, 60)
        assert kept(store, "abcde") == "ae"  # b was read before a

    def test_manifests_and_lists_do_not_count_as_use(self, tmp_path: Path) -> None:
        store = filled(tmp_path, dict.fromkeys("abc", 30))
        store.manifest(key("a"))
        list(store.manifests())
        store.statistics()
        faults(store)
        evict(store.layout, 80)
        assert kept(store, "abc") == "bc"

    def test_a_blob_stays_as_long_as_a_manifest_names_it(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        for number, (name, whole) in enumerate(
            [("a", b"s" * 40), ("b", b"b" * 40), ("c", b"s" * 40), ("d", b"d" * 40)]
        ):
            publish(store, name, whole)
            age(store.layout.manifest(key(name)), 3600 * (1000 - number))
        assert evict(store.layout, 100) == 40  # a's bytes are c's too: b's go
        assert kept(store, "abcd") == "cd"
        assert content(store, "c") == b"s" * 40
        assert faults(store) == {}

    def test_the_newest_stays_although_it_nearly_fills_the_store(self, tmp_path: Path) -> None:
        store = filled(tmp_path, {"a": 50, "b": 97})
        evict(store.layout, 100)
        assert kept(store, "ab") == "b"

    def test_not_even_the_newest_stays_past_the_limit(self, tmp_path: Path) -> None:
        store = filled(tmp_path, {"a": 50, "b": 101})
        evict(store.layout, 100)
        assert kept(store, "ab") == ""
        assert store.statistics()["bytes"] == 0

    def test_it_goes_below_the_limit_so_that_the_next_is_not_due_at_once(
        self, tmp_path: Path
    ) -> None:
        store = filled(tmp_path, {f"{number:03}": 10 for number in range(101)})
        assert evict(store.layout, 1000) == 110
        assert store.statistics()["bytes"] == 900

    def test_the_note_of_a_check_is_deleted_with_its_blob(self, tmp_path: Path) -> None:
        store = filled(tmp_path, dict.fromkeys("ab", 60))
        note = store.layout.checked(digest(_bytes("a", 60)))
        assert note.is_file()
        evict(store.layout, 100)
        assert not note.exists()
        assert store.layout.checked(digest(_bytes("b", 60))).is_file()

    def test_a_spoilt_manifest_does_not_stop_it(self, tmp_path: Path) -> None:
        store = filled(tmp_path, dict.fromkeys("abc", 40))
        overwrite(store.layout.manifest(key("b")), b"{")
        evict(store.layout, 100)
        assert content(store, "c") == _bytes("c", 40)
        assert content(store, "a") is None

    @pytest.mark.slow
    @given(
        sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8),
        same=st.booleans(),
        limit=st.integers(0, 200),
    )
    @settings(max_examples=25, deadline=None)
    def test_it_fits_then_and_a_latest_part_is_left_whole(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        sizes: list[int],
        same: bool,
        limit: int,
    ) -> None:
        store = Store(tmp_path_factory.mktemp("store"))
        wholes = [_bytes("s" if same else str(i), size) for i, size in enumerate(sizes)]
        for number, whole in enumerate(wholes):
            publish(store, str(number), whole)
            age(store.layout.manifest(key(str(number))), 3600 * (1000 - number))
        before = store.statistics()["bytes"]
        freed = evict(store.layout, limit)
        after = store.statistics()["bytes"]
        assert before - freed == after <= limit
        assert freed == 0 or before > limit
        left = [store.manifest(key(str(number))) is not None for number in range(len(sizes))]
        assert left == sorted(left)
        assert faults(store) == {}
        for number, whole in enumerate(wholes):
            assert content(store, str(number)) == (whole if left[number] else None)


class TestInTheBackground:
    def test_a_publish_above_the_limit_evicts(self, tmp_path: Path) -> None:
        store = filled(tmp_path, dict.fromkeys("abcd", 25), limit=100)
        publish(store, "e", _bytes("e", 25))
        assert kept(store, "abcde") == "cde"
        assert content(store, "e") == _bytes("e", 25)

    def test_a_store_that_is_always_full_always_takes_the_next(self, tmp_path: Path) -> None:
        store = Store(tmp_path, limit=100)
        for number in range(40):
            whole = _bytes(f"{number} ", 30)
            publish(store, str(number), whole)
            assert content(store, str(number)) == whole
            assert store.statistics()["bytes"] <= 100
            time.sleep(0.012)  # a file system's clock ticks: every 10 ms, where it is slow
        assert faults(store) == {}
        assert quarantined(store) == {}

    def test_a_publish_does_not_wait_for_eviction(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        going, go_on = threading.Event(), threading.Event()

        def slow(layout: object, limit: int) -> int:
            going.set()
            assert go_on.wait(60)
            return evict(layout, limit)  # type: ignore[arg-type]

        monkeypatch.setattr("intertwine_cache.store.evict", slow)
        store = Store(tmp_path, limit=100)
        assert store.publish(key("a"), lambda write: write(b"a" * 60), {}) is not None
        assert going.wait(60)
        assert store.publish(key("b"), lambda write: write(b"b" * 60), {}) is not None
        assert store.read(key("a")) is not None
        go_on.set()
        until(lambda: store.statistics()["bytes"] <= 100)

    def test_a_mapped_blob_stays_readable_after_its_eviction(self, tmp_path: Path) -> None:
        import mmap

        store = filled(tmp_path, {"a": 5000})
        entry = store.read(key("a"))
        assert entry is not None
        with entry[1].open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            evict(store.layout, 0)
            assert not entry[1].exists()
            assert view[:] == _bytes("a", 5000)

    def test_a_store_that_vanishes_under_it_ends_it_quietly(self, tmp_path: Path) -> None:
        import shutil

        for _ in range(5):
            store = filled(tmp_path / "store", {str(number): 10 for number in range(15)})
            thread = threading.Thread(target=shutil.rmtree, args=(store.layout.root, True))
            thread.start()
            evict(store.layout, 20)
            thread.join()

    @pytest.mark.parametrize("moment", ["before it reads the manifests", "after"])
    def test_another_one_in_between_is_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        store = filled(tmp_path, dict.fromkeys("abcdefgh", 25))
        read = eviction._manifests_by_use

        def interrupted(layout: Layout) -> list[tuple[Path, str]]:
            monkeypatch.setattr(eviction, "_manifests_by_use", read)
            found = read(layout) if moment == "after" else []
            evict(layout, 100)
            return found or read(layout)

        monkeypatch.setattr(eviction, "_manifests_by_use", interrupted)
        evict(store.layout, 100)
        assert kept(store, "abcdefgh") == "fgh"
        assert store.statistics()["bytes"] == 75

    def test_concurrent_evictions_delete_no_more_than_one(self, tmp_path: Path) -> None:
        store = filled(tmp_path, {str(number): 10 for number in range(40)})
        raised: list[BaseException] = []

        def run() -> None:
            try:
                evict(store.layout, 200)
            except BaseException as error:
                raised.append(error)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert raised == []
        assert 0 < store.statistics()["bytes"] <= 200
        assert faults(store) == {}
        assert content(store, "39") == _bytes("39", 10)


class TestWhatCrashesLeftBehind:
    def test_only_old_temporary_files_are_deleted(self, tmp_path: Path) -> None:
        store = filled(tmp_path, {"a": 10})
        for name, seconds in (("old", ABANDONED + 60), ("young", ABANDONED - 60)):
            path = store.layout.temporaries / name
            path.write_bytes(b"half")
            age(path, seconds)
        remove_abandoned(store.layout)
        assert leftovers(store) == ["young"]
        assert content(store, "a") == _bytes("a", 10)

    def test_only_old_unreferenced_blobs_are_deleted(self, tmp_path: Path) -> None:
        store = filled(tmp_path, {"a": 10, "old": 20, "young": 30})
        for name, size in (("a", 10), ("old", 20)):
            age(store.layout.blob(digest(_bytes(name, size))), ABANDONED + 60)
        for name in ("old", "young"):
            store.layout.manifest(key(name)).unlink()
        remove_abandoned(store.layout)
        assert {path.name for path in store.layout.all_blobs()} == {
            digest(_bytes("a", 10)),
            digest(_bytes("young", 30)),
        }
        assert content(store, "a") == _bytes("a", 10)

    def test_any_publish_sees_to_it(self, tmp_path: Path) -> None:
        store = filled(tmp_path, {"a": 10})
        path = store.layout.temporaries / "old"
        path.write_bytes(b"half")
        age(path, ABANDONED + 60)
        publish(store, "b", b"content")
        assert leftovers(store) == []

    def test_an_old_released_lock_is_deleted(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        with store.claim(key("a")):
            pass
        lock = store.layout.lock(key("a"))
        if lock.exists():
            age(lock, ABANDONED + 60)
        remove_abandoned(store.layout)
        assert not lock.exists()

    def test_a_held_lock_is_never_deleted(self, tmp_path: Path) -> None:
        """The file is from the first solve of its key; the one that holds it now is another."""
        store = Store(tmp_path)
        with store.claim(key("a")):
            pass
        age(store.layout.lock(key("a")), ABANDONED + 60)
        inside = threading.Event()

        def wait_for_it() -> None:
            with Store(tmp_path).claim(key("a")):
                inside.set()

        with store.claim(key("a")):
            remove_abandoned(store.layout)
            waiter = threading.Thread(target=wait_for_it)
            waiter.start()
            assert not inside.wait(0.3)
        waiter.join(60)
        assert inside.is_set()

    def test_old_quarantined_files_are_deleted(self, tmp_path: Path) -> None:
        """A spoilt blob counts for nothing in the limit, and nobody else would ever delete it."""
        store = filled(tmp_path, {"a": 10, "b": 10})
        for name in "ab":
            store.reject(key(name), "spoilt")
        for path in store.layout.quarantine.glob(f"*{digest(_bytes('a', 10))}*"):
            age(path, 365 * 24 * 3600)
        remove_abandoned(store.layout)
        assert digest(_bytes("a", 10)) not in quarantined(store)
        assert digest(_bytes("b", 10)) in quarantined(store)
        assert not (store.layout.quarantine / digest(_bytes("a", 10))).exists()

    def test_a_file_that_cannot_be_deleted_stops_nothing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = filled(tmp_path, {"a": 10})
        folder = store.layout.temporaries / "a folder"
        folder.mkdir()
        path = store.layout.temporaries / "old"
        path.touch()
        for old in (folder, path):
            os.utime(old, (0, 0))
        remove_abandoned(store.layout)
        assert leftovers(store) == ["a folder"]
        assert f"cannot delete {folder}" in caplog.text
