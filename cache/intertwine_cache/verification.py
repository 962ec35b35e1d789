"""Looking through a whole store for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from intertwine_cache.eviction import remove_abandoned
from intertwine_cache.manifest import Manifest
from intertwine_cache.store import Store, digest_of


@dataclass(frozen=True)
class Finding:
    """A file that is not as it should be."""

    path: Path
    reason: str


def verify(store: Store, repair: bool = False) -> Iterator[Finding]:
    """Hash every blob and read every manifest; `repair` moves what is wrong into quarantine.

    A blob that no manifest names is no fault: its publisher may be at work, or have crashed.
    """
    layout = store.layout
    bad: set[str] = set()
    for path in sorted(layout.all_blobs()):
        if digest_of(path) != path.name:
            bad.add(path.name)
            yield _found(store, path, "its bytes do not have its digest", repair)
    for path in sorted(layout.all_manifests()):
        reason = _manifest_fault(store, path, bad)
        if reason:
            yield _found(store, path, reason, repair)
    if repair:
        remove_abandoned(layout)


def _manifest_fault(store: Store, path: Path, bad_blobs: set[str]) -> str:
    try:
        manifest = Manifest.from_bytes(path.stem, path.read_bytes())
    except ValueError as error:
        return str(error)
    blob = store.layout.blob(manifest.digest)
    if manifest.digest in bad_blobs:
        return "its blob's bytes do not have its digest"
    if not blob.is_file():
        return "its blob is missing"
    if blob.stat().st_size != manifest.size:
        return f"its blob has {blob.stat().st_size} bytes instead of {manifest.size}"
    return ""


def _found(store: Store, path: Path, reason: str, repair: bool) -> Finding:
    if repair:
        store.quarantine(path, reason)
    return Finding(path, reason)
