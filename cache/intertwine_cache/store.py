"""The store: manifests by request key, blobs by content, on a disk that may fail at any time."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import stat as modes
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from intertwine_cache import disk
from intertwine_cache.eviction import delete_blob, evict
from intertwine_cache.layout import Layout, files
from intertwine_cache.manifest import Manifest

_LOG = logging.getLogger("intertwine.cache")
_POLL = 0.02  # seconds between looks at a lock that another holds
_KEPT_FREE = 2**26  # bytes that a publish leaves free on the disk

#: Takes the pieces of a blob, one after the other.
Write = Callable[[bytes | memoryview], Any]


class Store:
    """Results on a local disk, shared by every thread and process that opens the same folder.

    Disk errors are logged and do not reach the caller: reads of a failing disk are misses, and
    writes are dropped. `limit` bounds the bytes of all blobs: above it, the least recently used
    entries are evicted in the background. Failed computations are never stored.

    With ``is_cache=False`` the store holds data that cannot be recomputed: it has no limit, evicts
    nothing, and has no tag that excludes it from backups. Write to it with `keep`, which raises
    disk errors.
    """

    def __init__(self, root: Path, limit: int = 10 * 10**9, *, is_cache: bool = True) -> None:
        self.layout = Layout(Path(root), is_cache=is_cache)
        self.limit = limit if is_cache else sys.maxsize
        self._eviction: threading.Thread | None = None
        self._mutex = threading.Lock()

    @property
    def name(self) -> str:
        """The folder, as text."""
        return str(self.layout.root)

    @property
    def folder(self) -> Path:
        """The store's folder. Its entries are in the folder ``v1`` in it."""
        return self.layout.root

    @property
    def near(self) -> Store:
        """The store on this machine: itself (see `Chain`)."""
        return self

    # -- reading

    def fetch(
        self,
        key: str,
        accept: Callable[[Path, bool], None],
        most_bytes: int,
        is_quick: Callable[[], bool] = lambda: False,
    ) -> tuple[Manifest, Path, str] | None:
        """Return None: a folder alone has no other tiers (see `Chain.fetch`)."""
        return None

    def read(self, key: str) -> tuple[Manifest, Path] | None:
        """Return the manifest of a key and the path of its verified blob, or None for a miss.

        Invalid files are quarantined and count as a miss.
        """
        manifest = self.manifest(key)
        if manifest is None:
            return None
        blob = self.layout.blob(manifest.digest)
        try:
            reason = self._fault(manifest.digest, blob, manifest.size)
        except FileNotFoundError:
            # evicted, or deleted by hand, since the manifest was read
            self._forget(self.layout.manifest(key))
            return None
        except OSError as error:
            _LOG.warning("cannot read %s: %s", blob, error)
            return None
        if reason:
            self.quarantine(blob, reason)
            self.quarantine(self.layout.manifest(key), f"its blob: {reason}")
            return None
        self._mark_used(self.layout.manifest(key))
        return manifest, blob

    def blob(self, digest: str) -> Path | None:
        """Return the path of a verified blob, or None if it is missing or invalid."""
        path = self.layout.blob(digest)
        try:
            reason = self._fault(digest, path)
        except OSError:
            return None
        if reason:
            self.quarantine(path, reason)
            return None
        return path

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, without verifying its blob; None for a miss."""
        path = self.layout.manifest(key)
        try:
            return Manifest.from_bytes(key, path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOG.warning("cannot read %s: %s", path, error)
        except ValueError as error:
            self.quarantine(path, str(error))
        return None

    def manifests(self, after: str = "") -> Iterator[Manifest]:
        """Yield the readable manifests in the order of their keys, after the key `after`."""
        for key in self.layout.keys(after):
            manifest = self.manifest(key)
            if manifest is not None:
                yield manifest

    def last_used(self, key: str) -> float | None:
        """Return when a key was last read or written, in Unix time; None if it is missing."""
        try:
            return self.layout.manifest(key).stat().st_mtime
        except OSError:
            return None

    def reject(self, key: str, reason: str) -> None:
        """Quarantine a key's manifest and blob, which its reader could not parse."""
        manifest = self.manifest(key)
        if manifest is not None:
            self.quarantine(self.layout.blob(manifest.digest), reason)
            self.quarantine(self.layout.manifest(key), reason)

    def _fault(self, digest: str, blob: Path, size: int | None = None) -> str:
        """Return what is wrong with a blob, or "". A host hashes it once for each file state."""
        stat = blob.stat()
        if not modes.S_ISREG(stat.st_mode):
            return "it is no file"
        if size is not None and stat.st_size != size:
            return f"{stat.st_size} bytes instead of {size}"
        state = _state(stat)
        try:
            if self.layout.checked(digest).read_bytes() == state.encode():
                return ""
        except OSError:
            pass  # not checked yet; or the note cannot be read, and the blob is checked again
        if digest_of(blob) != digest:
            return "its bytes do not have its digest"
        self._note_checked(digest, state)
        return ""

    def _note_checked(self, digest: str, state: str) -> None:
        note, temporary = self.layout.checked(digest), self.layout.temporary()
        try:
            disk.make_folder(note.parent, self.layout.share)
            temporary.write_text(state)
            self.layout.share(temporary)
            temporary.replace(note)
        except OSError as error:
            _LOG.debug("cannot note that %s was checked: %s", digest, error)
            self._forget(temporary)

    # -- writing

    @contextmanager
    def claim(self, key: str) -> Iterator[None]:
        """Lock a key among the threads and processes of this host.

        The kernel releases the lock when its holder dies. The lock only saves work: where locks
        are unavailable, all callers solve, and the first publish wins.
        """
        from filelock import FileLock  # with asyncio, which a read need not wait for

        path = self.layout.lock(key)
        lock = None
        try:
            self.layout.create()
            mode = self.layout.mode & 0o666
            lock = FileLock(path, poll_interval=_POLL, thread_local=False, mode=mode)
            lock.acquire()
            self._mark_used(path)  # so that it does not count as abandoned
        except (OSError, NotImplementedError) as error:
            _LOG.warning("cannot lock in %s: %s", self.layout.root, error)
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def publish(
        self, key: str, write_to: Callable[[Write], None], details: Mapping[str, Any]
    ) -> tuple[Manifest, Path] | None:
        """Store a blob, and a manifest that names it, in the order that `disk` describes.

        The first publish of a key wins. Return the entry that the store then has under the key, or
        None if it could not be stored.
        """
        try:
            return self.keep(key, write_to, details)
        except _DoesNotFit as error:
            _LOG.warning("not kept in %s: %s", self.layout.root, error.strerror)
        except OSError as error:
            _LOG.warning("cannot write to %s: %s", self.layout.root, error)
        return None

    def keep(
        self, key: str, write_to: Callable[[Write], None], details: Mapping[str, Any]
    ) -> tuple[Manifest, Path]:
        """Store a blob as `publish` does, and raise errors instead of logging them.

        Raises `OSError` for disk errors; ENOSPC means that there is no room.
        """
        self.layout.manifest(key)  # raises for an invalid key, before anything is written
        self.layout.create()
        digest, size = self._publish_blob(write_to)
        return self._publish_manifest(Manifest(key, digest, size, time.time(), details))

    def adopt(
        self,
        manifest: Manifest,
        write_to: Callable[[Write], None],
        accept: Callable[[Path], None] = lambda _: None,
    ) -> tuple[Manifest, Path]:
        """Store an entry of another store as it is, as `keep` does.

        `accept` is called with the complete file before it counts, and may raise to refuse it.
        Raises `ValueError` if the bytes do not have the digest, and `OSError` for disk errors.
        """

        def check(path: Path, digest: str) -> None:
            if digest != manifest.digest:
                raise ValueError(f"the bytes of {manifest.key} do not have the digest")
            accept(path)

        self.layout.create()
        self._publish_blob(write_to, check)
        return self._publish_manifest(manifest)

    def _publish_manifest(self, manifest: Manifest) -> tuple[Manifest, Path]:
        """Publish a manifest unless its key has one. Return the entry that the key then has."""
        key, content = manifest.key, manifest.to_bytes()
        target, found = self.layout.manifest(key), None
        for _ in range(2):  # an existing entry may be invalid: reading quarantines it
            is_ours = disk.put_new(
                self.layout.temporary(),
                target,
                lambda file: disk.write(file, content),
                self.layout.share,
            )
            found = self.read(key)
            if is_ours or found is not None:
                break
        if found is None:
            raise OSError(errno.EIO, "it was written, and cannot be read", str(target))
        self._evict_in_background()
        return found

    def _publish_blob(
        self,
        write_to: Callable[[Write], None],
        accept: Callable[[Path, str], None] = lambda *_: None,
    ) -> tuple[str, int]:
        """Store a blob, once `accept` has been called with its file and its digest."""
        temporary = self.layout.temporary()
        sha, size = hashlib.sha256(), 0
        try:
            with temporary.open("xb") as file, disk.syncing(file) as written:

                def write(piece: bytes | memoryview) -> None:
                    nonlocal size
                    size += len(piece)
                    self._require_room(size, len(piece))
                    sha.update(piece)
                    disk.write(file, piece)
                    written(size)

                write_to(write)
                disk.sync_file(file)
            accept(temporary, sha.hexdigest())
            temporary.chmod(self.layout.mode & 0o444)
            target = self.layout.blob(sha.hexdigest())
            disk.make_folder(target.parent, self.layout.share)
            disk.rename(temporary, target)
            disk.sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # deleted meanwhile
            self._note_checked(sha.hexdigest(), _state(target.stat()))
        return sha.hexdigest(), size

    def _require_room(self, size: int, more: int) -> None:
        if size > self.limit:
            raise _DoesNotFit(f"{size:,} bytes or more, and the limit is {self.limit:,}")
        require_room(self.layout.temporaries, more)

    # -- housekeeping

    def _evict_in_background(self) -> None:
        with self._mutex:
            if self._eviction is not None and self._eviction.is_alive():
                return
            self._eviction = threading.Thread(
                target=evict, args=(self.layout, self.limit), name="eviction", daemon=True
            )
            self._eviction.start()

    def wait_for_eviction(self) -> None:
        """Return when no eviction of this store object is running."""
        with self._mutex:
            running = self._eviction
        if running is not None:
            running.join()

    def shrink(self, limit: int) -> int:
        """Evict the least recently used entries until the blobs have at most `limit` bytes.

        Return the bytes freed. The store may grow again, up to its own limit.
        """
        return evict(self.layout, limit, low_water=1.0)

    def remove(self, key: str) -> bool:
        """Delete a key, and its blob unless another key has the same. Return whether it existed."""
        manifest = self.manifest(key)
        if manifest is None:
            return False
        if not self._forget(self.layout.manifest(key)):
            return False
        if all(other.digest != manifest.digest for other in self.manifests()):
            delete_blob(self.layout, manifest.digest)
        return True

    def clear(self) -> int:
        """Delete all entries. Return the number of manifests deleted."""
        count = sum(self._forget(path) for path in list(self.layout.all_manifests()))
        for path in list(self.layout.all_blobs()):
            delete_blob(self.layout, path.name)
        shutil.rmtree(self.layout.quarantine, ignore_errors=True)
        return count

    def statistics(self) -> dict[str, Any]:
        """Return the number of entries and blobs, and their bytes."""
        sizes = [size for path in self.layout.all_blobs() if (size := _size(path)) is not None]
        return {
            "place": str(self.layout.root),
            "entries": sum(1 for _ in self.layout.all_manifests()),
            "blobs": len(sizes),
            "bytes": sum(sizes),
            "limit": self.limit,
            "quarantined": sum(1 for _ in files(self.layout.quarantine, "*.reason")),
        }

    def quarantine(self, path: Path, reason: str) -> None:
        """Move an invalid file into quarantine, with the reason."""
        _LOG.warning("quarantined %s: %s", path, reason)
        try:
            self.layout.make(self.layout.quarantine)
            path.replace(self.layout.quarantine / path.name)
            (self.layout.quarantine / f"{path.name}.reason").write_text(f"{reason}\n")
        except FileNotFoundError:
            pass  # another process was faster
        except OSError as error:
            _LOG.warning("cannot move %s into quarantine: %s", path, error)

    def _forget(self, path: Path) -> bool:
        """Delete a file. Return whether it existed and was deleted."""
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            _LOG.warning("cannot delete %s: %s", path, error)
            return False
        return True

    def _mark_used(self, path: Path) -> None:
        try:
            os.utime(path)  # `touch` would make it anew, empty, if it was deleted meanwhile
        except OSError as error:
            _LOG.debug("cannot mark %s as used: %s", path, error)


def require_room(folder: Path, more: int) -> None:
    """Raise `OSError` with ENOSPC unless `more` bytes leave the reserve of the disk free.

    The reserve, 64 MB, is for databases and logs, which fail on a full disk.
    """
    free = shutil.disk_usage(folder).free
    if free - more < _KEPT_FREE:
        raise _DoesNotFit(f"only {free:,} bytes are free on the disk")


class _DoesNotFit(OSError):
    """A blob is larger than the store's limit, or the disk is full."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ENOSPC, reason)


def digest_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(stat: os.stat_result) -> str:
    """Return a text that changes when the file's bytes do."""
    return f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
