"""What a crash, a full disk, a wrong clock or two writers leave in the tiers: never anything false.

Disks, servers and killed processes are real.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.example_stores import MB, content, key, leftovers, publish, run_with_mounts
from helpers.example_tiers import (
    Proxied,
    chain,
    environment_of,
    far_tier,
    half_of,
    s3_gateway,
    web_folder,
)
from helpers.patience import PATIENCE, quickest, seconds_of
from intertwine_cache import Chain, Store
from intertwine_cache.eviction import evict
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.tier import Tier

MOST = 10**9


def accept(path: Path, is_trusted: bool) -> None:
    """Accept every file."""


def fetched(chain: Chain, name: str) -> bytes | None:
    """The content that a chain fetches under the key of a name."""
    found = chain.fetch(key(name), accept, MOST)
    return None if found is None else found[1].read_bytes()


def folder_tier(folder: Path) -> FolderTier:
    return FolderTier(folder, is_writable=True, limit=MOST)


class TestKilled:
    """A process killed with SIGKILL between a blob and its manifest."""

    PROGRAM = """
        import os, signal, sys
        from pathlib import Path
        import intertwine_cache.disk as disk
        from intertwine_cache import Places, open_store

        near, far, kill_at = sys.argv[1:]
        put_new, manifests = disk.put_new, []

        def killed(*arguments):
            manifests.append(arguments)
            if len(manifests) == int(kill_at):
                os.kill(os.getpid(), signal.SIGKILL)
            return put_new(*arguments)

        disk.put_new = killed
        chain = open_store(Places(Path(near), (far,)))
        chain.publish(sys.argv[1].rpartition("-")[2], lambda write: write(b"content"), {})
        assert chain.finish(300)
        print("not killed")
    """

    def run(self, folder: Path, far: str, kill_at: int, **env: str) -> subprocess.Popen[bytes]:
        near = folder / f"near-{key('a')}"
        program = [sys.executable, "-c", textwrap.dedent(self.PROGRAM)]
        return subprocess.Popen(
            [*program, near, far, str(kill_at)], env={**environment_of(folder), **env}
        )

    def check(self, folder: Path, far: Tier, killed_near: Store) -> None:
        """A killed process left nothing false, and what it began can be done again."""
        assert far.manifest(key("a")) is None
        assert fetched(chain(folder / "reader", far), "a") is None
        assert content(killed_near, "a") in (None, b"content")
        again = chain(folder / "again", far)
        assert again.publish(key("a"), lambda write: write(b"content"), {}) is not None
        assert again.finish(60)
        assert fetched(chain(folder / "later", far), "a") == b"content"

    @pytest.mark.parametrize("tier", ["near", "folder"])
    def test_in_a_folder(self, tmp_path: Path, tier: str) -> None:
        far = folder_tier(tmp_path / "far")
        process = self.run(tmp_path, far.address, ["near", "folder"].index(tier) + 1)
        assert process.wait(120) == -signal.SIGKILL
        near = Store(tmp_path / f"near-{key('a')}")
        killed = near if tier == "near" else Store(tmp_path / "far")
        assert len(list(killed.layout.all_blobs())) == 1
        assert list(killed.layout.all_manifests()) == []
        assert content(near, "a") == (None if tier == "near" else b"content")
        self.check(tmp_path, far, near)

    def test_in_an_object_store(
        self, tmp_path: Path, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        far = far_tier("s3", tmp_path, s3, monkeypatch)
        started: list[subprocess.Popen[bytes]] = []
        paths = []

        def kill_at_the_manifest(request: Proxied) -> bool:
            paths.append(f"{request.command} {request.path}")
            is_manifest = request.command == "PUT" and "/manifests/" in request.path
            if is_manifest:
                os.kill(started[0].pid, signal.SIGKILL)
            return is_manifest

        with s3_gateway(s3, kill_at_the_manifest) as environment:
            started.append(self.run(tmp_path, far.address, 0, **environment))
            assert started[0].wait(120) == -signal.SIGKILL
        assert any(path.startswith("PUT") and "/blobs/" in path for path in paths)
        self.check(tmp_path, far, Store(tmp_path / f"near-{key('a')}"))


class TestTwoWriters:
    """Two processes that have solved for one key, in different gauges."""

    @pytest.fixture
    def far(self, tier: Tier) -> Tier:
        return tier

    def test_the_first_of_two_stays(self, tmp_path: Path, far: Tier) -> None:
        for gauge in (b"first", b"second"):
            writer = chain(tmp_path / gauge.decode(), far)
            writer.publish(key("a"), lambda write, gauge=gauge: write(gauge), {})
            assert writer.finish(60)
        for reader in ("one", "two"):
            assert fetched(chain(tmp_path / reader, far), "a") == b"first"

    def test_of_two_at_the_same_time_every_reader_gets_the_same(
        self, tmp_path: Path, far: Tier
    ) -> None:
        far.probe()
        for number in range(5):
            name, gauges = f"key {number}", (b"one gauge", b"another gauge")
            entries = [publish(Store(tmp_path / gauge.decode()), name, gauge) for gauge in gauges]
            barrier = threading.Barrier(2)

            def write(entry: int, entries: list = entries, barrier=barrier) -> None:
                barrier.wait()
                far.publish(*entries[entry])

            threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            found = {fetched(chain(tmp_path / f"{reader}-{number}", far), name) for reader in "ab"}
            assert len(found) == 1
            assert found < set(gauges)


class TestTwoWritersWithoutConditions(TestTwoWriters):
    """The same, in an object store that ignores conditions of writes."""

    @pytest.fixture
    def far(  # type: ignore[override]  # it needs a server of its own
        self, tmp_path: Path, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Tier]:
        def ignore(request: Proxied) -> None:
            del request.headers["If-None-Match"]

        with s3_gateway(s3, ignore) as environment:
            yield far_tier("s3", tmp_path, environment, monkeypatch)


class TestAFullDisk:
    def test_in_the_middle_of_a_fetch_it_is_a_miss_and_between_tiers_no_loss(
        self, tmp_path: Path
    ) -> None:
        for name in ("near", "between", "shared"):
            (tmp_path / name).mkdir()
        shared = Store(tmp_path / "shared")
        large, _ = publish(shared, "large", b"content" * 3 * MB)
        publish(shared, "small", b"content")
        done = run_with_mounts(
            """
import json, os
from pathlib import Path
from intertwine_cache import Chain, Keyring, Store
from intertwine_cache.tiers.folder import FolderTier
folder, large, small = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
near, between = folder / "near", folder / "between"
mount("-t", "tmpfs", "-o", "size=120m", "tmpfs", near)
mount("-t", "tmpfs", "-o", "size=80m", "tmpfs", between)

class Filling(FolderTier):
    # somebody else fills the near disk once a part of the blob is there
    def read(self, manifest, write):
        def write_and_fill(piece):
            write(piece)
            if not (near / "filler").exists():
                with open(near / "filler", "wb", buffering=0) as file:
                    try:
                        while file.write(bytes(2**20)):
                            pass
                    except OSError:
                        pass
        super().read(manifest, write_and_fill)

tiers = [FolderTier(between, is_writable=True, limit=10**9)]
tiers += [Filling(folder / "shared", is_writable=False, limit=10**9)]
chain = Chain(Store(near), tiers, Keyring(folder / "signing-key"))
def fetch(key):
    found = chain.fetch(key, lambda *_: None, 10**9)
    return None if found is None else found[1].stat().st_size
found = [fetch(large), list(os.listdir(near / "v1" / "temporary"))]
(near / "filler").unlink()
(near / "filler").touch()
found += [fetch(large), fetch(small), chain.finish(60)]
found += [chain.near.read(large) is not None, list(os.listdir(between / "v1" / "temporary"))]
found += [[health.is_paused for _, health in chain.tiers], chain.tiers[0][1].reason]
print(json.dumps(found))
""",
            *(tmp_path, large.key, key("small")),
        )
        assert done.returncode == 0, done.stderr
        *found, reason = json.loads(done.stdout)
        # the tier between is full from the start, and is skipped; the shared one did nothing wrong
        assert found == [None, [], large.size, 7, True, True, [], [True, False]]
        assert "bytes are free on the disk" in reason
        assert "cannot write to" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_a_day_off_changes_nothing(
    tmp_path: Path, days: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = time.time
    far = folder_tier(tmp_path / "far")
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now() + days * 86_400)
        there = chain(tmp_path / "there", far)
        there.publish(key("a"), lambda write: write(b"content"), {})
        assert there.finish(60)
    here = chain(tmp_path / "here", far)
    assert fetched(here, "a") == b"content"
    here.publish(key("b"), lambda write: write(b"more"), {})
    assert here.finish(60)
    evict(here.near.layout, 10**6)
    assert content(here.near, "a") == b"content"
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now() + days * 86_400)
        assert fetched(there, "b") == b"more"
        evict(there.near.layout, 10**6)
        assert [content(there.near, name) for name in "ab"] == [b"content", b"more"]
    assert caplog.messages == []


def test_a_disk_that_hangs_after_half_a_blob_costs_one_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe instead of the blob, from which no more comes, as from a network disk that is gone."""
    monkeypatch.setattr("intertwine_cache.chain.BLOB_SECONDS", 0.5)
    shared = Store(tmp_path / "shared")
    _, blob = publish(shared, "a", b"content")
    blob.unlink()
    os.mkfifo(blob)
    is_over = threading.Event()

    def write_half() -> None:
        with blob.open("wb", buffering=0) as pipe:
            pipe.write(b"con")
            is_over.wait(2 * PATIENCE)

    writer = threading.Thread(target=write_half)
    writer.start()
    try:
        here = chain(tmp_path, folder_tier(shared.layout.root))
        begun = time.monotonic()
        assert fetched(here, "a") is None
        assert time.monotonic() - begun < PATIENCE  # for so long nothing comes
        ((_, health),) = here.tiers
        assert health.is_paused
        assert "arrives too slowly" in health.reason
        assert leftovers(here.near) == []
    finally:
        is_over.set()
        writer.join()


def test_a_disk_that_fails_while_it_is_read_is_skipped(tmp_path: Path) -> None:
    shared = Store(tmp_path / "shared")
    _, blob = publish(shared, "a", b"content")
    blob.unlink()
    blob.mkdir()  # it can be opened by nobody
    here = chain(tmp_path, folder_tier(shared.layout.root))
    assert fetched(here, "a") is None
    ((_, health),) = here.tiers
    assert health.is_paused
    assert leftovers(here.near) == []


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_web_folder_that_hangs_after_half_a_blob_costs_one_wait(tmp_path: Path) -> None:
    shared = Store(tmp_path / "shared")
    _, blob = publish(shared, "a", b"content" * MB)
    publish(shared, "b", b"content")

    with web_folder(shared.layout.root / "v1", half_of(blob)) as address:
        here = chain(tmp_path, ObjectTier(address, is_writable=False))
        begun = time.monotonic()
        assert fetched(here, "a") is None
        assert time.monotonic() - begun < PATIENCE  # the server waits without end

        def ask() -> None:
            assert fetched(here, "b") is None  # the tier is skipped

        assert quickest(lambda: seconds_of(ask), 0.5) < 0.5
    assert leftovers(here.near) == []
    assert list(here.near.layout.all_manifests()) == []
