"""A chain of tiers: what is far comes near, and a tier that is down costs little."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from helpers.example_stores import digest, edit, key, leftovers, overwrite, publish, until
from helpers.example_tiers import (
    Files,
    chain,
    environment_of,
    silent_server,
    web_folder,
)
from helpers.patience import PATIENCE, quickest
from intertwine_cache import Chain, Manifest, Places, Store, open_store
from intertwine_cache.chain import (
    LONGEST_PAUSE_SECONDS,
    MISS_SECONDS,
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    SLOW_SECONDS,
    Health,
)
from intertwine_cache.layout import manifest_path
from intertwine_cache.manifest import LaterVersion
from intertwine_cache.store import Write
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.tier import Tier, TierError

MOST = 10**9


def accept(path: Path, is_trusted: bool) -> None:
    """Accept every file."""


def folder_tier(folder: Path, *, is_writable: bool = True) -> FolderTier:
    return FolderTier(folder, is_writable=is_writable, limit=10**9)


def fetched(chain: Chain, name: str) -> bytes | None:
    """The content that a chain fetches under the key of a name."""
    found = chain.fetch(key(name), accept, MOST)
    return None if found is None else found[1].read_bytes()


@pytest.fixture
def shared(tmp_path: Path) -> Store:
    """The store of another machine, with one entry."""
    store = Store(tmp_path / "shared")
    publish(store, "a", b"content", rank=3)
    return store


class TestReading:
    def test_what_is_far_comes_near_as_it_is(self, tmp_path: Path, shared: Store) -> None:
        here = chain(tmp_path, folder_tier(shared.layout.root))
        assert here.read(key("a")) is None
        found = here.fetch(key("a"), accept, MOST)
        assert found is not None
        manifest, blob, place = found
        assert (manifest, place) == (shared.manifest(key("a")), str(shared.layout.root))
        assert blob.is_relative_to(here.near.layout.root)
        assert here.read(key("a")) == (manifest, blob)

    def test_the_nearest_tier_answers_and_those_above_are_filled(
        self, tmp_path: Path, shared: Store
    ) -> None:
        between, read_only = Store(tmp_path / "between"), Store(tmp_path / "read-only")
        here = chain(
            tmp_path,
            folder_tier(between.layout.root),
            folder_tier(read_only.layout.root, is_writable=False),
            folder_tier(shared.layout.root),
        )
        assert fetched(here, "a") == b"content"
        assert here.finish(PATIENCE)
        assert between.read(key("a")) is not None
        assert read_only.read(key("a")) is None

    def test_a_key_that_no_tier_has_is_not_asked_for_again_for_a_minute(
        self, tmp_path: Path, shared: Store
    ) -> None:
        here = chain(tmp_path, folder_tier(shared.layout.root))
        assert fetched(here, "b") is None
        publish(shared, "b", b"content")
        assert fetched(here, "b") is None
        here.ask_again(key("b"))
        assert fetched(here, "b") == b"content"
        assert fetched(chain(tmp_path / "other", folder_tier(shared.layout.root)), "b") is not None

    @pytest.mark.parametrize("kind", ["digest", "size", "empty", "exchanged", "refused"])
    def test_what_is_wrong_is_not_kept_and_reported_once(
        self, tmp_path: Path, shared: Store, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        blob = shared.layout.blob(digest(b"content"))
        if kind == "exchanged":
            manifest, _ = publish(shared, "b", b"another")
            entry = shared.layout.manifest(key("a"))
            overwrite(entry, dataclasses.replace(manifest, key=key("a")).to_bytes())
        else:
            bytes_of = {"digest": b"CONTENT", "size": b"content, and more", "empty": b""}
            overwrite(blob, bytes_of.get(kind, b"content"))

        def refuse(path: Path, is_trusted: bool) -> None:
            if path.read_bytes() != b"content" or kind == "refused":
                raise ValueError("it is not a basis")

        here = chain(tmp_path, folder_tier(shared.layout.root))
        with caplog.at_level(logging.WARNING, "intertwine.cache"):
            for _ in range(3):
                assert here.fetch(key("a"), refuse, MOST) is None
        (warned,) = caplog.messages
        assert warned.startswith(f"{key('a')} is not taken from {shared.layout.root}")
        assert here.read(key("a")) is None
        assert list(here.near.layout.all_blobs()) == leftovers(here.near) == []

    def test_a_manifest_of_a_later_version_is_a_miss_said_once_and_stays(
        self, tmp_path: Path, tier: Tier, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert tier.publish(*publish(Store(tmp_path / "another"), "a", b"content"))
        later = b'{"version": 2, "of": "another form"}'
        if isinstance(tier, ObjectTier):
            obstore.put(tier._store, manifest_path(key("a")), later)
        else:
            overwrite(tmp_path / "shared" / "v1" / manifest_path(key("a")), later)
        here = chain(tmp_path, tier)
        for _ in range(2):
            assert fetched(here, "a") is None
        here.publish(key("a"), lambda write: write(b"solved here"), {})
        assert here.finish(PATIENCE)
        expected = f"{key('a')} is not taken from {tier.address}: version 2 is not 1"
        assert caplog.messages == [expected]
        with pytest.raises(LaterVersion):
            tier.manifest(key("a"))

    def test_an_older_manifest_is_used(self, tmp_path: Path, shared: Store) -> None:
        """It has no checksum, no signature, no request and no certificate."""
        edit(shared.layout.manifest(key("a")), checksum=None, details={})
        trusts = []

        def note(path: Path, is_trusted: bool) -> None:
            trusts.append(is_trusted)

        here = chain(tmp_path, folder_tier(shared.layout.root))
        assert here.fetch(key("a"), note, MOST) is not None
        assert trusts == [False]
        (counts,) = here.statistics().values()
        assert counts.hits == 1
        assert counts.seconds_saved <= 0  # it does not say what the solve took

    def test_the_next_tier_is_asked_if_one_is_wrong(self, tmp_path: Path, shared: Store) -> None:
        wrong = Store(tmp_path / "wrong")
        publish(wrong, "a", b"lies")
        here = chain(tmp_path, folder_tier(wrong.layout.root), folder_tier(shared.layout.root))

        def refuse_lies(path: Path, is_trusted: bool) -> None:
            if path.read_bytes() == b"lies":
                raise ValueError("it lies")

        found = here.fetch(key("a"), refuse_lies, MOST)
        assert found is not None
        assert found[2] == str(shared.layout.root)

    def test_a_near_folder_that_cannot_keep_it_makes_it_a_miss(
        self, tmp_path: Path, shared: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "near").write_text("a file where the folder should be")
        here = chain(tmp_path, folder_tier(shared.layout.root))
        assert fetched(here, "a") is None
        assert "cannot write to" in caplog.text

    def test_a_blob_that_is_too_large_is_not_read(self, tmp_path: Path, shared: Store) -> None:
        read = []

        class Reading(FolderTier):
            def read(self, manifest: Manifest, write: Write) -> None:
                read.append(manifest.key)
                super().read(manifest, write)

        here = chain(tmp_path, Reading(shared.layout.root, is_writable=False, limit=10**9))
        assert here.fetch(key("a"), accept, len(b"content") - 1) is None
        assert read == []
        again = chain(tmp_path, Reading(shared.layout.root, is_writable=False, limit=10**9))
        assert again.fetch(key("a"), accept, len(b"content")) is not None

    def test_a_blob_larger_than_the_near_folder_may_have_is_a_miss(
        self, tmp_path: Path, shared: Store
    ) -> None:
        here = chain(tmp_path, folder_tier(shared.layout.root))
        here.near.limit = 3
        assert fetched(here, "a") is None


class TestWriting:
    def test_what_is_solved_here_goes_to_every_writable_tier_signed(self, tmp_path: Path) -> None:
        one, two, three = (Store(tmp_path / name) for name in ("one", "two", "three"))
        here = chain(
            tmp_path,
            folder_tier(one.layout.root),
            folder_tier(two.layout.root, is_writable=False),
            folder_tier(three.layout.root),
        )
        assert here.publish(key("a"), lambda write: write(b"content"), {"rank": 3}) is not None
        assert here.finish(PATIENCE)
        for store in (one, three):
            entry = store.read(key("a"))
            assert entry is not None
            assert here.keyring.trusts(entry[0])
            assert entry[1].read_bytes() == b"content"
        assert two.read(key("a")) is None

    def test_uploads_of_one_key_are_waited_for_without_the_others(self, tmp_path: Path) -> None:
        is_over = threading.Event()

        class Waiting(FolderTier):
            def publish(self, manifest: Manifest, blob: Path) -> bool:
                assert manifest.key == key("a") or is_over.wait(PATIENCE)
                return super().publish(manifest, blob)

        here = chain(tmp_path, Waiting(tmp_path / "far", is_writable=True, limit=MOST))
        for name in ("a", "b"):
            assert here.publish(key(name), lambda write: write(b"content"), {}) is not None
        assert here.finish(PATIENCE, key("a"))
        assert not here.is_uploading(key("a"))
        assert here.is_uploading(key("b"))
        assert not here.finish(0.05, key("b"))
        assert not here.finish(0.05)
        is_over.set()
        assert here.finish(PATIENCE, key("b"))
        assert here.finish(0)

    def test_irreps_stay_near(self, tmp_path: Path) -> None:
        far = Store(tmp_path / "far")
        here = chain(tmp_path, folder_tier(far.layout.root))
        here.publish(key("a"), lambda write: write(b"content"), {"kind": "irreps"})
        assert here.finish(PATIENCE)
        assert list(far.manifests()) == []

    def test_only_the_near_folder_evicts(self, tmp_path: Path) -> None:
        places = Places(tmp_path / "near", (str(tmp_path / "far"),))
        here = open_store(places, limit=1500)
        assert isinstance(here, Chain)
        for name in ("a", "b", "c"):
            publish(here.near, name, name.encode() * 1000)  # its two predecessors are evicted
            here.publish(key(name), lambda write, name=name: write(name.encode() * 1000), {})
            assert here.finish(PATIENCE)
        assert len(list(here.near.manifests())) == 1
        assert len(list(Store(tmp_path / "far").manifests())) == 3

    @pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "raise ValueError"])
    def test_a_process_that_ends_has_uploaded_before(self, tmp_path: Path, ending: str) -> None:
        program = f"""
            import sys
            from intertwine_cache import Places, open_store
            from pathlib import Path
            chain = open_store(Places(Path(sys.argv[1]), (sys.argv[2],)))
            for name in range(20):
                chain.publish(f"{{name:064x}}", lambda write: write(b"content"), {{}})
            {ending}
        """
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), tmp_path / "a", tmp_path / "b"],
            env=environment_of(tmp_path),
            check=False,
            capture_output=True,
        )
        assert len(list(Store(tmp_path / "b").manifests())) == 20

    def test_killed_before_the_manifest_it_is_a_miss_and_can_be_published_again(
        self, tmp_path: Path
    ) -> None:
        far = Store(tmp_path / "far")
        publish(far, "a", b"content")
        far.layout.manifest(key("a")).unlink()  # a blob, and no manifest
        here = chain(tmp_path, folder_tier(far.layout.root))
        assert fetched(here, "a") is None
        here.publish(key("a"), lambda write: write(b"content"), {})
        assert here.finish(PATIENCE)
        assert far.read(key("a")) is not None

    def test_a_failed_upload_pauses_its_tier_and_loses_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "far").write_text("a file where the folder should be")
        here = chain(tmp_path, folder_tier(tmp_path / "far"))
        entry = here.publish(key("a"), lambda write: write(b"content"), {})
        assert here.finish(PATIENCE)
        assert entry == here.read(key("a"))
        ((_, health),) = here.tiers
        assert health.is_paused
        assert "far" in health.reason


class Slow:
    """A tier that answers after some seconds."""

    address, is_writable = "slow", False

    def __init__(self, store: Store, seconds: float) -> None:
        self._tier = folder_tier(store.layout.root)
        self.seconds, self.asked = seconds, 0
        self.hurries = threading.Event()  # it answers at once

    def manifest(self, key: str) -> Manifest | None:
        self.asked += 1
        self.hurries.wait(self.seconds)
        return self._tier.manifest(key)

    def read(self, manifest: Manifest, write: Write) -> None:
        self._tier.read(manifest, write)

    def publish(self, manifest: Manifest, blob: Path) -> bool:
        raise AssertionError("it is read-only")

    def probe(self) -> str:
        return ""


class TestATierThatIsDown:
    @pytest.fixture(params=["nobody listens", "nobody answers", "it fails"])
    def address(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
        def fail(request: Files) -> bool:
            request.send_error(500)
            return True

        with contextlib.ExitStack() as stack:
            yield {
                "nobody listens": lambda: "http://127.0.0.1:9/",
                "nobody answers": lambda: stack.enter_context(silent_server()),
                "it fails": lambda: stack.enter_context(web_folder(tmp_path, fail)),
            }[request.param]()

    @pytest.mark.usefixtures("impatient")
    def test_costs_one_wait_for_200_keys(
        self, tmp_path: Path, address: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        folders = iter("abcde")

        def seconds() -> float:
            caplog.clear()
            here = chain(tmp_path / next(folders), ObjectTier(address, is_writable=False))
            begun = time.monotonic()
            assert [fetched(here, str(n)) for n in range(200)] == [None] * 200
            return time.monotonic() - begun

        most = PATIENCE_SECONDS + 0.4  # threads start on busy machines
        assert quickest(seconds, most) < most
        (warned,) = caplog.messages
        assert warned.startswith(f"{address} is skipped for 30 seconds: ")

    @pytest.mark.slow
    @pytest.mark.usefixtures("impatient")
    def test_is_asked_all_the_same_for_a_key_that_another_host_has_published(
        self, tmp_path: Path, shared: Store
    ) -> None:
        slow = Slow(shared, 600)
        here = chain(tmp_path, slow)
        assert fetched(here, "a") is None
        ((_, health),) = here.tiers
        assert health.is_paused
        here.ask_again(key("a"))
        assert fetched(here, "a") is None
        slow.seconds = 3 * PATIENCE_SECONDS
        here.ask_again(key("a"), is_expected=True)
        assert fetched(here, "a") == b"content"
        slow.hurries.set()

    @pytest.mark.usefixtures("impatient")
    def test_that_answers_late_is_asked_again(
        self, tmp_path: Path, shared: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = Slow(shared, 600)
        here = chain(tmp_path, slow)
        assert fetched(here, "b") is None
        ((_, health),) = here.tiers
        assert health.is_paused
        slow.hurries.set()
        until(lambda: not health.is_paused)
        monkeypatch.setattr("intertwine_cache.chain.PATIENCE_SECONDS", PATIENCE)
        assert fetched(here, "a") == b"content"
        assert slow.asked == 2

    def test_that_is_slow_costs_three_waits_for_200_quick_solves(
        self, tmp_path: Path, shared: Store
    ) -> None:
        folders = iter("abcde")

        def seconds() -> float:
            slow = Slow(shared, SLOW_SECONDS + 0.05)
            here = chain(tmp_path / next(folders), slow)
            begun = time.monotonic()
            for n in range(200):
                assert here.fetch(key(str(n)), accept, MOST, lambda: True) is None
            taken = time.monotonic() - begun
            assert slow.asked == 3
            assert fetched(here, "a") == b"content"  # a solve of it would take long
            assert slow.asked == 4
            return taken

        most = 3 * PATIENCE_SECONDS
        assert quickest(seconds, most) < most

    def test_that_breaks_off_in_a_blob_is_skipped(self, tmp_path: Path, shared: Store) -> None:
        def half(request: Files) -> bool:
            if "/blobs/" not in request.path:
                return False
            request.send_response(200)
            request.send_header("Content-Length", "7")
            request.end_headers()
            request.wfile.write(b"con")
            request.close_connection = True
            return True

        with web_folder(shared.layout.root / "v1", half) as address:
            here = chain(tmp_path, ObjectTier(address, is_writable=False))
            assert fetched(here, "a") is None
            ((_, health),) = here.tiers
            assert health.is_paused
        assert leftovers(here.near) == []

    def test_that_sends_a_blob_too_slowly_is_skipped(
        self, tmp_path: Path, shared: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("intertwine_cache.chain.BLOB_SECONDS", 0.3)

        def drip(request: Files) -> bool:
            if "/blobs/" not in request.path:
                return False
            request.send_response(200)
            request.send_header("Content-Length", "7")
            request.end_headers()
            for byte in b"con":
                request.wfile.write(bytes([byte]))
                time.sleep(0.1)
            request.rfile.read(1)  # until the client has gone
            return True

        with web_folder(shared.layout.root / "v1", drip) as address:
            here = chain(tmp_path, ObjectTier(address, is_writable=False))
            assert fetched(here, "a") is None
            ((_, health),) = here.tiers
            assert "too slowly" in health.reason

    def test_one_after_the_other_threads_ask_for_one_key_once(
        self, tmp_path: Path, shared: Store
    ) -> None:
        slow = Slow(shared, 0.1)
        here = chain(tmp_path, slow)
        found = []

        def obtain() -> None:
            with here.claim(key("a")):
                found.append(here.read(key("a")) or here.fetch(key("a"), accept, MOST))

        threads = [threading.Thread(target=obtain) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert None not in found
        assert slow.asked == 1


class TestHealth:
    def test_pauses_double_up_to_ten_minutes_and_end_with_an_answer(self) -> None:
        now = 0.0
        health = Health("far", lambda: now)
        pauses = []
        for _ in range(8):
            begun = now
            health.fail("no")
            while health.is_paused:
                now += 1.0
            pauses.append(now - begun)
        assert pauses[:3] == [PAUSE_SECONDS, 2 * PAUSE_SECONDS, 4 * PAUSE_SECONDS]
        assert pauses[-1] == LONGEST_PAUSE_SECONDS
        health.fail("no")
        health.succeed()
        assert (health.is_paused, health.is_failing) == (False, False)
        begun = now
        health.fail("no")
        now += PAUSE_SECONDS - 1
        assert (health.is_paused, health.paused_seconds) == (True, 1.0)
        now += 1
        assert (health.is_paused, health.paused_seconds) == (False, 0.0)
        assert health.is_failing  # until it answers

    def test_is_slow_while_the_last_three_answers_of_a_minute_all_were(self) -> None:
        now = 0.0
        health = Health("far", lambda: now)
        assert not health.is_slow
        for seconds, is_slow in (
            (2 * SLOW_SECONDS, False),
            (2 * SLOW_SECONDS, False),
            (2 * SLOW_SECONDS, True),
            (SLOW_SECONDS / 2, False),
            (2 * SLOW_SECONDS, False),
            (2 * SLOW_SECONDS, False),
            (2 * SLOW_SECONDS, True),
        ):
            health.answer(seconds)
            assert health.is_slow is is_slow
        now = MISS_SECONDS - 1
        assert health.is_slow
        now = MISS_SECONDS
        assert not health.is_slow  # so it is asked again
        health.answer(2 * SLOW_SECONDS)
        assert health.is_slow

    def test_misses_are_remembered_for_a_minute_and_not_without_end(self) -> None:
        now = 0.0
        health = Health("far", lambda: now)
        health.miss("a")
        now = MISS_SECONDS - 1
        assert health.misses("a")
        now = MISS_SECONDS
        assert not health.misses("a")
        for number in range(10_001):
            health.miss(str(number))
        assert not health.misses("0")
        assert health.misses("10000")

    def test_a_forgotten_miss_is_asked_for_again_but_not_a_refused_entry(self) -> None:
        health = Health("far")
        health.miss("a")
        health.miss("refused", math.inf)
        for name in ("a", "refused", "unknown"):
            health.forget_miss(name)
        assert [health.misses(name) for name in ("a", "refused", "unknown")] == [False, True, False]


def test_errors_of_a_tier_are_errors_of_the_system() -> None:
    assert issubclass(TierError, OSError)  # code that handles a failing disk handles it too
