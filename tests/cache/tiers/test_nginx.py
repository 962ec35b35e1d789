"""A folder of files behind nginx, as many web servers are set up. Others are in test_tier.py."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers.example_stores import MB, flip, key, publish, truncate
from helpers.example_tiers import chain, environment_of, nginx_folder
from intertwine_cache import Chain, Manifest, Store
from intertwine_cache.layout import blob_path, manifest_path
from intertwine_cache.tiers.opening import open_tier
from intertwine_cache.tiers.tier import Tier, TierError

pytestmark = pytest.mark.slow

#: Every response is compressed while it is sent, whatever its type and size.
COMPRESSED = "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;"


def web_tier(address: str) -> Tier:
    return open_tier(address, is_writable=True, limit=10**9)


def read(tier: Tier, manifest: Manifest) -> bytes:
    """The bytes that a tier has for a manifest."""
    pieces: list[bytes] = []
    tier.read(manifest, lambda piece: pieces.append(bytes(piece)))
    return b"".join(pieces)


def fetched(chain: Chain, name: str) -> bytes | None:
    """The content that a chain fetches under the key of a name."""
    found = chain.fetch(key(name), lambda path, is_trusted: None, 10**9)
    return None if found is None else found[1].read_bytes()


@pytest.mark.parametrize("also", ["", COMPRESSED, "gzip_static on;"], ids=["", "gzip", "files"])
def test_has_what_the_folder_has(tmp_path: Path, near: Store, also: str) -> None:
    content = np.random.default_rng(0).bytes(2 * MB) + bytes(6 * MB)  # a part is compressible
    manifest, blob = publish(near, "a", content)
    if "static" in also:
        for path in (blob, near.layout.manifest(key("a"))):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    with nginx_folder(tmp_path / "nginx", near.layout.root / "v1", also=also) as address:
        paths = [manifest_path(key("a")), blob_path(manifest.digest)]
        kinds = [
            httpx.head(address + path, headers={"accept-encoding": "gzip"}, timeout=60).headers.get(
                "content-encoding"
            )
            for path in paths
        ]
        assert kinds == ["gzip" if also else None] * 2
        tier = web_tier(address)
        assert not tier.is_writable
        assert tier.manifest(key("a")) == manifest
        assert tier.manifest(key("b")) is None
        assert read(tier, manifest) == content
        assert fetched(chain(tmp_path / "reader", tier), "a") == content
        blob.unlink()
        blob.with_name(f"{blob.name}.gz").unlink(missing_ok=True)
        with pytest.raises(ValueError, match=r"the blob of .* is missing"):
            read(tier, manifest)


@pytest.mark.parametrize("also", ["", COMPRESSED], ids=["", "gzip"])
@pytest.mark.parametrize("damage", [flip, truncate], ids=["flipped", "truncated"])
def test_a_damaged_blob_is_a_miss_and_said_once(
    tmp_path: Path,
    near: Store,
    also: str,
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, blob = publish(near, "a", b"content" * MB)
    damage(blob)
    with nginx_folder(tmp_path / "nginx", near.layout.root / "v1", also=also) as address:
        here = chain(tmp_path / "reader", web_tier(address))
        with caplog.at_level(logging.WARNING, "intertwine.cache"):
            assert [fetched(here, "a") for _ in range(3)] == [None] * 3
        (warned,) = caplog.messages
        assert warned.startswith(f"{key('a')} is not taken from {address}: ")
        assert list(here.near.layout.all_blobs()) == []


@pytest.mark.parametrize(
    ("also", "error"),
    [
        ("deny all;", "403 Forbidden"),
        ("return 500;", "500 Internal Server Error"),
        ("return 503;", "503 Service Unavailable"),
    ],
)
def test_a_refusal_is_an_error_and_the_tier_is_skipped(
    tmp_path: Path, near: Store, also: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    manifest, _ = publish(near, "a", b"content")
    with nginx_folder(tmp_path / "nginx", near.layout.root / "v1", also=also) as address:
        tier = web_tier(address)
        with pytest.raises(TierError, match=error):
            tier.manifest(key("a"))
        with pytest.raises(TierError, match=error):
            read(tier, manifest)
        with caplog.at_level(logging.WARNING, "intertwine.cache"):
            here = chain(tmp_path / "reader", tier)
            assert [fetched(here, name) for name in "abc"] == [None] * 3
        (warned,) = caplog.messages
        assert warned.startswith(f"{address} is skipped for 30 seconds: ")


def test_a_page_in_place_of_what_is_missing_is_not_taken(tmp_path: Path, near: Store) -> None:
    """Servers of single-page applications answer every unknown path like this."""
    root = near.layout.root / "v1"
    publish(near, "a", b"content")
    (root / "index.html").write_text("<!DOCTYPE html><title>A lab</title>")
    also = "error_page 404 =200 /bases/index.html;"
    with nginx_folder(tmp_path / "nginx", root, also=also) as address:
        assert httpx.get(address + manifest_path(key("b")), timeout=60).status_code == 200
        with pytest.raises(ValueError, match="Expecting value"):
            web_tier(address).manifest(key("b"))
        here = chain(tmp_path / "reader", web_tier(address))
        assert [fetched(here, name) for name in "bab"] == [None, b"content", None]


def test_a_process_reads_what_another_solved(tmp_path: Path) -> None:
    program = """
        from intertwine.groups import SO
        from intertwine.reps import V
        basis = (V**4)(SO(3)).equivariant_basis()
        print(basis.cached, *basis.shape)
    """

    def run(cache: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**environment_of(tmp_path), "INTERTWINE_CACHE": cache},
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    assert run(str(tmp_path / "one")) == ["81", "3"]
    with nginx_folder(tmp_path / "nginx", tmp_path / "one" / "v1") as address:
        assert run(f"{tmp_path / 'two'},{address}") == [address, "81", "3"]
    assert run(f"{tmp_path / 'two'},{address}") == [str(tmp_path / "two"), "81", "3"]
