"""Verify a whole store, and repair it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from intertwine_cache.eviction import remove_abandoned
from intertwine_cache.manifest import Manifest
from intertwine_cache.store import Store, digest_of

#: Returns why a key's blob is not of that key, or "".
CheckBlob = Callable[[str, Path], str]


@dataclass(frozen=True)
class Finding:
    """An invalid file and the reason."""

    path: Path
    reason: str


def verify(
    store: Store, repair: bool = False, check_blob: CheckBlob | None = None
) -> Iterator[Finding]:
    """Hash every blob and read every manifest. `repair` moves invalid files into quarantine.

    `check_blob` also compares what blobs contain with their keys. An unreferenced blob is valid:
    its publisher may be at work, or have crashed.
    """
    layout = store.layout
    bad: set[str] = set()
    for path in sorted(layout.all_blobs()):
        reason = _blob_fault(path)
        if reason:
            bad.add(path.name)
            yield _found(store, path, reason, repair)
    for path in sorted(layout.all_manifests()):
        reason = _manifest_fault(store, path, bad, check_blob)
        if reason and path.exists():  # otherwise it was deleted with its blob meanwhile
            yield _found(store, path, reason, repair)
    if repair:
        remove_abandoned(layout)


def _blob_fault(path: Path) -> str:
    try:
        return "" if digest_of(path) == path.name else "its bytes do not have its digest"
    except FileNotFoundError:
        return ""  # deleted meanwhile
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def _manifest_fault(
    store: Store, path: Path, bad_blobs: set[str], check_blob: CheckBlob | None
) -> str:
    try:
        manifest = Manifest.from_bytes(path.stem, path.read_bytes())
    except ValueError as error:
        return str(error)
    except FileNotFoundError:
        return ""  # deleted meanwhile
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    blob = store.layout.blob(manifest.digest)
    if manifest.digest in bad_blobs:
        return "its blob's bytes do not have its digest"
    try:
        size = blob.stat().st_size
        if size != manifest.size:
            return f"its blob has {size} bytes instead of {manifest.size}"
        fault = check_blob(manifest.key, blob) if check_blob is not None else ""
    except FileNotFoundError:
        return "its blob is missing"
    return f"its blob: {fault}" if fault else ""


def _found(store: Store, path: Path, reason: str, repair: bool) -> Finding:
    if repair:
        store.quarantine(path, reason)
    return Finding(path, reason)
