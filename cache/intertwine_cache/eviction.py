"""Keeping a store below its limit, and free of what crashes left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter
from pathlib import Path

from intertwine_cache.layout import Layout, files
from intertwine_cache.manifest import Manifest

_LOG = logging.getLogger("intertwine.cache")
_LOW_WATER = 0.9  # an eviction goes somewhat below the limit, so that the next is not due at once
ABANDONED = 24 * 3600.0
"""Seconds after which a temporary file, or a blob that no manifest names, has no writer left."""
_LOOKED_AT = 30 * ABANDONED  # what is in quarantine that long, nobody looks at any more


def evict(layout: Layout, limit: int) -> int:
    """Delete what was used longest ago until the blobs fit; the bytes that were freed.

    A manifest goes before its blob: a crash in between leaves a blob that nobody names, never a
    name without a blob. A reader that has a blob mapped keeps it until it closes it.
    """
    remove_abandoned(layout)
    if sum(_sizes(layout).values()) <= limit:
        return 0
    # Manifests before sizes: what another eviction deletes in between is then no part of the total.
    # The other way round, this one would delete as much again.
    named = _manifests_by_use(layout)
    blobs = _sizes(layout)
    total, freed = sum(blobs.values()), 0
    names = Counter(digest for _, digest in named)
    for number, (path, digest) in enumerate(named, start=1):
        enough = limit if number == len(named) else _LOW_WATER * limit  # the latest may fill it
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
    """Delete temporary files, locks and unnamed blobs that are older than `age` seconds."""
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
    if unnamed:
        named = {digest for _, digest in _manifests_by_use(layout)}
        for path in unnamed:
            if path.name not in named:
                delete_blob(layout, path.name)


def delete_blob(layout: Layout, digest: str) -> None:
    """Delete a blob, and the notes that it was checked."""
    for path in (layout.blob(digest), *layout.notes(digest)):
        _delete(path)


def _sizes(layout: Layout) -> dict[str, int]:
    """The bytes of each blob."""
    return {path.name: stat.st_size for path in layout.all_blobs() if (stat := _stat(path))}


def _manifests_by_use(layout: Layout) -> list[tuple[Path, str]]:
    """Manifests with their blobs' digests, the one used longest ago first."""
    found = []
    for path in layout.all_manifests():
        stat = _stat(path)
        with contextlib.suppress(OSError, ValueError):  # gone, or for a reader to quarantine
            digest = Manifest.from_bytes(path.stem, path.read_bytes()).digest
            if stat:
                found.append((stat.st_mtime_ns, path, digest))
    return [(path, digest) for _, path, digest in sorted(found)]


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
