"""Large things that must not be lost: the files of datasets, and the weights of models."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from intertwine_cache import Store

_PIECE = 2**20  # bytes

#: Hands the pieces of a blob to the function that it is given, the same ones each time.
Content = Callable[[Callable[[bytes | memoryview], Any]], None]


class Objects:
    """Blobs in a folder, each under the sha256 of its bytes; what is put is there until removed.

    Any thread and process of this host may use the same folder. A blob whose bytes have changed
    on the disk is put aside, and counts as missing.
    """

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder, is_cache=False)

    def put(self, file: Path) -> tuple[str, int]:
        """Keep a copy of a file: its digest and size. Raises `OSError` where the disk does."""

        def read(write: Callable[[bytes | memoryview], Any]) -> None:
            with file.open("rb") as source:
                while piece := source.read(_PIECE):
                    write(piece)

        return self.put_content(read)

    def put_bytes(self, content: bytes) -> tuple[str, int]:
        """Keep bytes: their digest and size. Raises `OSError` where the disk does."""
        return self.put_content(lambda write: write(content))

    def put_content(self, content: Content) -> tuple[str, int]:
        """Keep what a function writes: its digest and size. The function is called twice.

        Raises `OSError` where the disk does; ENOSPC means that there is no room.
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
                raise OSError(errno.EBUSY, "what is to be kept changed while it was read")
        return digest, size

    def path(self, digest: str) -> Path | None:
        """The file of a blob, checked against its digest; None where there is no such blob.

        Raises `ValueError` for what is no digest.
        """
        found = self._store.read(digest)
        return None if found is None else found[1]

    def unused(self, since: float) -> list[str]:
        """The digests of blobs that nobody has put or looked for since a time."""
        keys = (manifest.key for manifest in self._store.manifests())
        return [key for key in keys if self._is_unused(key, since)]

    def remove_unused(self, digest: str, since: float) -> bool:
        """Delete a blob unless somebody has put it or looked for it since; whether it has gone."""
        with self._store.claim(digest):
            return self._is_unused(digest, since) and self._store.remove(digest)

    def _is_unused(self, digest: str, since: float) -> bool:
        used = self._store.last_used(digest)
        return used is not None and used < since

    def remove(self, digest: str) -> bool:
        """Delete a blob; whether it was there. Whoever has it open keeps it until they close it."""
        with self._store.claim(digest):
            return self._store.remove(digest)
