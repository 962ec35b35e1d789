"""Objects in a bucket of an object store, which several hosts share."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from intertwine_cache import Manifest, Store
from intertwine_cache.manifest import is_digest
from intertwine_cache.store import Write
from intertwine_cache.tiers.tier import copy_pieces

from intertwine_api.storage.bucket import Bucket, BucketError, BucketUnavailable, Entry
from intertwine_api.storage.folder_objects import Content, Fault, content_of, keep
from intertwine_api.storage.outages import retry

_LOG = logging.getLogger("intertwine.service")
_FOLDER, _USES = "objects", "used"
_ATTEMPTS = 3  # tries to upload a file, which may be evicted from the local cache meanwhile
_DOWNLOADS = 2  # with a wrong digest, before an object counts as damaged
_MARKED_EVERY = 3600.0  # seconds between two marks of one object's use by one process
_MOST_MARKED = 100_000  # objects whose marks are remembered
_OFFSET_SECONDS = 300.0  # for which a comparison of the clocks is used
_PRECISION = 2.0  # seconds: object stores round the times of objects


class BucketObjects:
    """Blobs in a bucket (see `Objects`), with copies of the recently used ones in a local cache.

    An existing object is uploaded again: that replaces a damaged one, and renews its time for the
    garbage collection, which uses only times of the bucket's clock. Each process marks a read
    object as used with an empty object, at most once an hour. A download is used only if it has its
    digest.
    """

    def __init__(self, bucket: Bucket, cache: Store, patience: float = 0.0) -> None:
        self.bucket: Bucket | None = bucket
        self.address = bucket.address
        self._bucket, self._cache, self._patience = bucket, cache, patience
        self._offset: tuple[float, float] | None = None  # the clock's, and until when it is used
        self._marked: dict[str, float] = {}
        self._mutex = threading.Lock()

    def put(self, file: Path) -> tuple[str, int]:
        """Keep a copy of a file. Return its digest and size. Raises `OSError`."""
        return self.put_content(content_of(file))

    def put_bytes(self, content: bytes) -> tuple[str, int]:
        """Keep bytes. Return their digest and size. Raises `OSError`."""
        return self.put_content(lambda write: write(content))

    def put_content(self, content: Content) -> tuple[str, int]:
        """Keep what a function writes: first in the local cache, and then in the bucket.

        Raises `OSError`, with ENOSPC if the disk is full.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            digest, local, size = keep(self._cache, content)
            try:
                file = local.open("rb")
            except FileNotFoundError:  # evicted meanwhile
                if attempt == _ATTEMPTS:
                    raise
                continue
            with file:
                retry(partial(self._bucket.put, _path(digest), file), self._patience)
            break
        return digest, size

    def path(self, digest: str) -> Path | None:
        """Return a file in the local cache, checked against its digest, or None.

        While the bucket is unavailable, a local copy is returned, if there is one.
        """
        return retry(lambda: self._local_file(digest), self._patience)

    def _local_file(self, digest: str) -> Path | None:
        path = _path(digest)
        try:
            entry = self._bucket.head(path)
        except BucketUnavailable as error:
            found = self._cache.read(digest)
            if found is None:
                raise
            _LOG.warning(
                "the bucket is unavailable, and the local copy of %s is used: %s", digest, error
            )
            return found[1]
        if entry is None:
            self._cache.remove(digest)
            return None
        self._mark_used(digest)
        found = self._cache.read(digest)
        if found is None:
            with self._cache.claim(digest):  # one download by all processes of this host
                found = self._cache.read(digest) or self._download(digest, entry)
        return None if found is None else found[1]

    def _download(self, digest: str, entry: Entry) -> tuple[Manifest, Path] | None:
        """Copy an object to the local cache. Return None if it is missing or damaged."""
        manifest = Manifest(digest, digest, entry.size, time.time(), {})

        def write_to(write: Write) -> None:
            pieces = self._bucket.read(entry.path)
            if pieces is None:
                raise FileNotFoundError(entry.path)
            copy_pieces(manifest, pieces, write)

        for _ in range(_DOWNLOADS):
            try:
                return self._cache.adopt(manifest, write_to)
            except FileNotFoundError:  # deleted meanwhile
                return None
            except ValueError as error:
                _LOG.error("%s/%s is damaged: %s", self.address, entry.path, error)
        return None

    def copy(self, digest: str, target: Path) -> bool:
        """Download an object to a file, without the local cache.

        Return whether its bytes have the digest. False also if there is no such object.
        """
        return retry(lambda: self._copy(digest, target), self._patience)

    def _copy(self, digest: str, target: Path) -> bool:
        pieces = self._bucket.read(_path(digest))
        if pieces is None:
            return False
        sha = hashlib.sha256()
        with target.open("wb") as file:
            for piece in pieces:
                sha.update(piece)
                file.write(piece)
        return sha.hexdigest() == digest

    def has(self, digest: str) -> bool:
        """Whether an object exists. Its bytes are not checked."""
        return is_digest(digest) and self._bucket.head(_path(digest)) is not None

    def size(self, digest: str) -> int:
        """Return the size of an object in bytes; zero if it does not exist."""
        found = self._bucket.head(_path(digest))
        return 0 if found is None else found.size

    def verify(self) -> Iterator[Fault]:
        """Download and hash every object. Yield the faults, and change nothing."""
        for digest, entry in self._listed():
            pieces = self._bucket.read(entry.path)
            if pieces is None:  # deleted meanwhile
                continue
            sha = hashlib.sha256()
            for piece in pieces:
                sha.update(piece)
            if sha.hexdigest() != digest:
                place = f"{self.address}/{entry.path}"
                yield Fault(digest, place, "its bytes do not have its digest")

    def is_empty(self) -> bool:
        """Whether the bucket has no objects."""
        return next(self._bucket.list(_FOLDER), None) is None

    def unused(self, since: float) -> list[str]:
        """Return the digests of objects that no host has put or read since a time."""
        since = self._by_its_clock(since)
        used = {digest: entry.modified for digest, entry in self._listed(_USES)}
        return [
            digest
            for digest, entry in self._listed()
            if max(entry.modified, used.get(digest, 0.0)) < since
        ]

    def _listed(self, folder: str = _FOLDER) -> Iterator[tuple[str, Entry]]:
        """Yield the digests of the objects in a folder. Objects with other names are skipped."""
        for entry in self._bucket.list(folder):
            digest = entry.path.rpartition("/")[2]
            if is_digest(digest) and entry.path == _path(digest, folder):
                yield digest, entry

    def remove_unused(self, digest: str, since: float) -> bool:
        """Delete an object unless a host has put or read it since a time.

        Return whether it was deleted. A put between the check and the deletion would be lost: the
        caller prevents that with a lock of the database.
        """
        since = self._by_its_clock(since)
        found = [self._bucket.head(path) for path in (_path(digest), _path(digest, _USES))]
        if found[0] is None or any(each is not None and each.modified >= since for each in found):
            return False
        return self.remove(digest)

    def _by_its_clock(self, since: float) -> float:
        now = time.monotonic()
        if self._offset is None or self._offset[1] < now:
            self._offset = self._bucket.clock_offset(), now + _OFFSET_SECONDS
        return since + self._offset[0] - _PRECISION

    def remove(self, digest: str) -> bool:
        """Delete an object, and its copy on this host. Return whether it was there."""
        existed = self._bucket.head(_path(digest)) is not None
        for folder in (_FOLDER, _USES):
            self._bucket.delete(_path(digest, folder))
        with self._mutex:
            self._marked.pop(digest, None)
        with self._cache.claim(digest):
            self._cache.remove(digest)
        return existed

    def check(self) -> None:
        """Raise `BucketError` if the bucket cannot be reached."""
        self._bucket.head("identity.json")

    def _mark_used(self, digest: str) -> None:
        """Tell the garbage collection of all hosts that an object is used."""
        now = time.monotonic()
        with self._mutex:
            if now - self._marked.get(digest, float("-inf")) < _MARKED_EVERY:
                return
            if len(self._marked) >= _MOST_MARKED:
                self._marked.clear()  # some are then marked again, which is harmless
            self._marked[digest] = now
        try:
            self._bucket.put(_path(digest, _USES), b"")
        except BucketError as error:  # the object itself can be used
            _LOG.warning("cannot record in the bucket that %s is used: %s", digest, error)


def _path(digest: str, folder: str = _FOLDER) -> str:
    if not is_digest(digest):
        raise ValueError(f"{digest!r} is no sha256 in hexadecimal")
    return f"{folder}/{digest[:2]}/{digest}"
