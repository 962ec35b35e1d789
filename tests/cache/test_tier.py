"""Far tiers: one layout, served by a folder, by an object store and by any web server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.example_stores import MB, key, publish
from helpers.example_tiers import KINDS, Files, far_tier, s3_server, silent_server, web_folder
from intertwine_cache import Manifest, Store
from intertwine_cache.tier import (
    FolderTier,
    ObjectTier,
    Tier,
    TierError,
    blob_path,
    manifest_path,
    open_tier,
    without_secrets,
)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture(params=KINDS)
def tier(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Tier:
    return far_tier(request.param, tmp_path, s3, monkeypatch)


@pytest.fixture
def near(tmp_path: Path) -> Store:
    return Store(tmp_path / "near")


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

    def test_does_not_have_what_is_not_there(self, tier: Tier, near: Store) -> None:
        manifest, blob = publish(near, "a", b"content")
        tier.publish(manifest, blob)
        assert tier.manifest(key("b")) is None
        with pytest.raises(ValueError, match=r"the blob of .* is missing"):
            read(tier, dataclasses.replace(manifest, digest=key("no blob")))

    def test_a_blob_of_another_size_is_invalid(self, tier: Tier, near: Store) -> None:
        manifest, blob = publish(near, "a", b"content")
        tier.publish(manifest, blob)
        for size in (6, 8):
            with pytest.raises(ValueError, match=f"does not have {size} bytes"):
                read(tier, dataclasses.replace(manifest, size=size))


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

        def half(request: Files) -> bool:
            if "/blobs/" not in request.path:
                return False
            request.send_response(200)
            request.send_header("Content-Length", str(manifest.size))
            request.end_headers()
            request.wfile.write(blob.read_bytes()[: manifest.size // 2])
            request.rfile.read(1)  # until the client has gone
            return True

        with web_folder(near.layout.root / "v1", half) as address:
            tier = open_tier(address, is_writable=False, limit=10**9)
            with pytest.raises(TierError):
                read(tier, manifest)

    def test_that_is_not_there(self) -> None:
        tier = open_tier("http://127.0.0.1:9/", is_writable=False, limit=10**9)
        with pytest.raises(TierError, match=r"^http://127.0.0.1:9/: .*error"):
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


class TestAFolder:
    def test_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "v1").write_text("a file where a folder should be")
        tier = FolderTier(tmp_path, is_writable=True, limit=10**9)
        with pytest.raises(TierError, match="Not a directory"):
            tier.manifest(key("a"))


class TestAddresses:
    @pytest.mark.parametrize("address", ["ftp://host/x", "file:///tmp/x", "memory://"])
    def test_of_other_kinds_are_refused_with_those_that_there_are(self, address: str) -> None:
        with pytest.raises(ValueError, match="give a folder, or one of s3://, gs://"):
            open_tier(address, is_writable=True, limit=10**9)

    def test_are_shown_without_secrets(self) -> None:
        shown = without_secrets("https://ann:secret@host/path/?token=secret")
        assert shown == "https://host/path/"
        assert ObjectTier("http://ann:secret@127.0.0.1:9/", is_writable=False).address == (
            "http://127.0.0.1:9/"
        )

    def test_that_are_invalid(self) -> None:
        with pytest.raises(ValueError, match="a cache cannot be at"):
            open_tier("s3://", is_writable=True, limit=10**9)

    def test_of_the_files_are_those_of_a_store(self, near: Store) -> None:
        manifest, blob = publish(near, "a", b"content")
        root = near.layout.root / "v1"
        assert root / blob_path(manifest.digest) == blob
        assert root / manifest_path(key("a")) == near.layout.manifest(key("a"))
