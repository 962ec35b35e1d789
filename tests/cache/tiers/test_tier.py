"""Far tiers: one layout, served by a folder, by an object store and by any web server."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import obstore
import pytest
from helpers.example_stores import MB, key, publish, run_with_mounts
from helpers.example_tiers import (
    Files,
    Proxied,
    far_tier,
    half_of,
    rclone_server,
    s3_gateway,
    silent_server,
    slow_uplink,
    web_folder,
)
from helpers.scripted_service import (
    HANG_UP,
    Reply,
    Request,
    json_reply,
    problem_reply,
    scripted_service,
)
from helpers.servers import free_ports
from intertwine_cache import Manifest, Store
from intertwine_cache.layout import blob_path, manifest_path
from intertwine_cache.manifest import LaterVersion
from intertwine_cache.tiers.address import without_secrets
from intertwine_cache.tiers.bucket import CONNECT_SECONDS
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.opening import open_tier
from intertwine_cache.tiers.tier import (
    PRESENT,
    STORED,
    CannotList,
    Outcome,
    Tier,
    TierError,
    as_tier_errors,
)


def read(tier: Tier, manifest: Manifest) -> bytes:
    """The bytes that a tier has for a manifest."""
    pieces: list[bytes] = []
    tier.read(manifest, lambda piece: pieces.append(bytes(piece)))
    return b"".join(pieces)


class TestEachKind:
    def test_returns_what_was_published(self, tier: Tier, near: Store) -> None:
        content = bytes(range(256)) * 20_000  # several pieces
        manifest, blob = publish(near, "a", content, rank=3)
        assert tier.manifest(key("a")) is None
        assert tier.publish(manifest, blob)
        assert tier.manifest(key("a")) == manifest
        assert read(tier, manifest) == content

    def test_keeps_the_first_of_two_manifests(self, tier: Tier, near: Store) -> None:
        first, blob = publish(near, "a", b"first")
        tier.publish(first, blob)
        other, its_blob = publish(Store(near.layout.root / "other"), "a", b"second")
        assert not tier.publish(other, its_blob)
        assert tier.manifest(key("a")) == first

    def test_replaces_what_an_earlier_version_of_the_solver_has_found(
        self, tier: Tier, tmp_path: Path
    ) -> None:
        def send(solver: int) -> Manifest:
            store, content = Store(tmp_path / f"of {solver}"), b"of %d" % solver
            manifest, blob = publish(store, "a", content, certificate={"solver": solver})
            tier.publish(manifest, blob)
            return manifest

        send(1)
        newer = send(2)
        assert tier.manifest(key("a")) == newer
        assert read(tier, newer) == b"of 2"
        send(1)  # by a user who has not upgraded
        assert tier.manifest(key("a")) == newer

    def test_of_sixteen_writers_at_once_one_wins(self, tier: Tier, near: Store) -> None:
        tier.probe()
        root, start = near.layout.root, threading.Barrier(16)
        entries = [publish(Store(root / f"{n}"), "a", b"gauge %d" % n) for n in range(16)]

        def write(number: int) -> bool:
            start.wait()
            return tier.publish(*entries[number]).is_stored

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(write, range(16)))
        assert won.count(True) == 1
        assert tier.manifest(key("a")) == entries[won.index(True)][0]
        assert read(tier, entries[won.index(True)][0]) == b"gauge %d" % won.index(True)

    def test_does_not_have_what_is_not_there(self, tier: Tier, near: Store) -> None:
        manifest, blob = publish(near, "a", b"content")
        tier.publish(manifest, blob)
        assert tier.manifest(key("b")) is None
        with pytest.raises(ValueError, match=r"the blob of .* is missing"):
            read(tier, dataclasses.replace(manifest, digest=key("no blob")))

    def test_lists_its_keys_in_order(self, tier: Tier, near: Store) -> None:
        assert list(tier.keys()) == []
        for name in "abcdefgh":
            tier.publish(*publish(near, name, name.encode()))
        assert list(tier.keys()) == sorted(map(key, "abcdefgh"))

    def test_a_blob_of_another_size_is_invalid(self, tier: Tier, near: Store) -> None:
        manifest, blob = publish(near, "a", b"content")
        tier.publish(manifest, blob)
        for size in (6, 8):
            with pytest.raises(ValueError, match=f"does not have {size} bytes"):
                read(tier, dataclasses.replace(manifest, size=size))


def replace_file(tier: Tier, path: str, content: bytes | None) -> None:
    """Write a file of a tier directly; None deletes it."""
    if content is None:
        tier.delete([file for page in tier.files("blobs") for file in page if file.path == path])
    elif isinstance(tier, ObjectTier):
        obstore.put(tier._store, path, content)
    else:
        file = Path(tier.address) / "v1" / path
        file.unlink(missing_ok=True)
        file.write_bytes(content)


@pytest.fixture(params=["folder", "s3", "file"])
def any_tier(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Tier:
    """A writable, empty tier of each kind that can be listed."""
    if request.param != "file":
        return far_tier(request.param, tmp_path, s3, monkeypatch)
    (tmp_path / "files").mkdir()
    return ObjectTier((tmp_path / "files").as_uri(), is_writable=True)


class TestAnEntryThatCannotBeUsed:
    """Nobody could use its key otherwise, because writers do not replace usable manifests."""

    @pytest.fixture
    def entry(self, near: Store) -> tuple[Manifest, Path]:
        return publish(near, "a", b"another gauge")

    @pytest.mark.parametrize("fault", ["no blob", "half a blob", "no manifest"])
    def test_is_replaced_by_the_next_writer(
        self,
        any_tier: Tier,
        entry: tuple[Manifest, Path],
        tmp_path: Path,
        fault: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        first, blob = publish(Store(tmp_path / "other"), "a", b"one gauge")
        assert any_tier.publish(first, blob)
        path = manifest_path(key("a")) if fault == "no manifest" else blob_path(first.digest)
        content = {"no blob": None, "half a blob": b"one ga", "no manifest": b"[]"}[fault]
        replace_file(any_tier, path, content)
        caplog.clear()
        assert any_tier.publish(*entry) == STORED
        assert any_tier.manifest(key("a")) == entry[0]
        assert read(any_tier, entry[0]) == b"another gauge"
        assert any_tier.publish(first, blob) == PRESENT
        assert "Traceback" not in caplog.text

    def test_of_a_later_version_stays(
        self, any_tier: Tier, entry: tuple[Manifest, Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        manifest, blob = entry
        assert any_tier.publish(manifest, blob)
        later = b'{"version": 2, "of": "another form"}'
        replace_file(any_tier, manifest_path(key("a")), later)
        for _ in range(2):
            with pytest.raises(LaterVersion, match="version 2 is not 1"):
                any_tier.manifest(key("a"))
            assert any_tier.publish(manifest, blob) == PRESENT
        assert list(any_tier.keys()) == [key("a")]
        assert caplog.messages == []

    def test_is_replaced_once_by_two_writers(
        self, s3: dict[str, str], near: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The other replaces it between this writer's look and its own manifest."""
        entries = [publish(Store(tmp_path / name), "a", name.encode()) for name in "xyz"]
        others: list[ObjectTier] = []

        def replace_too(request: Proxied) -> None:
            if request.command == "PUT" and "/manifests/" in request.path and others:
                assert "If-Match" in request.headers
                other = others.pop()
                assert other.publish(*entries[1]) == STORED

        with s3_gateway(s3, replace_too) as environment:
            tier = bucket(environment, monkeypatch)
            assert tier.publish(*entries[0])
            replace_file(tier, blob_path(entries[0][0].digest), None)
            monkeypatch.setenv("AWS_ENDPOINT_URL", s3["AWS_ENDPOINT_URL"])
            others.append(ObjectTier(tier.address, is_writable=True))
            outcome = tier.publish(*entries[2])
        now = ObjectTier(tier.address, is_writable=False).manifest(key("a"))
        assert now in (entries[1][0], entries[2][0])
        assert outcome == (STORED if now == entries[2][0] else PRESENT)


def bucket(environment: dict[str, str], patch: pytest.MonkeyPatch) -> ObjectTier:
    """A writable tier in a new folder of the bucket."""
    for name, value in environment.items():
        patch.setenv(name, value)
    return ObjectTier(f"s3://lab/{uuid.uuid4().hex}", is_writable=True)


def check_the_look_before_writing(
    tier: ObjectTier, near: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A tier that ignores conditions keeps the first result, and says once what it cannot do."""
    first, blob = publish(near, "a", b"first")
    assert tier.publish(first, blob)
    other, its_blob = publish(Store(near.layout.root / "other"), "a", b"second")
    assert not tier.publish(other, its_blob)
    assert tier.manifest(key("a")) == first
    more, another_blob = publish(near, "b", b"more")
    assert tier.publish(more, another_blob)
    assert read(tier, more) == b"more"
    assert "ignores conditions" in tier.probe()
    (warned,) = caplog.messages
    assert warned.startswith(f"{tier.address}: its server ignores conditions of writes")


class TestTheProbe:
    def test_finds_that_a_store_can_do_everything(self, tier: Tier, near: Store) -> None:
        assert tier.probe() == tier.probe() == ""
        assert tier.is_writable
        manifest, blob = publish(near, "a", b"content")
        assert tier.publish(manifest, blob)

    def test_costs_one_request_once_the_object_is_there(
        self, s3: dict[str, str], near: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests: list[str] = []
        with s3_gateway(s3, lambda request: requests.append(request.command)) as environment:
            first = bucket(environment, monkeypatch)
            for name in ("a", "b"):
                assert first.publish(*publish(near, name, b"content"))
            assert requests == ["GET", "PUT", "PUT", "PUT", "PUT", "GET", "PUT", "PUT"]
            requests.clear()
            later = ObjectTier(first.address, is_writable=True)
            assert later.probe() == ""
            assert requests == ["PUT"]

    def test_writes_nothing_to_a_tier_that_is_to_be_read_only(self, tmp_path: Path) -> None:
        assert FolderTier(tmp_path / "far", is_writable=False, limit=1).probe() == ""
        assert not (tmp_path / "far").exists()
        # nobody listens there: a request would be an error
        assert ObjectTier("http://127.0.0.1:9/", is_writable=False).probe() == ""

    @pytest.mark.parametrize("answer", ["ignored", "not implemented"])
    def test_finds_that_conditions_are_ignored(
        self,
        answer: str,
        s3: dict[str, str],
        near: Store,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def ignore(request: Proxied) -> bool:
            if "If-None-Match" not in request.headers:
                return False
            del request.headers["If-None-Match"]
            if answer == "not implemented":
                request.send_error(501)
            return answer == "not implemented"

        with s3_gateway(s3, ignore) as environment:
            check_the_look_before_writing(bucket(environment, monkeypatch), near, caplog)

    @pytest.mark.slow
    def test_finds_that_rclone_ignores_conditions(
        self,
        tmp_path: Path,
        near: Store,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with rclone_server(tmp_path) as environment:
            tier = bucket(environment, monkeypatch)
            check_the_look_before_writing(tier, near, caplog)
            manifest, blob = publish(near, "large", b"content" * MB)
            assert tier.publish(manifest, blob)
            assert read(tier, manifest) == b"content" * MB

    @pytest.mark.parametrize("when", ["from the start", "later"])
    def test_a_bucket_that_refuses_writes_is_read_only(
        self,
        when: str,
        s3: dict[str, str],
        near: Store,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        manifest, blob = publish(near, "a", b"content")
        is_open, refused = True, 0

        def refuse(request: Proxied) -> bool:
            nonlocal refused
            if is_open or request.command == "GET":
                return False
            refused += 1
            request.send_error(403)
            return True

        with s3_gateway(s3, refuse) as environment:
            tier = bucket(environment, monkeypatch)
            assert tier.publish(manifest, blob)
            if when == "from the start":
                tier = ObjectTier(tier.address, is_writable=True)
            is_open = False
            for name in ("b", "c"):
                outcome = tier.publish(*publish(near, name, b"more"))
                assert (outcome.is_stored, outcome.refusal) == (False, tier.probe())
            assert (tier.is_writable, refused) == (False, 1)
            assert "it refuses to be written to" in tier.probe()
            assert tier.manifest(key("a")) == manifest
            assert tier.manifest(key("b")) is None
            assert read(tier, manifest) == b"content"
        (warned,) = caplog.messages
        assert warned.startswith(f"{tier.address} is read-only from now on: ")
        assert "\n" not in warned

    def test_a_bucket_that_is_not_there_is_an_error(
        self, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket(s3, monkeypatch)
        tier = ObjectTier("s3://another/lab", is_writable=True)
        with pytest.raises(TierError, match=r"^s3://another/lab: "):
            tier.probe()
        assert tier.is_writable

    def test_a_folder_that_becomes_read_only(self, tmp_path: Path, near: Store) -> None:
        (tmp_path / "far").mkdir()
        done = run_with_mounts(
            """
import json
from pathlib import Path
from intertwine_cache import Store
from intertwine_cache.tiers.folder import FolderTier
root = sys.argv[1]
mount("-t", "tmpfs", "-o", "size=200m", "tmpfs", root)
near, tier = Store(Path(sys.argv[2])), FolderTier(Path(root), is_writable=True, limit=10**9)
def publish(name):
    outcome = tier.publish(*near.publish(name * 64, lambda write: write(b"content"), {}))
    return outcome.is_stored or outcome.refusal
found = [publish("a"), tier.probe()]
mount("-o", "remount,ro", root)
found += [FolderTier(Path(root), is_writable=True, limit=1).probe(), publish("b"), publish("c")]
pieces = []
tier.read(tier.manifest("a" * 64), pieces.append)
print(json.dumps([*found, tier.is_writable, tier.probe(), b"".join(pieces).decode()]))
""",
            *(tmp_path / "far", near.layout.root),
        )
        assert done.returncode == 0, done.stderr
        refusal = "it refuses to be written to: Read-only file system"
        assert json.loads(done.stdout) == [
            *(True, "", refusal, refusal, refusal),
            *(False, refusal, "content"),
        ]
        lines = [line for line in done.stderr.splitlines() if "is read-only from now on" in line]
        assert len(lines) == 2  # of two objects


@pytest.mark.slow
def test_a_blob_is_uploaded_over_a_slow_link(
    s3: dict[str, str], near: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its parts takes longer than a server may take to answer a read."""
    content = np.random.default_rng(0).bytes(12 * MB)
    manifest, blob = publish(near, "a", content)
    rate = len(content) / (2 * CONNECT_SECONDS)
    with slow_uplink(s3, rate) as environment:
        tier, begun = bucket(environment, monkeypatch), time.monotonic()
        assert tier.publish(manifest, blob)
        assert time.monotonic() - begun > 1.5 * CONNECT_SECONDS
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    assert read(ObjectTier(tier.address, is_writable=False), manifest) == content


class TestABucketThatMayNotBeListed:
    """S3 answers 403 for a missing object, as it does for wrong credentials."""

    @staticmethod
    def hide(request: Proxied) -> None:
        """Turn 404 into 403, as S3 does without the right to list."""
        request.hides_missing = True

    def test_does_not_have_a_key_that_it_refuses(
        self, s3: dict[str, str], near: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry = publish(near, "a", b"content")
        with s3_gateway(s3, self.hide) as environment:
            tier = bucket(environment, monkeypatch)
            assert tier.publish(*entry)  # the first object of all
            assert tier.publish(*publish(near, "b", b"more"))
            reader = ObjectTier(tier.address, is_writable=False)
            assert reader.manifest(key("x")) is None  # the probe shows that it can be read
            assert reader.manifest(key("a")) == entry[0]
            assert reader.manifest(key("y")) is None

    def test_is_an_error_if_nothing_can_be_read(
        self, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with s3_gateway(s3, self.hide) as environment:
            empty = bucket(environment, monkeypatch)
            reader = ObjectTier(empty.address, is_writable=False)
            with pytest.raises(TierError, match=r"s3:ListBucket"):
                reader.manifest(key("x"))

    def test_is_an_error_once_the_credentials_expire(
        self, s3: dict[str, str], near: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry, is_expired, refused = publish(near, "a", b"content"), False, 0

        def refuse(request: Proxied) -> bool:
            nonlocal refused
            request.hides_missing = True
            if is_expired:
                refused += 1
                request.send_error(403)
            return is_expired

        with s3_gateway(s3, refuse) as environment:
            tier = bucket(environment, monkeypatch)
            assert tier.publish(*entry)
            assert tier.manifest(key("x")) is None
            is_expired = True
            # within a minute after a read, it may look like a miss
            assert tier.manifest(key("a")) is None
            assert refused == 1
            monkeypatch.setattr(tier, "_readable_until", float("-inf"))  # the minute is over
            with pytest.raises(TierError, match=r"403 Forbidden"):
                tier.manifest(key("a"))
            assert refused == 3  # the key, and the probe


class TestAWebFolder:
    @pytest.mark.parametrize("path", ["", "near/v1/"])
    def test_is_what_a_store_has_in_its_folder(self, near: Store, path: str) -> None:
        manifest, _ = publish(near, "a", b"content" * MB)
        root = near.layout.root.parent if path else near.layout.root / "v1"
        with web_folder(root) as address:
            tier = open_tier(address + path, is_writable=True, limit=10**9)
            assert not tier.is_writable
            assert tier.manifest(key("a")) == manifest
            assert tier.manifest(key("b")) is None
            assert read(tier, manifest) == b"content" * MB

    def test_with_an_invalid_manifest(self, near: Store) -> None:
        publish(near, "a", b"content")
        path = near.layout.manifest(key("a"))
        path.write_bytes(b"{}")
        with web_folder(near.layout.root / "v1") as address:
            tier = open_tier(address, is_writable=False, limit=10**9)
            with pytest.raises(ValueError, match="manifest"):
                tier.manifest(key("a"))

    def test_with_a_manifest_that_is_too_large(self, near: Store) -> None:
        publish(near, "a", b"content")
        near.layout.manifest(key("a")).write_bytes(b" " * (4 * 2**20 + 1))
        with web_folder(near.layout.root / "v1") as address:
            tier = open_tier(address, is_writable=False, limit=10**9)
            with pytest.raises(ValueError, match="4,194,305 bytes is too large"):
                tier.manifest(key("a"))

    def test_with_a_manifest_without_an_end(self, near: Store) -> None:
        def endless(request: Files) -> bool:
            request.send_response(200)
            request.end_headers()
            while True:
                request.wfile.write(b" " * 2**20)

        with web_folder(near.layout.root, endless) as address:
            tier = open_tier(address, is_writable=False, limit=10**9)
            with pytest.raises((ValueError, TierError)):
                tier.manifest(key("a"))

    @pytest.mark.slow
    def test_that_hangs_after_half_a_blob(self, near: Store) -> None:
        manifest, blob = publish(near, "a", b"content" * MB)

        with web_folder(near.layout.root / "v1", half_of(blob)) as address:
            tier = open_tier(address, is_writable=False, limit=10**9)
            with pytest.raises(TierError):
                read(tier, manifest)

    def test_cannot_list_its_keys(self, near: Store) -> None:
        publish(near, "a", b"content")
        with web_folder(near.layout.root / "v1") as address:
            for each in (address, address.rstrip("/")):  # the second as an older service
                tier = open_tier(each, is_writable=False, limit=10**9)
                with pytest.raises(CannotList, match=r"cannot list its keys: name the keys"):
                    next(tier.keys())

    def test_that_is_not_there(self) -> None:
        tier = open_tier("http://127.0.0.1:9/", is_writable=False, limit=10**9)
        with pytest.raises(
            TierError, match=r"^http://127.0.0.1:9/: 127.0.0.1:9 cannot be reached: "
        ):
            tier.manifest(key("a"))

    @pytest.mark.parametrize("status", [403, 500, 302])
    def test_that_refuses(self, tmp_path: Path, status: int) -> None:
        def refuse(request: Files) -> bool:
            request.send_response(status)
            request.end_headers()
            return True

        with web_folder(tmp_path, refuse) as address, pytest.raises((TierError, ValueError)):
            open_tier(address, is_writable=False, limit=10**9).manifest(key("a"))

    @pytest.mark.slow
    def test_that_says_nothing(self) -> None:
        with silent_server() as address, pytest.raises(TierError):
            open_tier(address, is_writable=False, limit=10**9).manifest(key("a"))


class TestAService:
    """A service of the same paths; one of ours is in tests/api/server/routes/test_store.py."""

    @pytest.fixture(autouse=True)
    def with_a_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INTERTWINE_KEY", "itw_secret")

    @pytest.fixture
    def entry(self, near: Store) -> tuple[Manifest, Path]:
        return publish(near, "a", b"content" * MB, request={"rep": "V"})

    def test_gets_the_blob_and_then_its_manifest(self, entry: tuple[Manifest, Path]) -> None:
        manifest, blob = entry
        with scripted_service(puts(Reply(201))) as service:
            tier = open_tier(service.url, is_writable=True, limit=10**9)
            assert tier.is_writable
            assert tier.publish(manifest, blob)
        sent = [asked for asked in service.asked if asked.method == "PUT"]
        assert [asked.path for asked in sent] == [
            f"/v1/store/{blob_path(manifest.digest)}",
            f"/v1/store/{manifest_path(manifest.key)}",
        ]
        assert [asked.body for asked in sent] == [blob.read_bytes(), manifest.to_bytes()]
        kinds = [asked.headers["content-type"] for asked in sent]
        assert kinds == ["application/octet-stream", "application/json"]
        assert {asked.headers["authorization"] for asked in sent} == {"Bearer itw_secret"}

    def test_lists_its_keys_in_pages(self) -> None:
        keys = sorted(map(key, "abcdef"))

        def answer(asked: Request) -> Reply:
            after = asked.path.partition("after=")[2]
            page = [each for each in keys if each > after][:4]
            has_more = page[-1] != keys[-1]
            return json_reply({"data": page, "has_more": has_more, "next": page[-1]})

        with scripted_service(answer) as service:
            assert list(open_tier(service.url, is_writable=True, limit=1).keys()) == keys
        first, second = service.asked
        assert (first.path, first.headers["authorization"]) == (
            "/v1/store/manifests",
            "Bearer itw_secret",
        )
        assert second.path == f"/v1/store/manifests?after={keys[3]}"

    @pytest.mark.parametrize(
        ("reply", "error", "reason"),
        [
            (Reply(404), CannotList, "cannot list its keys: name the keys"),
            (problem_reply(403, "forbidden", "no scope"), TierError, "no scope"),
            (Reply(200, b"<html>"), TierError, "list of keys is invalid"),
            (json_reply([]), TierError, "list of keys is invalid"),
            (
                json_reply({"data": ["../x"], "has_more": False, "next": None}),
                TierError,
                "not in ascending order",
            ),
            (
                json_reply({"data": [key("a")], "has_more": True, "next": key("a")}),
                TierError,
                "not in ascending order",  # it would never end
            ),
            (HANG_UP, TierError, "http://"),
        ],
    )
    def test_that_does_not_list_its_keys(
        self, reply: Reply, error: type[TierError], reason: str
    ) -> None:
        with scripted_service(lambda _: reply) as service:
            tier = open_tier(service.url, is_writable=True, limit=1)
            with pytest.raises(error, match=reason):
                list(tier.keys())

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            (json_reply({"layout": 1}), ""),
            (Reply(404), ""),  # older, or without the scope: its files say more
            (json_reply({"layout": 2}), "its store has the layout 2, and this version"),
            (Reply(200, b"<html>"), "its store has the layout None, and this version"),
        ],
    )
    def test_of_another_layout_is_read_only(self, reply: Reply, expected: str) -> None:
        with scripted_service(lambda _: reply) as service:
            tier = open_tier(service.url, is_writable=True, limit=1)
            found = tier.probe()
        assert found.startswith(expected)
        assert (found == "", tier.is_writable) == (expected == "", expected == "")
        assert [asked.path for asked in service.asked] == ["/v1/store"]

    def test_is_not_sent_what_it_has(self, entry: tuple[Manifest, Path]) -> None:
        manifest, blob = entry
        with scripted_service([Reply(200, manifest.to_bytes())]) as service:
            assert not open_tier(service.url, is_writable=True, limit=10**9).publish(manifest, blob)
        assert [asked.method for asked in service.asked] == ["GET"]

    def test_is_not_sent_what_it_could_not_check(self, near: Store) -> None:
        manifest, blob = publish(near, "b", b"content")
        with scripted_service([Reply(404)]) as service:
            assert not open_tier(service.url, is_writable=True, limit=10**9).publish(manifest, blob)
        assert not service.asked

    def test_is_read_only_without_a_key(
        self, entry: tuple[Manifest, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("INTERTWINE_KEY", "")
        with scripted_service([Reply(404)]) as service:
            tier = open_tier(service.url, is_writable=True, limit=10**9)
            assert not tier.is_writable
            assert not tier.publish(*entry)
        monkeypatch.setenv("INTERTWINE_KEY", "itw_secret")
        assert not open_tier(service.url, is_writable=False, limit=10**9).is_writable

    @pytest.mark.parametrize("status", [401, 403])
    def test_is_only_read_from_once_it_has_refused_the_key(
        self, entry: tuple[Manifest, Path], status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        with scripted_service(puts(problem_reply(status, "forbidden"))) as service:
            tier = open_tier(service.url, is_writable=True, limit=10**9)
            refusals = {tier.publish(*entry).refusal for _ in range(3)}
            assert refusals == {"it refuses to be written to: your key lacks the scope bases:write"}
            assert not tier.is_writable
            assert tier.manifest(key("a")) is None
        assert [asked.method for asked in service.asked] == ["GET", "PUT", "GET"]
        assert caplog.text.count("lacks the scope bases:write") == 1
        assert "itw_secret" not in caplog.text

    @pytest.mark.parametrize("status", [409, 413, 422, 507])
    def test_may_refuse_one_basis(
        self, entry: tuple[Manifest, Path], status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        with scripted_service(puts(problem_reply(status, "not-sound", "a column"))) as service:
            tier = open_tier(service.url, is_writable=True, limit=10**9)
            assert tier.publish(*entry) == Outcome(False, "a column")
            assert tier.is_writable
        assert "does not take" in caplog.text
        assert "a column" in caplog.text

    def test_is_asked_again_if_it_has_too_many_requests(self, entry: tuple[Manifest, Path]) -> None:
        replies = [Reply(404), problem_reply(429, "rate-limited"), Reply(201)]
        with scripted_service(replies) as service:
            assert open_tier(service.url, is_writable=True, limit=10**9).publish(*entry)
        sizes = [len(asked.body) for asked in service.asked if asked.method == "PUT"]
        assert sizes == [entry[0].size, entry[0].size, len(entry[0].to_bytes())]

    @pytest.mark.parametrize("reply", [HANG_UP, Reply(500), Reply(302)], ids=["gone", "500", "302"])
    def test_that_fails(self, entry: tuple[Manifest, Path], reply: Reply) -> None:
        with scripted_service(puts(reply)) as service:
            tier = open_tier(service.url, is_writable=True, limit=10**9)
            if reply.status == 302:
                assert not tier.publish(*entry)  # the key is sent nowhere else
            else:
                with pytest.raises(TierError):
                    tier.publish(*entry)


def puts(reply: Reply) -> Callable[[Request], Reply]:
    """Answers of a service that has nothing, and this reply to what is sent."""
    return lambda asked: reply if asked.method == "PUT" else Reply(404)


class TestAFolder:
    def test_with_other_files_lists_its_keys_only(self, tmp_path: Path, near: Store) -> None:
        publish(near, "a", b"content")
        root = near.layout.manifests
        (root / "ab").mkdir(exist_ok=True)
        for name in ("README", "ab/README", "ab/x.json", f"ab/{'0' * 64}.json"):
            (root / name).touch()
        assert list(FolderTier(tmp_path / "near", is_writable=False, limit=1).keys()) == [key("a")]

    def test_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "v1").write_text("a file where a folder should be")
        tier = FolderTier(tmp_path, is_writable=True, limit=10**9)
        with pytest.raises(TierError, match="Not a directory"):
            tier.manifest(key("a"))
        with pytest.raises(TierError, match="Not a directory"):
            list(tier.keys())


class TestAddresses:
    @pytest.mark.parametrize("address", ["ftp://host/x", "file:///tmp/x", "memory://"])
    def test_of_other_kinds_are_refused_with_those_that_there_are(self, address: str) -> None:
        with pytest.raises(ValueError, match="give a folder, or one of s3://, gs://"):
            open_tier(address, is_writable=True, limit=10**9)

    @pytest.mark.parametrize("address", ["ftp://ann:secret@host/x", "s3://host/x?token=secret"])
    def test_are_refused_without_their_secrets(self, address: str) -> None:
        with pytest.raises(ValueError, match=r"at '[a-z0-9]+://host/x'") as caught:
            open_tier(address, is_writable=True, limit=10**9)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("password", ["secret", "secret@secret", "secret/secret"])
    def test_are_shown_without_secrets(self, password: str) -> None:
        shown = without_secrets(f"https://ann:{password}@host/path/?token=secret")
        assert shown == "https://host/path/"
        assert ObjectTier("http://ann:secret@127.0.0.1:9/", is_writable=False).address == (
            "http://127.0.0.1:9/"
        )

    @pytest.mark.parametrize("place", ["host/@x/", "host:80/@x/", "[::1]:80/@x/"])
    def test_are_shown_with_their_path(self, place: str) -> None:
        assert without_secrets(f"https://{place}") == f"https://{place}"

    def test_are_without_secrets_in_errors_too(self) -> None:
        tier = ObjectTier("http://ann:secret@127.0.0.1:9/", is_writable=False)
        with pytest.raises(TierError, match=r"127\.0\.0\.1:9 cannot be reached") as caught:
            tier.manifest(key("a"))
        assert "secret" not in str(caught.value)

    def test_that_are_invalid(self) -> None:
        with pytest.raises(ValueError, match="a cache cannot be at"):
            open_tier("s3://", is_writable=True, limit=10**9)

    def test_of_the_files_are_those_of_a_store(self, near: Store) -> None:
        manifest, blob = publish(near, "a", b"content")
        root = near.layout.root / "v1"
        assert root / blob_path(manifest.digest) == blob
        assert root / manifest_path(key("a")) == near.layout.manifest(key("a"))


class TestTheReason:
    """What a tier says that cannot be reached: one line, without the details of obstore."""

    def test_of_a_port_without_a_server(self) -> None:
        (port,) = free_ports(1)
        tier = ObjectTier(f"http://127.0.0.1:{port}/x/", is_writable=False)
        host = f"127.0.0.1:{port}"
        with pytest.raises(TierError) as found:
            tier.manifest(key("a"))
        reason = f"{host} cannot be reached: Connection refused"
        assert str(found.value) == f"http://{host}/x/: {reason}"

    @pytest.mark.parametrize("is_writable", [True, False])
    def test_of_a_bucket_that_does_not_exist(
        self, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch, is_writable: bool
    ) -> None:
        for name, value in s3.items():
            monkeypatch.setenv(name, value)
        tier = ObjectTier("s3://missing/x", is_writable=is_writable)
        host = s3["AWS_ENDPOINT_URL"].removeprefix("http://")
        reason = f"{host} answers 404 Not Found: The specified bucket does not exist"
        with pytest.raises(TierError, match=f"^s3://missing/x: {reason}$"):
            tier.manifest(key("a"))
        if is_writable:
            with pytest.raises(TierError, match=f"^s3://missing/x: {reason}$"):
                tier.probe()

    def test_of_missing_credentials(self) -> None:
        error = OSError(
            "Error performing PUT http://169.254.169.254/latest/api/token in 1.1ms, after 1 "
            "retries, max_retries: 1, retry_timeout: 5s  - HTTP error: error sending request"
        )
        why = "there are no credentials: set the variables"
        with pytest.raises(TierError, match=why), as_tier_errors("s3://lab"):
            raise error
