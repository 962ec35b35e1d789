"""Bases that callers have sent: their bytes, until their manifests have arrived."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

SECONDS = 3600.0
"""How long bytes wait for their manifest."""


class Arrivals:
    """Files of each owner, by the sha256 of their bytes, which nobody else can refer to.

    They are deleted after an hour, when the next file arrives. Of the files of one owner, at most
    `most` bytes are kept: the oldest are deleted first.
    """

    def __init__(self, folder: Path, most: int, seconds: float = SECONDS) -> None:
        self._folder, self._most, self._seconds = folder, most, seconds

    def add(self, owner: str, file: Path, digest: str) -> None:
        """Move a file here, whose bytes have this digest."""
        self.remove_old()
        target = self._path(owner, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.utime(file)
        file.replace(target)
        kept = 0
        for path, stat in sorted(_files(target.parent), key=lambda found: -found[1].st_mtime_ns):
            kept += stat.st_size
            if kept > self._most and path != target:
                path.unlink(missing_ok=True)

    def find(self, owner: str, digest: str) -> Path | None:
        """Return the file of an owner with a digest, or None."""
        path = self._path(owner, digest)
        return path if path.is_file() else None

    def remove(self, owner: str, digest: str) -> None:
        """Delete a file of an owner, if it is there."""
        self._path(owner, digest).unlink(missing_ok=True)

    def remove_old(self) -> None:
        """Delete the files of all owners that have waited too long."""
        since = time.time() - self._seconds
        for folder in self._folder.glob("*"):
            for path, stat in _files(folder):
                if stat.st_mtime < since:
                    path.unlink(missing_ok=True)

    def _path(self, owner: str, digest: str) -> Path:
        return self._folder / hashlib.sha256(owner.encode()).hexdigest() / digest


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # it was deleted meanwhile
            yield path, path.stat()
