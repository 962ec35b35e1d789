"""Evict the least recently used entries of a store, and delete the leftovers of crashes."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter
from pathlib import Path

from intertwine_cache.layout import Layout, files
from intertwine_cache.manifest import LaterVersion, Manifest

_LOG = logging.getLogger("intertwine.cache")
_LOW_WATER = (
    0.9  # an eviction frees some room below the limit, so that the next one is not due at once
)
ABANDONED = 24 * 3600.0
"""Seconds after which a temporary file or an unreferenced blob counts as abandoned."""
_LOOKED_AT = 30 * ABANDONED  # quarantined files are deleted after this time


def evict(layout: Layout, limit: int, low_water: float = _LOW_WATER) -> int:
    """Evict the least recently used entries if the blobs do not fit. Return the bytes freed.

    It goes on until they have at most the part `low_water` of the limit.

    A manifest is deleted before its blob: a crash in between leaves an unreferenced blob, never a
    manifest without its blob. A reader that has mapped a blob keeps it until it closes the file.
    """
    remove_abandoned(layout)
    if sum(_sizes(layout).values()) <= limit:
        return 0
    # List manifests before sizes: the total then excludes blobs that another eviction deletes in
    # between. In the other order, this eviction would delete as much again.
    named = _manifests_by_use(layout)
    blobs = _sizes(layout)
    total, freed = sum(blobs.values()), 0
    names = Counter(digest for _, digest in named)
    for number, (path, digest) in enumerate(named, start=1):
        enough = (
            limit if number == len(named) else low_water * limit
        )  # the latest entry may fill the store
        if total - freed <= enough:
            break
        _delete(path)
        names[digest] -= 1
        if digest in blobs and not names[digest]:
            delete_blob(layout, digest)
            freed += blobs.pop(digest)
    _LOG.info("evicted %s bytes from %s", f"{freed:,}", layout.root)
    return freed


def remove_abandoned(layout: Layout, age: float = ABANDONED) -> None:
    """Delete temporary files, locks and unreferenced blobs untouched for `age` seconds."""
    old = time.time() - age
    for folder, since in (
        (layout.temporaries, old),
        (layout.locks, old),
        (layout.quarantine, time.time() - max(age, _LOOKED_AT)),
    ):
        for path in files(folder, "*"):
            stat = _stat(path)
            if stat and stat.st_mtime < since:
                _delete(path)
    unnamed = [path for path in layout.all_blobs() if (s := _stat(path)) and s.st_mtime < old]
    if unnamed and not _has_later_manifests(layout):
        named = {digest for _, digest in _manifests_by_use(layout)}
        for path in unnamed:
            if path.name not in named:
                delete_blob(layout, path.name)


def delete_blob(layout: Layout, digest: str) -> None:
    """Delete a blob and the records of its verification."""
    for path in (layout.blob(digest), *layout.notes(digest)):
        _delete(path)


def _sizes(layout: Layout) -> dict[str, int]:
    """Return the size of each blob in bytes, by digest."""
    return {path.name: stat.st_size for path in layout.all_blobs() if (stat := _stat(path))}


def _manifests_by_use(layout: Layout) -> list[tuple[Path, str]]:
    """Return manifests with their blobs' digests, least recently used first."""
    found = []
    for path in layout.all_manifests():
        stat = _stat(path)
        with contextlib.suppress(OSError, ValueError):  # deleted, or invalid: readers quarantine it
            digest = Manifest.from_bytes(path.stem, path.read_bytes()).digest
            if stat:
                found.append((stat.st_mtime_ns, path, digest))
    return [(path, digest) for _, path, digest in sorted(found)]


def _has_later_manifests(layout: Layout) -> bool:
    """Return whether there are manifests of a later version, which alone knows their blobs."""
    for path in layout.all_manifests():
        try:
            Manifest.from_bytes(path.stem, path.read_bytes())
        except LaterVersion:
            return True
        except (OSError, ValueError):
            continue
    return False


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _LOG.warning("cannot delete %s: %s", path, error)
