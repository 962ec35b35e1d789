"""Large objects that must not be lost: the files of datasets, and the weights of models."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from intertwine_cache import Finding, Store, verify
from intertwine_cache.manifest import is_digest

_PIECE = 2**20  # bytes

#: Passes the pieces of a blob to a function, the same pieces in each call.
Content = Callable[[Callable[[bytes | memoryview], Any]], None]


class Objects:
    """Blobs in a folder, each under the sha256 of its bytes, kept until they are removed.

    All threads and processes of this host may use the same folder. A blob whose bytes have
    changed on the disk is quarantined, and counts as missing.
    """

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder, is_cache=False)

    def put(self, file: Path) -> tuple[str, int]:
        """Keep a copy of a file. Return its digest and size. Raises `OSError`."""

        def read(write: Callable[[bytes | memoryview], Any]) -> None:
            with file.open("rb") as source:
                while piece := source.read(_PIECE):
                    write(piece)

        return self.put_content(read)

    def put_bytes(self, content: bytes) -> tuple[str, int]:
        """Keep bytes. Return their digest and size. Raises `OSError`."""
        return self.put_content(lambda write: write(content))

    def put_content(self, content: Content) -> tuple[str, int]:
        """Keep what a function writes, which is called twice. Return digest and size.

        Raises `OSError`, with ENOSPC if the disk is full.
        """
        sha, size = hashlib.sha256(), 0

        def count(piece: bytes | memoryview) -> None:
            nonlocal size
            sha.update(piece)
            size += len(piece)

        content(count)
        digest = sha.hexdigest()
        with self._store.claim(digest):
            kept = self._store.read(digest) or self._store.keep(digest, content, {})
            if kept[0].digest != digest:
                self._store.remove(digest)
                raise OSError(errno.EBUSY, "the content changed while it was read")
        return digest, size

    def path(self, digest: str) -> Path | None:
        """Return the file of a blob, checked against its digest; None if there is no such blob.

        Raises `ValueError` for a text that is not a digest.
        """
        found = self._store.read(digest)
        return None if found is None else found[1]

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

    def verify(self) -> Iterator[Finding]:
        """Hash every blob and read every manifest. Yield the faults, and change nothing."""
        return verify(self._store)

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
