"""The folders of a store.

::

    <root>/CACHEDIR.TAG              tells backup programs to skip the folder, if it is a cache
    <root>/programs/                 compiled programs, which JAX keeps (`intertwine.nn`)
    <root>/v1/manifests/ab/<key>.json
    <root>/v1/blobs/ab/<digest>
    <root>/v1/checked/<host>/<digest>  the state of a blob when this host verified it
    <root>/v1/locks/<key>            held while one process solves for the key
    <root>/v1/tiers.json             what far tiers have cost and saved
    <root>/v1/temporary/             files being written
    <root>/v1/quarantine/            invalid files, with the reason
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
        self.tiers = self._base / "tiers.json"

    def manifest(self, key: str) -> Path:
        """Return the path of a key's manifest. Raises `ValueError` for an invalid key."""
        return self.manifests / _checked(key)[:2] / f"{key}.json"

    def blob(self, digest: str) -> Path:
        """Return the path of a blob. Raises `ValueError` for an invalid digest."""
        return self.blobs / _checked(digest)[:2] / digest

    def lock(self, key: str) -> Path:
        """Return the path of a key's lock."""
        return self.locks / _checked(key)

    def checked(self, digest: str) -> Path:
        """Return the path of this host's record that it verified the blob."""
        return self._base / "checked" / self._host / _checked(digest)

    @cached_property
    def _host(self) -> str:
        return hashlib.sha256(platform.node().encode()).hexdigest()[:16]

    def notes(self, digest: str) -> Iterator[Path]:
        """Return the paths of all hosts' records that they verified the blob."""
        return files(self._base / "checked", f"*/{_checked(digest)}")

    def temporary(self) -> Path:
        """Return a new path for a file being written."""
        return self.temporaries / f"{os.getpid()}-{uuid.uuid4().hex}"

    def all_manifests(self) -> Iterator[Path]:
        """Return every file with the name of a manifest."""
        return (path for path in files(self.manifests, "??/*.json") if is_digest(path.stem))

    def keys(self, after: str = "") -> Iterator[str]:
        """Yield the keys of all manifests in ascending order, after the key `after`.

        Folders are listed one at a time, and those before `after` are skipped.
        """
        for folder in sorted(files(self.manifests, "??")):
            if folder.name >= after[:2]:
                names = (path.stem for path in files(folder, f"{folder.name}*.json"))
                yield from sorted(name for name in names if is_digest(name) and name > after)

    def all_blobs(self) -> Iterator[Path]:
        """Return every file with the name of a blob."""
        return (path for path in files(self.blobs, "??/*") if is_digest(path.name))

    def create(self) -> None:
        """Create the folders, and tag the root if it is a cache."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self._base, self.temporaries, self.locks, self.manifests, self.blobs):
            self.make(folder)
        tag = self.root / "CACHEDIR.TAG"
        if self._is_cache and not tag.exists():
            tag.write_text(_TAG)
            self.share(tag)

    def make(self, folder: Path) -> None:
        """Create a folder, in a folder of the store."""
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            self.share(folder)

    def share(self, path: Path) -> None:
        """Give a new file or folder the permissions of the root, whatever the process's umask.

        Then a store that its owner opens to a group stays readable and writable for the group.
        """
        path.chmod(self.mode if path.is_dir() else self.mode & 0o666)

    @property
    def mode(self) -> int:
        """The permissions of the root, also those of its setgid bit."""
        return self.root.stat().st_mode & 0o2777


def files(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files that match; stop if the folder is deleted meanwhile, as Python 3.13 does."""
    with contextlib.suppress(OSError):
        yield from folder.glob(pattern)


def manifest_path(key: str) -> str:
    """Return the path of a key's manifest below the root of a tier."""
    return f"manifests/{key[:2]}/{key}.json"


def key_of(path: str) -> str | None:
    """Return the key whose manifest has a path below the root of a tier; None for other paths."""
    key = path.rpartition("/")[2].removesuffix(".json")
    return key if is_digest(key) and path == manifest_path(key) else None


def blob_path(digest: str) -> str:
    """Return the path of a blob below the root of a tier."""
    return f"blobs/{digest[:2]}/{digest}"


def digest_in(path: str) -> str | None:
    """Return the digest of the blob that has a path below the root of a tier; None for others."""
    digest = path.rpartition("/")[2]
    return digest if is_digest(digest) and path == blob_path(digest) else None


def _checked(name: str) -> str:
    if not is_digest(name):
        raise ValueError(f"{name!r} is no sha256 in hexadecimal")
    return name
