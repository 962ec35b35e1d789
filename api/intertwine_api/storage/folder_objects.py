"""Objects in a folder."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine_cache import Store, verify
from intertwine_cache.manifest import is_digest
from intertwine_cache.store import digest_of

if TYPE_CHECKING:
    from intertwine_api.storage.bucket import Bucket

_PIECE = 2**20  # bytes

#: Passes the pieces of a blob to a function, the same pieces in each call.
Content = Callable[[Callable[[bytes | memoryview], Any]], None]


@dataclass(frozen=True)
class Fault:
    """A damaged blob: its digest, its file or URL, and what is wrong."""

    digest: str
    place: str
    reason: str


def keep(store: Store, content: Content) -> tuple[str, Path, int]:
    """Keep content in a store under its digest. Return the digest, the file and the size.

    Raises `OSError`.
    """
    sha, size = hashlib.sha256(), 0

    def count(piece: bytes | memoryview) -> None:
        nonlocal size
        sha.update(piece)
        size += len(piece)

    content(count)
    digest = sha.hexdigest()
    with store.claim(digest):
        kept = store.read(digest) or store.keep(digest, content, {})
        if kept[0].digest != digest:
            store.remove(digest)
            raise OSError(errno.EBUSY, "the content changed while it was read")
    return digest, kept[1], size


def content_of(file: Path) -> Content:
    """Return the content of a file."""

    def read(write: Callable[[bytes | memoryview], Any]) -> None:
        with file.open("rb") as source:
            while piece := source.read(_PIECE):
                write(piece)

    return read


class FolderObjects:
    """Blobs in a folder (see `Objects`).

    A blob whose bytes have changed on the disk is quarantined, and counts as missing.
    """

    bucket: Bucket | None = None

    def __init__(self, folder: Path) -> None:
        self._store, self.address = Store(folder, is_cache=False), str(folder)

    def put(self, file: Path) -> tuple[str, int]:
        """Keep a copy of a file. Return its digest and size. Raises `OSError`."""
        return self.put_content(content_of(file))

    def put_bytes(self, content: bytes) -> tuple[str, int]:
        """Keep bytes. Return their digest and size. Raises `OSError`."""
        return self.put_content(lambda write: write(content))

    def put_content(self, content: Content) -> tuple[str, int]:
        """Keep what a function writes, which is called twice. Return digest and size.

        Raises `OSError`, with ENOSPC if the disk is full.
        """
        digest, _, size = keep(self._store, content)
        return digest, size

    def path(self, digest: str) -> Path | None:
        """Return the file of a blob, checked against its digest; None if there is no such blob.

        Raises `ValueError` for a text that is not a digest.
        """
        found = self._store.read(digest)
        return None if found is None else found[1]

    def copy(self, digest: str, target: Path) -> bool:
        """Write the bytes of a blob to a file. Return whether they have the digest."""
        found = self.path(digest)
        if found is None:
            return False
        try:
            shutil.copyfile(found, target)
        except FileNotFoundError:  # deleted meanwhile
            return False
        return digest_of(target) == digest

    def has(self, digest: str) -> bool:
        """Whether the files of a blob exist. Their bytes are not checked."""
        layout = self._store.layout
        known = is_digest(digest) and layout.manifest(digest).is_file()
        return known and layout.blob(digest).is_file()

    def size(self, digest: str) -> int:
        """Return the size of a blob in bytes; zero if it does not exist."""
        try:
            return self._store.layout.blob(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def verify(self) -> Iterator[Fault]:
        """Hash every blob and read every manifest. Yield the faults, and change nothing."""
        for finding in verify(self._store):
            yield Fault(finding.path.stem, str(finding.path), finding.reason)

    def is_empty(self) -> bool:
        """Whether the store has no blobs."""
        return next(self._store.manifests(), None) is None

    def unused(self, since: float) -> list[str]:
        """Return the digests of blobs that have not been put or read since a time."""
        keys = (manifest.key for manifest in self._store.manifests())
        return [key for key in keys if self._is_unused(key, since)]

    def remove_unused(self, digest: str, since: float) -> bool:
        """Delete a blob unless it was put or read since a time. Return whether it was deleted."""
        with self._store.claim(digest):
            return self._is_unused(digest, since) and self._store.remove(digest)

    def _is_unused(self, digest: str, since: float) -> bool:
        used = self._store.last_used(digest)
        return used is not None and used < since

    def remove(self, digest: str) -> bool:
        """Delete a blob. Return whether it was there. Open files stay readable."""
        with self._store.claim(digest):
            return self._store.remove(digest)

    def check(self) -> None:
        """Do nothing: the disk is checked with that of the data folder."""
