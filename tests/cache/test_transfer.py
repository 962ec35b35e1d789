"""Copies between tiers: plans, filters, signatures, trust, and interrupted copies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.example_stores import (
    MB,
    content,
    digest,
    flip,
    key,
    leftovers,
    publish,
    run_with_mounts,
    until,
)
from helpers.example_tiers import Gateway, far_tier, web_folder
from intertwine_cache import Keyring, Manifest, Store
from intertwine_cache.signing import signer_of
from intertwine_cache.store import Write
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.opening import open_tier
from intertwine_cache.tiers.tier import CannotList, Tier, TierError
from intertwine_cache.transfer import Selection, copy, plan

ALL = Selection()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "signing-key")


def as_tier(store: Store) -> FolderTier:
    """The folder of a store as a tier."""
    return FolderTier(store.layout.root, is_writable=True, limit=store.limit)


def fill(store: Store, names: str) -> None:
    """Publish a content for each name."""
    for name in names:
        publish(store, name, name.encode() * 1000, canonical=f"V³+{name}", group=f"SO({name})")


class TestAPlan:
    def test_has_what_the_destination_lacks(self, tier: Tier, near: Store) -> None:
        fill(near, "abc")
        for name in "ab":
            tier.publish(*_entry(near, name))
        found = plan(as_tier(near), tier, ALL)
        assert [entry.key for entry in found.entries] == [key("c")]
        assert (found.present, found.bytes, found.invalid, found.untrusted) == (2, 1000, {}, {})

    def test_counts_a_shared_blob_once(self, near: Store, tmp_path: Path) -> None:
        publish(near, "a", b"content")
        publish(near, "b", b"content")
        found = plan(as_tier(near), as_tier(Store(tmp_path / "other")), ALL)
        assert (len(found.entries), found.bytes) == (2, 7)

    @pytest.mark.parametrize(
        ("selection", "expected"),
        [
            (Selection(group="SO(a)"), "a"),
            (Selection(group="SO*"), "abc"),
            (Selection(match="*+b"), "b"),
            (Selection(group="SO(a)", match="*+b"), ""),
            (Selection(keys=(key("b"), key("c"))), "bc"),
            (Selection(keys=(key("b"), key("c")), group="SO(c)"), "c"),
        ],
    )
    def test_of_a_selection(
        self, near: Store, tmp_path: Path, selection: Selection, expected: str
    ) -> None:
        fill(near, "abc")
        found = plan(as_tier(near), as_tier(Store(tmp_path / "other")), selection)
        assert [entry.key for entry in found.entries] == sorted(map(key, expected))

    def test_does_not_have_irreps(self, near: Store) -> None:
        publish(near, "a", b"irreps", kind="irreps", canonical="V", group="SO(3)")
        assert plan(as_tier(near), None, ALL).entries == ()

    def test_has_only_what_a_trusted_key_signed(self, near: Store, tmp_path: Path) -> None:
        ours, theirs = (Keyring(tmp_path / name) for name in ("ours", "theirs"))
        source = as_tier(Store(tmp_path / "shared"))
        fill(near, "abcd")
        for name, keyring in (("a", ours), ("b", theirs), ("c", theirs), ("d", None)):
            manifest, blob = _entry(near, name)
            source.publish(manifest if keyring is None else keyring.sign(manifest), blob)
        found = plan(source, None, ALL, trusting=ours)
        assert [entry.key for entry in found.entries] == [key("a")]
        assert found.untrusted == {theirs.public_key: 2, "": 1}
        trusting = Keyring(tmp_path / "ours", [theirs.public_key])
        assert len(plan(source, None, ALL, trusting=trusting).entries) == 3

    def test_has_the_reason_of_an_invalid_manifest(self, near: Store) -> None:
        fill(near, "ab")
        near.layout.manifest(key("a")).write_bytes(b"[]")
        found = plan(as_tier(near), None, ALL)
        assert [entry.key for entry in found.entries] == [key("b")]
        assert "no manifest" in found.invalid[key("a")]

    def test_of_a_web_folder_needs_keys(self, near: Store, tmp_path: Path) -> None:
        fill(near, "ab")
        other = as_tier(Store(tmp_path / "other"))
        with web_folder(near.layout.root / "v1") as address:
            source = open_tier(address, is_writable=False, limit=10**9)
            with pytest.raises(CannotList, match="name the keys"):
                plan(source, other, ALL)
            found = plan(source, other, Selection(keys=(key("a"), key("x"))))
            assert [entry.key for entry in found.entries] == [key("a")]
            assert found.invalid == {key("x"): f"{address} does not have it"}
            assert copy(found.entries, source, other).entries == 1
        assert list(other.keys()) == [key("a")]

    def test_of_a_tier_that_is_not_there(self, near: Store) -> None:
        source = open_tier("http://127.0.0.1:9/", is_writable=False, limit=10**9)
        with pytest.raises(TierError, match=r"^http://127.0.0.1:9/: "):
            plan(source, as_tier(near), Selection(keys=(key("a"),)))


class TestACopy:
    def test_goes_there_and_back(
        self, tier: Tier, near: Store, keyring: Keyring, tmp_path: Path
    ) -> None:
        fill(near, "abcdefgh")
        publish(near, "large", bytes(range(256)) * 20_000)
        source, moved = as_tier(near), []
        entries = plan(source, tier, ALL).entries
        done = copy(entries, source, tier, signing=keyring, progress=moved.append)
        assert (done.entries, done.invalid) == (9, {})
        assert sum(moved) == 8000 + 256 * 20_000
        assert plan(source, tier, ALL).entries == ()
        other = Store(tmp_path / "other")
        back = plan(tier, as_tier(other), ALL, trusting=keyring)
        assert copy(back.entries, tier, as_tier(other)).entries == 9
        for name in "abcdefgh":
            assert content(other, name) == content(near, name)

    def test_between_object_stores(self, near: Store, s3: dict[str, str], tmp_path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            first, second = (far_tier("s3", tmp_path, s3, patch) for _ in range(2))
            fill(near, "ab")
            copy(plan(as_tier(near), first, ALL).entries, as_tier(near), first)
            done = copy(plan(first, second, ALL).entries, first, second)
            assert done.entries == 2
            for name in "ab":
                assert second.manifest(key(name)) == near.manifest(key(name))

    def test_signs_only_what_has_no_signature(
        self, near: Store, keyring: Keyring, tmp_path: Path
    ) -> None:
        fill(near, "a")
        theirs = Keyring(tmp_path / "theirs")
        manifest, _ = _entry(near, "b", b"theirs")
        near.adopt(theirs.sign(manifest), lambda write: write(b"theirs"))
        other = as_tier(Store(tmp_path / "other"))
        copy(plan(as_tier(near), other, ALL).entries, as_tier(near), other, signing=keyring)
        signers = {each: signer_of(_of(other, each)) for each in list(other.keys())}
        assert signers == {key("a"): keyring.public_key, key("b"): theirs.public_key}

    def test_leaves_out_what_does_not_have_its_digest(self, tier: Tier, near: Store) -> None:
        fill(near, "abc")
        flip(near.layout.blob(digest(b"a" * 1000)))
        near.layout.blob(digest(b"b" * 1000)).unlink()
        source = as_tier(near)
        done = copy(plan(source, tier, ALL).entries, source, tier)
        assert done.entries == 1
        assert "do not have the digest" in done.invalid[key("a")]
        assert "is missing" in done.invalid[key("b")]
        assert list(tier.keys()) == [key("c")]

    def test_takes_nothing_wrong_from_far(self, tier: Tier, near: Store, tmp_path: Path) -> None:
        fill(near, "a")
        manifest, _ = _entry(near, "a")
        wrong = tmp_path / "wrong"
        wrong.write_bytes(b"x" * 1000)
        if isinstance(tier, ObjectTier):
            tier.publish(manifest, wrong)
            for other in (as_tier(Store(tmp_path / "other")), _second(tier)):
                done = copy([manifest], tier, other)
                assert (done.entries, list(done.invalid)) == (0, [key("a")])
                assert list(other.keys()) == []
        else:  # a folder does not even take it
            with pytest.raises(ValueError, match="digest"):
                tier.publish(manifest, wrong)

    def test_ends_at_the_first_error_of_a_tier(self, near: Store, tmp_path: Path) -> None:
        fill(near, "abcdefgh")
        (tmp_path / "other").write_text("a file where a folder should be")
        other = FolderTier(tmp_path / "other", is_writable=True, limit=10**9)
        with pytest.raises(TierError, match=f"^{tmp_path}/other: "):
            copy(list(near.manifests()), as_tier(near), other)

    def test_into_a_folder_that_becomes_read_only_says_so(
        self, near: Store, tmp_path: Path
    ) -> None:
        fill(near, "ab")
        (tmp_path / "far").mkdir()
        done = run_with_mounts(
            """
import json
from pathlib import Path
from intertwine_cache import Store
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.transfer import copy
root = Path(sys.argv[1])
mount("-t", "tmpfs", "-o", "size=200m", "tmpfs", root)
source, tier = (FolderTier(Path(p), is_writable=True, limit=10**9) for p in (sys.argv[2], root))
first, second = Store(Path(sys.argv[2])).manifests()
assert copy([first], source, tier).entries == 1
mount("-o", "remount,ro", root)
done = copy([first, second], source, tier)
print(json.dumps([done.entries, dict(done.refused)]))
""",
            *(tmp_path / "far", near.layout.root),
        )
        assert done.returncode == 0, done.stderr
        refusal = "it refuses to be written to: Read-only file system"
        assert json.loads(done.stdout) == [0, {max(key("a"), key("b")): refusal}]

    def test_replaces_an_entry_that_cannot_be_used(self, tier: Tier, near: Store) -> None:
        fill(near, "a")
        manifest, blob = _entry(near, "a")
        tier.publish(manifest, blob)
        tier.delete([file for page in tier.files("blobs") for file in page])
        source = as_tier(near)
        assert copy([manifest], source, tier).entries == 1
        assert plan(source, tier, ALL).present == 1
        assert copy([manifest], tier, as_tier(Store(near.layout.root / "other"))).entries == 1

    def test_of_entries_that_another_copied_meanwhile(self, tier: Tier, near: Store) -> None:
        fill(near, "ab")
        source = as_tier(near)
        entries = plan(source, tier, ALL).entries
        assert copy(entries, source, tier).entries == 2
        assert copy(entries, source, tier).entries == 0

    def test_into_a_tier_that_refuses_writes_leaves_all_out(
        self, near: Store, s3: dict[str, str]
    ) -> None:
        fill(near, "ab")
        source, gateway = as_tier(near), Gateway()
        gateway.refused = ("PUT",)
        with gateway.open(s3) as address:
            tier = ObjectTier(address, is_writable=True)
            done = copy(plan(source, tier, ALL).entries, source, tier)
        assert (done.entries, done.invalid) == (0, {})
        assert list(done.refused) == sorted(map(key, "ab"))
        (reason,) = set(done.refused.values())
        assert reason.startswith("it refuses to be written to: ")

    def test_takes_little_memory(self, near: Store, tmp_path: Path) -> None:
        import tracemalloc

        blob = b"x" * MB
        near.publish(key("a"), lambda write: [write(blob) for _ in range(100)], {})
        other = as_tier(Store(tmp_path / "other"))
        tracemalloc.start()
        try:
            assert copy(list(near.manifests()), as_tier(near), other).entries == 1
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 20 * MB


class TestAnInterruptedCopy:
    def test_is_resumed_after_a_kill_between_blob_and_manifest(
        self, near: Store, tmp_path: Path
    ) -> None:
        fill(near, "abcdefgh")
        program = f"""
import os, signal, threading
from pathlib import Path
from intertwine_cache import Store, disk
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.transfer import Selection, copy, plan
link, number, one_by_one = disk.link, [], threading.Lock()
def killing(source, target):
    with one_by_one:
        number.append(target)
        if len(number) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        link(source, target)
disk.link = killing
source, other = (FolderTier(Path(p), is_writable=True, limit=10**9) for p in {
            [str(near.layout.root), str(tmp_path / "other")]
        })
copy(plan(source, other, Selection()).entries, source, other)
"""
        ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
        assert ended.returncode == -signal.SIGKILL
        other = Store(tmp_path / "other")
        blobs, there = len(list(other.layout.all_blobs())), len(list(other.manifests()))
        assert there == 2
        assert blobs > there
        assert all(other.read(manifest.key) for manifest in other.manifests())
        left = plan(as_tier(near), as_tier(other), ALL)
        assert (left.present, len(left.entries)) == (2, 6)
        assert copy(left.entries, as_tier(near), as_tier(other)).entries == 6
        for name in "abcdefgh":
            assert content(other, name) == name.encode() * 1000

    def test_into_an_object_store_is_resumed_after_a_kill(
        self, near: Store, tmp_path: Path, s3: dict[str, str]
    ) -> None:
        fill(near, "abcdefgh")
        with pytest.MonkeyPatch.context() as patch:
            bucket = far_tier("s3", tmp_path, s3, patch)
            program = f"""
import os, signal, threading
from pathlib import Path
import obstore
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.transfer import Selection, copy, plan
put, number, one_by_one = obstore.put, [], threading.Lock()
def killing(store, path, *arguments, **options):
    with one_by_one:
        number.extend([path] * path.startswith("manifests/"))
        if len(number) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return put(store, path, *arguments, **options)  # none is in flight at the kill
obstore.put = killing
source = FolderTier(Path({str(near.layout.root)!r}), is_writable=True, limit=10**9)
bucket = ObjectTier({bucket.address!r}, is_writable=True)
copy(plan(source, bucket, Selection()).entries, source, bucket)
"""
            ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
            assert ended.returncode == -signal.SIGKILL
            there = list(bucket.keys())
            assert len(there) == 2
            left = plan(as_tier(near), bucket, ALL)
            assert (left.present, len(left.entries)) == (len(there), 8 - len(there))
            assert copy(left.entries, as_tier(near), bucket).entries == len(left.entries)
            other = Store(tmp_path / "other")
            assert copy(plan(bucket, None, ALL).entries, bucket, as_tier(other)).entries == 8
            for name in "abcdefgh":
                assert content(other, name) == name.encode() * 1000

    def test_stops_its_other_copies_after_an_interrupt(self, near: Store, tmp_path: Path) -> None:
        class Source:
            """It has nothing of one key, and never ends to send the blob of the other."""

            address = "slow"

            def keys(self) -> Iterator[str]:
                return iter([key("a"), key("b")])

            def manifest(self, key: str) -> Manifest | None:
                return near.manifest(key)

            def read(self, manifest: Manifest, write: Write) -> None:
                while manifest.key == key("b"):
                    time.sleep(0.01)
                    write(b"b")

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        fill(near, "ab")
        other = as_tier(Store(tmp_path / "other"))
        with pytest.raises(KeyboardInterrupt):
            copy([*near.manifests()], Source(), other, progress=interrupt)
        until(lambda: not any("transfer" in thread.name for thread in threading.enumerate()))
        assert list(other.keys()) == []
        assert leftovers(Store(tmp_path / "other")) == []


def _entry(store: Store, name: str, content: bytes | None = None) -> tuple[Manifest, Path]:
    if content is not None:
        made = Store(store.layout.root.parent / "made")
        return publish(made, name, content)
    found = store.read(key(name))
    assert found is not None
    return found


def _of(tier: Tier, key: str) -> Manifest:
    found = tier.manifest(key)
    assert found is not None
    return found


def _second(tier: Tier) -> Tier:
    return ObjectTier(f"{tier.address}-second", is_writable=True)
