"""A far tier that is a folder."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from intertwine_cache.layout import digest_in, key_of
from intertwine_cache.manifest import LaterVersion, Manifest
from intertwine_cache.store import Store, Write
from intertwine_cache.tiers.tier import (
    PIECE,
    PRESENT,
    STORED,
    Outcome,
    StoredFile,
    as_tier_errors,
    copy_pieces,
    is_outdated,
    require_blob,
)

_LOG = logging.getLogger("intertwine.cache")

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class FolderTier:
    """Another folder with a store, for example one that a lab shares."""

    def __init__(self, folder: Path, *, is_writable: bool, limit: int) -> None:
        self.address, self.is_writable = str(folder), is_writable
        self._store = Store(folder, limit)
        self._mutex, self._refusal = threading.Lock(), ""

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, or None."""
        path = self._store.layout.manifest(key)
        with as_tier_errors(self.address):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                return None
        return Manifest.from_bytes(key, content)

    def keys(self) -> Iterator[str]:
        """Yield the keys of all manifests in ascending order."""
        root = self._store.layout.manifests
        for name in (each for each in _names(root, self.address) if len(each) == 2):
            yield from (
                key
                for file in _names(root / name, self.address)
                if (key := key_of(f"manifests/{name}/{file}")) is not None
            )

    def files(self, folder: str) -> Iterator[list[StoredFile]]:
        """Yield the files below ``manifests`` or ``blobs``, in pages."""
        root = self._base / folder
        name_of = key_of if folder == "manifests" else digest_in
        for name in (each for each in _names(root, self.address) if len(each) == 2):
            page = []
            for file in _names(root / name, self.address):
                path = f"{folder}/{name}/{file}"
                if name_of(path) is None:
                    continue
                with as_tier_errors(self.address), suppress(FileNotFoundError):
                    stat = (self._base / path).stat()
                    page.append(StoredFile(path, stat.st_size, stat.st_mtime))
            yield page

    def delete(self, files: Sequence[StoredFile]) -> None:
        """Delete files that have not changed, and the records of the verification of blobs."""
        with as_tier_errors(self.address):
            for file in files:
                path, digest = self._base / file.path, digest_in(file.path)
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime != file.modified:
                        continue
                    path.unlink()
                for note in self._store.layout.notes(digest) if digest is not None else ():
                    note.unlink(missing_ok=True)

    def now(self) -> float:
        """Return the time of the clock of the folder's disk, which may be that of a file server."""
        with as_tier_errors(self.address):
            self._store.layout.create()
            with tempfile.TemporaryFile(dir=self._store.layout.temporaries) as file:
                file.write(b"now")
                file.flush()
                return os.fstat(file.fileno()).st_mtime

    def read(self, manifest: Manifest, write: Write) -> None:
        """Pass the bytes of a blob to `write`."""
        with as_tier_errors(self.address), require_blob(manifest):
            file = self._store.layout.blob(manifest.digest).open("rb")
        with file:
            copy_pieces(manifest, iter(lambda: file.read(PIECE), b""), write)

    def publish(self, manifest: Manifest, blob: Path) -> Outcome:
        """Store a blob and its manifest, unless the key has one that can be used."""
        with as_tier_errors(self.address), blob.open("rb") as file:
            pieces = iter(lambda: file.read(PIECE), b"")
            return self.adopt(manifest, lambda write: copy_pieces(manifest, pieces, write))

    def adopt(self, manifest: Manifest, write_to: Callable[[Write], None]) -> Outcome:
        """Store the bytes from `write_to` and a manifest, as `publish` does.

        Raises `ValueError` if the bytes do not have the digest.
        """
        with as_tier_errors(self.address):
            if not self.is_writable:
                return Outcome(False, self._refusal or "it is read-only")
            try:
                if self._has(manifest):
                    return PRESENT
                found, _ = self._store.adopt(manifest, write_to)
            except OSError as error:
                if error.errno not in _READ_ONLY:
                    raise
                self._become_read_only(error)
                return Outcome(False, self._refusal)
        return STORED if found.digest == manifest.digest else PRESENT

    def _has(self, new: Manifest) -> bool:
        """Return whether the key of a new manifest has an entry that stays.

        An outdated one is deleted. The store replaces invalid ones by itself.
        """
        try:
            found = self.manifest(new.key)
        except LaterVersion:
            return True
        except ValueError:
            return False
        if found is None:
            return False
        if is_outdated(found, new):
            self._store.layout.manifest(new.key).unlink(missing_ok=True)
            return False
        try:
            return self.path(found).stat().st_size == found.size
        except FileNotFoundError:
            return False

    @property
    def _base(self) -> Path:
        return self._store.layout.manifests.parent

    def path(self, manifest: Manifest) -> Path:
        """Return the path of a manifest's blob, which may be missing or invalid."""
        return self._store.layout.blob(manifest.digest)

    def probe(self) -> str:
        """Write a temporary file. Return why that is refused, or ""."""
        with as_tier_errors(self.address):
            try:
                if self.is_writable:
                    self._store.layout.create()
                    with tempfile.TemporaryFile(dir=self._store.layout.temporaries):
                        pass
            except OSError as error:
                if error.errno not in _READ_ONLY:
                    raise
                self._become_read_only(error)
        return self._refusal

    def _become_read_only(self, error: OSError) -> None:
        with self._mutex:
            if self.is_writable:
                self._refusal = f"it refuses to be written to: {error.strerror}"
                self.is_writable = False
                _LOG.warning("%s is read-only from now on: %s", self.address, self._refusal)


def _names(folder: Path, address: str) -> list[str]:
    """Return the sorted names in a folder; none if there is no such folder."""
    with as_tier_errors(address):
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []
