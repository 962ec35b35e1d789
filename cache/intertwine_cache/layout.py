"""The folders of a store.

::

    <root>/CACHEDIR.TAG              backup programs leave the folder out, if it is a cache
    <root>/v1/manifests/ab/<key>.json
    <root>/v1/blobs/ab/<digest>
    <root>/v1/checked/<host>/<digest>  a blob that this host has hashed, and its state then
    <root>/v1/locks/<key>            held while one process solves for the key
    <root>/v1/temporary/             files being written
    <root>/v1/quarantine/            what was found to be wrong, with the reason
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from intertwine_cache.manifest import is_digest

_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of Intertwine; it may be deleted.\n"


class Layout:
    """The paths of a store below its root."""

    def __init__(self, root: Path, *, is_cache: bool = True) -> None:
        self.root, self._is_cache = root, is_cache
        self._base = root / "v1"
        self.temporaries = self._base / "temporary"
        self.quarantine = self._base / "quarantine"
        self.locks = self._base / "locks"
        self.manifests = self._base / "manifests"
        self.blobs = self._base / "blobs"

    def manifest(self, key: str) -> Path:
        """The manifest of a key. Raises `ValueError` for what is no key: it becomes a path."""
        return self.manifests / _checked(key)[:2] / f"{key}.json"

    def blob(self, digest: str) -> Path:
        """The blob of a digest. Raises `ValueError` for what is no digest."""
        return self.blobs / _checked(digest)[:2] / digest

    def lock(self, key: str) -> Path:
        """The lock of a key."""
        return self.locks / _checked(key)

    def checked(self, digest: str) -> Path:
        """This host's note that it has hashed the blob."""
        return self._base / "checked" / self._host / _checked(digest)

    @cached_property
    def _host(self) -> str:
        return hashlib.sha256(platform.node().encode()).hexdigest()[:16]

    def notes(self, digest: str) -> Iterator[Path]:
        """Every host's note that it has hashed the blob."""
        return files(self._base / "checked", f"*/{_checked(digest)}")

    def temporary(self) -> Path:
        """A new name for a file being written."""
        return self.temporaries / f"{os.getpid()}-{uuid.uuid4().hex}"

    def all_manifests(self) -> Iterator[Path]:
        """Every file that is named like a manifest."""
        return (path for path in files(self.manifests, "??/*.json") if is_digest(path.stem))

    def all_blobs(self) -> Iterator[Path]:
        """Every file that is named like a blob."""
        return (path for path in files(self.blobs, "??/*") if is_digest(path.name))

    def create(self) -> None:
        """Make the folders, and tag the root if it is a cache."""
        for folder in (self.temporaries, self.locks, self.manifests, self.blobs):
            folder.mkdir(parents=True, exist_ok=True)
        tag = self.root / "CACHEDIR.TAG"
        if self._is_cache and not tag.exists():
            tag.write_text(_TAG)


def files(folder: Path, pattern: str) -> Iterator[Path]:
    """What is there; a folder that vanishes meanwhile has no more (Python 3.13 says so itself)."""
    with contextlib.suppress(OSError):
        yield from folder.glob(pattern)


def _checked(name: str) -> str:
    if not is_digest(name):
        raise ValueError(f"{name!r} is no sha256 in hexadecimal")
    return name
