"""What is published is served until it is deleted, and whatever is wrong with it is not served."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.example_stores import (
    BLOB_FAULTS,
    MANIFEST_FAULTS,
    MB,
    content,
    digest,
    faults,
    flip,
    key,
    leftovers,
    overwrite,
    publish,
    quarantined,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from intertwine_cache import Store
from intertwine_cache.store import digest_of

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
    return Store(tmp_path / "store")


class TestPublishAndRead:
    @given(pieces=st.lists(st.binary()), details=st.dictionaries(st.text(), st.integers()))
    @settings(max_examples=20, deadline=None)  # each waits for the disk
    def test_what_is_published_is_read_back(
        self, tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], details: dict[str, int]
    ) -> None:
        root = tmp_path_factory.mktemp("store")

        def write_to(write: Callable[[bytes | memoryview], object]) -> None:
            for piece in pieces:
                write(memoryview(piece))

        entry = Store(root).publish(key("a"), write_to, details)
        assert entry is not None
        again = Store(root).read(key("a"))
        assert again == entry
        manifest, blob = entry
        whole = b"".join(pieces)
        assert blob.read_bytes() == whole
        assert (manifest.key, manifest.digest, manifest.size) == (
            key("a"),
            digest(whole),
            len(whole),
        )
        assert manifest.details == details

    def test_a_key_that_was_never_published_is_a_miss(self, store: Store) -> None:
        assert store.read(key("a")) is None
        assert store.manifest(key("a")) is None
        assert store.blob(digest(b"a")) is None
        assert not store.remove(key("a"))

    def test_reading_makes_no_folders(self, store: Store) -> None:
        store.read(key("a"))
        list(store.manifests())
        store.statistics()
        store.clear()
        assert not store.layout.root.exists()

    def test_the_first_publish_of_a_key_wins(self, store: Store) -> None:
        first = publish(store, "a", b"first", by=1)
        assert publish(store, "a", b"second", by=2) == first
        assert content(store, "a") == b"first"
        assert faults(store) == {}

    def test_keys_are_independent(self, store: Store) -> None:
        publish(store, "a", b"of a")
        publish(store, "b", b"of b")
        assert (content(store, "a"), content(store, "b")) == (b"of a", b"of b")

    def test_the_same_bytes_under_two_keys_are_kept_once(self, store: Store) -> None:
        one, two = publish(store, "a", b"same"), publish(store, "b", b"same")
        assert one[1] == two[1]
        assert store.statistics()["blobs"] == 1
        assert store.statistics()["entries"] == 2
        assert store.statistics()["bytes"] == 4

    def test_an_entry_has_the_time_of_its_publish(self, store: Store) -> None:
        before = time.time()
        manifest, _ = publish(store, "a", b"content")
        assert before <= manifest.created <= time.time()

    def test_a_blob_is_found_by_its_digest(self, store: Store) -> None:
        _, path = publish(store, "a", b"content")
        assert store.blob(digest(b"content")) == path

    def test_a_blob_cannot_be_written_by_accident(self, store: Store) -> None:
        _, path = publish(store, "a", b"content")
        assert stat.S_IMODE(path.stat().st_mode) == 0o444

    def test_nothing_is_left_behind(self, store: Store) -> None:
        for name in "aab":
            publish(store, name, b"content")
        assert leftovers(store) == []

    def test_a_failed_publish_stores_nothing_and_raises_its_error(self, store: Store) -> None:
        def fail(write: Callable[[bytes], object]) -> None:
            write(b"half of it")
            raise MemoryError("the other half")

        with pytest.raises(MemoryError, match="the other half"):
            store.publish(key("a"), fail, {})
        assert store.read(key("a")) is None
        assert leftovers(store) == []
        assert store.statistics()["bytes"] == 0

    def test_a_publish_over_a_spoilt_manifest_is_kept(self, store: Store) -> None:
        """Nobody read the key since it was spoilt, so the spoilt one still has the name."""
        publish(store, "a", b"content")
        overwrite(store.layout.manifest(key("a")), b"")
        publish(store, "a", b"content")
        assert content(store, "a") == b"content"

    def test_a_publish_over_a_manifest_whose_blob_is_gone_is_kept(self, store: Store) -> None:
        _, path = publish(store, "a", b"content")
        path.unlink()
        publish(store, "a", b"other")
        assert content(store, "a") == b"other"

    def test_details_are_served_as_they_were_given(self, store: Store) -> None:
        details = {"rank": 3, "gap": None, "group": "SO(3) – ρ ⊗ ρ*", "odd": "\ud800", "deep": [{}]}
        publish(store, "a", b"content", **details)
        manifest = store.manifest(key("a"))
        assert manifest is not None
        assert manifest.details == details

    @pytest.mark.parametrize("name", ["", "..", "../" * 20 + "etc/passwd", "A" * 64, "a" * 63])
    def test_a_name_that_is_no_digest_is_refused_everywhere(self, store: Store, name: str) -> None:
        for use in (
            store.read,
            store.manifest,
            store.blob,
            store.remove,
            lambda name: store.reject(name, "because"),
            lambda name: store.publish(name, lambda write: write(b"content"), {}),
            lambda name: contextlib.ExitStack().enter_context(store.claim(name)),
        ):
            with pytest.raises(ValueError, match="is no sha256 in hexadecimal"):
                use(name)
        assert store.statistics()["blobs"] == 0


class TestListing:
    def test_every_manifest_in_the_order_of_keys(self, store: Store) -> None:
        for number in range(20):
            publish(store, str(number), b"content")
        keys = [manifest.key for manifest in store.manifests()]
        assert keys == sorted(key(str(number)) for number in range(20))

    def test_pages_join_to_the_whole(self, store: Store) -> None:
        for number in range(7):
            publish(store, str(number), b"content")
        whole = list(store.manifests())
        for cut in range(7):
            assert list(store.manifests(after=whole[cut].key)) == whole[cut + 1 :]
        assert list(store.manifests(after="")) == whole

    def test_a_spoilt_manifest_is_left_out_and_the_others_are_there(self, store: Store) -> None:
        for name in "abc":
            publish(store, name, b"content")
        overwrite(store.layout.manifest(key("b")), b"{")
        assert {m.key for m in store.manifests()} == {key("a"), key("c")}
        assert list(quarantined(store)) == [f"{key('b')}.json"]

    def test_removing_forgets_one_and_keeps_what_is_shared(self, store: Store) -> None:
        publish(store, "a", b"shared")
        publish(store, "b", b"shared")
        assert store.remove(key("a"))
        assert not store.remove(key("a"))
        assert content(store, "a") is None
        assert content(store, "b") == b"shared"
        assert store.remove(key("b"))
        assert store.statistics()["bytes"] == 0

    def test_clearing_deletes_everything_that_is_kept(self, store: Store) -> None:
        for name in "abc":
            publish(store, name, name.encode())
        publish(store, "d", b"spoilt")
        flip(store.layout.blob(digest(b"spoilt")))
        assert content(store, "d") is None
        assert store.clear() == 3
        assert store.statistics() == {
            "place": str(store.layout.root),
            "entries": 0,
            "blobs": 0,
            "bytes": 0,
            "limit": store.limit,
            "quarantined": 0,
        }
        assert store.clear() == 0
        publish(store, "a", b"again")
        assert content(store, "a") == b"again"

    def test_clearing_leaves_no_note_of_what_was_checked(self, store: Store) -> None:
        publish(store, "a", b"content")
        note = store.layout.checked(digest(b"content"))
        assert note.is_file()
        store.clear()
        assert not note.exists()

    def test_clearing_leaves_the_files_of_others_alone(self, store: Store) -> None:
        publish(store, "a", b"content")
        mine = store.layout.root / "notes.txt"
        mine.write_text("mine")
        store.clear()
        assert mine.read_text() == "mine"


class TestWhatIsWrong:
    @each_blob_fault
    def test_a_corrupt_blob_is_a_miss_and_quarantined(
        self, store: Store, spoil: Callable[[Path], None]
    ) -> None:
        _, path = publish(store, "a", b"content")
        publish(store, "b", b"another")
        spoil(path)
        assert Store(store.layout.root).read(key("a")) is None
        assert not path.exists()
        assert not store.layout.manifest(key("a")).exists()
        assert set(quarantined(store)) == {digest(b"content"), f"{key('a')}.json"}
        assert store.statistics()["quarantined"] == 2
        assert content(store, "b") == b"another"
        publish(store, "a", b"content")
        assert content(store, "a") == b"content"

    @each_blob_fault
    def test_a_spoilt_blob_is_not_served_by_its_digest(
        self, store: Store, spoil: Callable[[Path], None]
    ) -> None:
        _, path = publish(store, "a", b"content")
        spoil(path)
        assert store.blob(digest(b"content")) is None
        assert digest(b"content") in quarantined(store)
        assert content(store, "a") is None

    @each_manifest_fault
    def test_a_corrupt_manifest_is_a_miss_and_quarantined(
        self, store: Store, spoil: Callable[[Path], None], reason: str
    ) -> None:
        publish(store, "a", b"content")
        publish(store, "b", b"content")
        spoil(store.layout.manifest(key("a")))
        assert store.read(key("a")) is None
        assert list(quarantined(store)) == [f"{key('a')}.json"]
        assert reason in quarantined(store)[f"{key('a')}.json"]
        assert content(store, "b") == b"content"
        publish(store, "a", b"content")
        assert content(store, "a") == b"content"

    def test_the_reason_says_what_was_found(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        _, path = publish(store, "a", b"content")
        overwrite(path, b"conten")
        with caplog.at_level(logging.WARNING, logger="intertwine.cache"):
            store.read(key("a"))
        assert quarantined(store) == {
            digest(b"content"): "6 bytes instead of 7",
            f"{key('a')}.json": "its blob: 6 bytes instead of 7",
        }
        assert f"quarantined {path}: 6 bytes instead of 7" in caplog.messages

    def test_quarantine_keeps_the_corrupt_bytes(self, store: Store) -> None:
        _, path = publish(store, "a", b"content")
        overwrite(path, b"Content")
        store.read(key("a"))
        assert (store.layout.quarantine / digest(b"content")).read_bytes() == b"Content"
        spoilt = json.loads((store.layout.quarantine / f"{key('a')}.json").read_bytes())
        assert spoilt["key"] == key("a")

    def test_a_key_spoilt_twice_is_put_aside_twice(self, store: Store) -> None:
        for spoilt in (b"Content", b"c"):
            _, path = publish(store, "a", b"content")
            overwrite(path, spoilt)
            assert store.read(key("a")) is None
        assert (store.layout.quarantine / digest(b"content")).read_bytes() == b"c"

    def test_a_manifest_whose_blob_is_gone_is_forgotten(self, store: Store) -> None:
        _, path = publish(store, "a", b"content")
        path.unlink()
        assert store.read(key("a")) is None
        assert store.manifest(key("a")) is None
        assert quarantined(store) == {}

    def test_a_manifest_that_names_the_blob_of_another_is_a_miss(self, store: Store) -> None:
        """Its digest is right for its bytes, but the size says that it is not what was meant."""
        publish(store, "a", b"content")
        publish(store, "b", b"a longer content")
        path = store.layout.manifest(key("a"))
        overwrite(path, path.read_bytes().replace(*map(_digest, (b"content", b"a longer content"))))
        assert store.read(key("a")) is None
        assert content(store, "b") in (b"a longer content", None)

    def test_a_link_out_of_the_store_is_not_followed_to_anything_false(
        self, store: Store, tmp_path: Path
    ) -> None:
        _, path = publish(store, "a", b"content")
        secret = tmp_path / "secret"
        secret.write_bytes(b"secrets")
        path.unlink()
        path.symlink_to(secret)
        assert store.read(key("a")) is None
        assert secret.read_bytes() == b"secrets"

    def test_rejected_blobs_are_quarantined_with_the_reason(self, store: Store) -> None:
        publish(store, "a", b"no basis")
        store.reject(key("a"), "no basis in it")
        assert store.read(key("a")) is None
        assert set(quarantined(store).values()) == {"no basis in it"}
        store.reject(key("a"), "again")  # another process was as fast
        publish(store, "a", b"a basis")
        assert content(store, "a") == b"a basis"

    @given(position=st.integers(0, 999), byte=st.integers(1, 255))
    @settings(max_examples=30, deadline=None)
    def test_any_change_of_any_byte_is_found(
        self, tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
    ) -> None:
        store = Store(tmp_path_factory.mktemp("store"))
        whole = bytearray(range(250)) * 4
        _, path = publish(store, "a", bytes(whole))
        whole[position] ^= byte
        overwrite(path, bytes(whole))
        assert store.read(key("a")) is None


class TestChecking:
    """A blob is hashed once on each host, and again when it was changed."""

    def test_a_blob_that_was_checked_is_not_read_again(self, store: Store) -> None:
        """A change that no file system would hide from anybody, hidden: only a hash would see."""
        _, path = publish(store, "a", b"content")
        overwrite(path, b"Content")
        _pretend_checked(store, b"content")
        assert store.read(key("a")) is not None

    def test_the_same_size_and_time_do_not_hide_a_change(self, store: Store) -> None:
        _, path = publish(store, "a", b"content")
        assert content(store, "a") == b"content"
        flip(path)
        assert content(store, "a") is None

    def test_another_file_under_the_same_name_is_checked(
        self, store: Store, tmp_path: Path
    ) -> None:
        _, path = publish(store, "a", b"content")
        (tmp_path / "other").write_bytes(b"Content")
        shutil.copystat(path, tmp_path / "other")
        (tmp_path / "other").replace(path)
        assert content(store, "a") is None

    def test_a_copy_of_the_store_is_checked_once_more_and_served(
        self, store: Store, tmp_path: Path
    ) -> None:
        publish(store, "a", b"content")
        shutil.copytree(store.layout.root, tmp_path / "copy")
        copy = Store(tmp_path / "copy")
        before = copy.layout.checked(digest(b"content")).read_text()
        assert content(copy, "a") == b"content"
        assert copy.layout.checked(digest(b"content")).read_text() != before

    def test_a_copy_that_went_wrong_is_found_out(self, store: Store, tmp_path: Path) -> None:
        publish(store, "a", b"content")
        shutil.copytree(store.layout.root, tmp_path / "copy")
        copy = Store(tmp_path / "copy")
        flip(copy.layout.blob(digest(b"content")))
        assert content(copy, "a") is None
        assert content(store, "a") == b"content"

    @pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"1 2 3 4", b"x" * 10**6])
    def test_an_invalid_note_is_ignored(self, store: Store, note: bytes) -> None:
        _, path = publish(store, "a", b"content")
        store.layout.checked(digest(b"content")).write_bytes(note)
        assert content(store, "a") == b"content"
        store.layout.checked(digest(b"content")).write_bytes(note)
        flip(path)
        assert content(store, "a") is None

    def test_a_folder_in_place_of_the_note_costs_a_check_and_no_more(self, store: Store) -> None:
        publish(store, "a", b"content")
        note = store.layout.checked(digest(b"content"))
        note.unlink()
        note.mkdir()
        assert content(store, "a") == b"content"
        assert leftovers(store) == []

    def test_notes_of_other_hosts_are_ignored(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("platform.node", lambda: "another host")
        _, path = publish(Store(store.layout.root), "a", b"content")
        overwrite(path, b"Content")
        _pretend_checked(Store(store.layout.root), b"content")
        monkeypatch.undo()
        assert content(store, "a") is None


class TestAStoreThatIsNoCache:
    def test_it_has_no_limit_and_no_tag(self, tmp_path: Path) -> None:
        store = Store(tmp_path, limit=10, is_cache=False)
        publish(store, "a", b"x" * 60)
        publish(store, "b", b"y" * 60)
        assert (content(store, "a"), content(store, "b")) == (b"x" * 60, b"y" * 60)
        assert not (tmp_path / "CACHEDIR.TAG").exists()

    def test_what_cannot_be_kept_is_said(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store", is_cache=False)
        manifest, path = store.keep(key("a"), lambda write: write(b"content"), {"n": 1})
        assert (manifest.details, path.read_bytes()) == ({"n": 1}, b"content")
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match="Not a directory"):
            Store(tmp_path / "file" / "store").keep(key("a"), lambda write: write(b"content"), {})

    def test_a_blob_past_the_limit_is_a_lack_of_room(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="and the limit is 10") as raised:
            Store(tmp_path, limit=10).keep(key("a"), lambda write: write(b"x" * 11), {})
        assert raised.value.errno == errno.ENOSPC


class TestRoom:
    def test_blobs_above_the_limit_are_not_stored(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = Store(tmp_path, limit=100)
        publish(store, "a", b"x" * 60)
        assert store.publish(key("b"), lambda write: write(b"y" * 101), {}) is None
        assert "not kept" in caplog.text
        assert "101 bytes or more, and the limit is 100" in caplog.text
        assert content(store, "a") == b"x" * 60
        assert leftovers(store) == []

    def test_it_is_given_up_at_the_first_byte_too_many(self, tmp_path: Path) -> None:
        store = Store(tmp_path, limit=100)
        written = []

        def endless(write: Callable[[bytes], object]) -> None:
            while True:
                write(b"x" * 30)
                written.append(sum(path.stat().st_size for path in tmp_path.rglob("temporary/*")))

        assert store.publish(key("a"), endless, {}) is None
        assert len(written) == 3
        assert leftovers(store) == []

    def test_a_blob_of_exactly_the_limit_is_stored(self, tmp_path: Path) -> None:
        store = Store(tmp_path, limit=100)
        publish(store, "a", b"x" * 100)
        assert content(store, "a") == b"x" * 100

    def test_a_limit_of_nothing_keeps_nothing(self, tmp_path: Path) -> None:
        store = Store(tmp_path, limit=0)
        assert store.publish(key("a"), lambda write: write(b"x"), {}) is None
        assert store.read(key("a")) is None


class TestDigest:
    @given(st.binary(max_size=1000))
    def test_it_is_the_sha256_of_the_file(
        self, tmp_path_factory: pytest.TempPathFactory, whole: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "file"
        path.write_bytes(whole)
        assert digest_of(path) == digest(whole)


names = st.sampled_from("abc")
contents = st.sampled_from([b"", b"one", b"two", b"x" * 5000])


class StoreIsADictionary(RuleBasedStateMachine):
    """Whatever is done, the store serves what a dictionary would, or nothing after a fault."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name), limit=MB)
        self.kept: dict[str, bytes] = {}

    @rule(name=names, whole=contents)
    def publish(self, name: str, whole: bytes) -> None:
        publish(self.store, name, whole)
        self.kept.setdefault(name, whole)

    @rule()
    def open_again(self) -> None:
        self.store = Store(self.store.layout.root, limit=MB)

    @rule(name=names)
    def remove(self, name: str) -> None:
        assert self.store.remove(key(name)) == (self.kept.pop(name, None) is not None)

    @rule()
    def clear(self) -> None:
        assert self.store.clear() == len(self.kept)
        self.kept = {}

    @rule(name=names)
    def lose_the_blob(self, name: str) -> None:
        if name in self.kept:
            self._lost(self.kept[name], lambda path: path.unlink())

    @rule(name=names)
    def spoil_the_blob(self, name: str) -> None:
        if self.kept.get(name):
            self._lost(self.kept[name], flip)

    @rule(name=names)
    def spoil_the_manifest(self, name: str) -> None:
        if self.kept.pop(name, None) is not None:
            overwrite(self.store.layout.manifest(key(name)), b"{}")
            assert self.store.read(key(name)) is None

    def _lost(self, whole: bytes, how: Callable[[Path], None]) -> None:
        how(self.store.layout.blob(digest(whole)))
        for name in [name for name, kept in self.kept.items() if kept == whole]:
            assert self.store.read(key(name)) is None
            del self.kept[name]

    @invariant()
    def it_serves_what_was_published_first(self) -> None:
        for name in "abc":
            assert content(self.store, name) == self.kept.get(name)

    @invariant()
    def it_lists_what_it_serves(self) -> None:
        listed = {manifest.key: manifest.digest for manifest in self.store.manifests()}
        assert listed == {key(name): digest(whole) for name, whole in self.kept.items()}

    @invariant()
    def nothing_is_wrong_or_left_behind(self) -> None:
        assert faults(self.store) == {}
        assert leftovers(self.store) == []
        named = {digest(whole) for whole in self.kept.values()}
        assert named <= {path.name for path in self.store.layout.all_blobs()}

    def teardown(self) -> None:
        self.folder.cleanup()


StoreIsADictionary.TestCase.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None
)
TestStoreIsADictionary = StoreIsADictionary.TestCase


def _digest(whole: bytes) -> bytes:
    return digest(whole).encode()


def _pretend_checked(store: Store, whole: bytes) -> None:
    """Write the note that the store would write now."""
    found = store.layout.blob(digest(whole)).stat()
    note = store.layout.checked(digest(whole))
    note.parent.mkdir(parents=True, exist_ok=True)
    fields = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    note.write_text(" ".join(map(str, fields)))
