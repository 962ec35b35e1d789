"""Delete the oldest entries of a tier, and files that nobody can use.

Nothing here needs a lock, because a tier may be a bucket that many machines write to. Four facts
make it safe:

- *Every entry may be deleted.* A missing entry is a miss, and the next writer publishes it again.
  A reader that has the manifest and no longer finds the blob also counts a miss.
- *Writers put a blob before its manifest, and put it even if the tier has it*, which makes it new.
  A blob without a manifest is deleted only if it is older than `GRACE_SECONDS` by the tier's own
  clock, so the writer of a new blob has that time to put its manifest.
- *Manifests are listed before blobs, and deleted before blobs.* So an old blob that no listed
  manifest names had none when it was listed. Blobs are listed again just before they are deleted.
- *One race is left:* a writer puts an old, unreferenced blob again after it was listed, and the
  blob is deleted before the manifest arrives. Therefore new manifests are read once more at the
  end, and those of deleted blobs are deleted too. If a manifest arrives even later, it has no blob:
  it is a miss, and the next writer of its key replaces it (`Tier.publish`), or the next collection
  deletes it.

Two collections at the same time list the same entries in the same order and delete the same ones;
deleting a missing file is no error.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from intertwine_cache.eviction import ABANDONED
from intertwine_cache.layout import manifest_path
from intertwine_cache.manifest import LaterVersion, Manifest
from intertwine_cache.tiers.tier import StoredFile, Tier
from intertwine_cache.transfer import in_threads

GRACE_SECONDS = ABANDONED
"""A blob without a manifest, and a manifest that cannot be used, stay for this time: a day."""
_BATCH = 1000  # files that are deleted at a time


@dataclass(frozen=True)
class Collected:
    """What a collection has deleted and kept, or would with a dry run."""

    kept: int
    """The number of entries that stay."""
    kept_bytes: int
    """The bytes of their blobs, each counted once."""
    deleted: int
    """The number of entries above the limits, whose manifests are deleted."""
    damaged: Mapping[str, str]
    """The reason of each key whose manifest is deleted because nobody can use it."""
    blobs: int
    """The number of deleted blobs."""
    freed: int
    """Their bytes."""
    waiting: int
    """The bytes of blobs without a manifest that are too new to be deleted."""


Name = bytes
"""A key or a digest as bytes: its text is twice as long, and a bucket may have 100,000."""


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Name
    digest: Name
    size: int
    modified: float

    @property
    def file(self) -> StoredFile:
        return StoredFile(manifest_path(self.key.hex()), 0, self.modified)


@dataclass
class _Listed:
    """The manifests of a tier: those that can be read, and the reasons and files of the others."""

    entries: dict[Name, _Entry]
    invalid: dict[Name, tuple[str, StoredFile]]


def collect(
    tier: Tier,
    *,
    max_bytes: int | None = None,
    max_age: float | None = None,
    is_dry: bool = False,
    grace: float = GRACE_SECONDS,
    progress: Callable[[int], object] = lambda _: None,
) -> Collected:
    """Delete the oldest entries of a tier until it fits the limits, and files nobody can use.

    `max_bytes` limits the blobs that manifests name, and `max_age` the seconds since a manifest was
    written; in a folder, since its last use by processes that have it as their near folder. A dry
    run writes nothing, and uses the clock of this machine. `progress` is called with the number of
    manifests read.

    Raises `LaterVersion` before anything is deleted if the tier has manifests whose blobs only a
    later Intertwine knows, `CannotList` for web folders and services, and `TierError`.
    """
    now = time.time() if is_dry else tier.now()
    listed = _list(tier, progress)
    sizes = {_name(file): file.size for page in tier.files("blobs") for file in page}
    damaged, usable = _damaged(listed, sizes, now - grace)
    named = Counter(entry.digest for entry in usable)
    oldest = sorted((entry for entry in usable if entry.digest in sizes), key=_by_age)
    total = sum(sizes.get(digest, 0) for digest in named)
    expired: list[_Entry] = []
    for entry in oldest:
        is_old = max_age is not None and entry.modified < now - max_age
        if not is_old and (max_bytes is None or total <= max_bytes):
            break
        expired.append(entry)
        named[entry.digest] -= 1
        if not named[entry.digest]:
            del named[entry.digest]
            total -= sizes[entry.digest]
    if not is_dry:
        tier.delete([file for _, file in damaged.values()])
        for start in range(0, len(expired), _BATCH):
            tier.delete([entry.file for entry in expired[start : start + _BATCH]])
    swept, freed, waiting = _sweep(tier, named, now - grace, is_dry)
    if swept and not is_dry:
        _delete_bereft(tier, listed, swept)
    return Collected(
        kept=len(usable) - len(expired),
        kept_bytes=total,
        deleted=len(expired),
        damaged={key.hex(): reason for key, (reason, _) in damaged.items()},
        blobs=len(swept),
        freed=freed,
        waiting=waiting,
    )


def _list(tier: Tier, progress: Callable[[int], object]) -> _Listed:
    """Read all manifests. Raises `LaterVersion` if there are any of a later version."""
    found = _Listed({}, {})
    later = 0
    for file, manifest in _read(tier, (f for page in tier.files("manifests") for f in page)):
        progress(1)
        key = _name(file)
        if isinstance(manifest, LaterVersion):
            later += 1
        elif isinstance(manifest, ValueError):
            found.invalid[key] = str(manifest), file
        elif manifest is not None:
            digest = bytes.fromhex(manifest.digest)
            found.entries[key] = _Entry(key, digest, manifest.size, file.modified)
    if later:
        raise LaterVersion(
            f"{tier.address} has {later:,} manifests of a later version of Intertwine, whose blobs "
            f"this one does not know: run the command with that version"
        )
    return found


def _read(
    tier: Tier, files: Iterable[StoredFile]
) -> Iterator[tuple[StoredFile, Manifest | ValueError | None]]:
    """Read manifests. Yield the reason of an invalid one, and None for one that is gone."""

    def read(file: StoredFile) -> Manifest | ValueError | None:
        try:
            return tier.manifest(_name(file).hex())
        except ValueError as error:
            return error

    return in_threads(read, files)


def _damaged(
    listed: _Listed, sizes: Mapping[Name, int], old: float
) -> tuple[dict[Name, tuple[str, StoredFile]], list[_Entry]]:
    """Return why old manifests cannot be used, with their files, and the entries that stay."""
    damaged = {key: each for key, each in listed.invalid.items() if each[1].modified < old}
    usable = []
    for entry in listed.entries.values():
        size = sizes.get(entry.digest)
        if size == entry.size or entry.modified >= old:
            usable.append(entry)
        elif size is None:
            damaged[entry.key] = "its blob is missing", entry.file
        else:
            reason = f"its blob has {size:,} bytes, not {entry.size:,}"
            damaged[entry.key] = reason, entry.file
    return damaged, usable


def _sweep(
    tier: Tier, named: Container[Name], old: float, is_dry: bool
) -> tuple[set[Name], int, int]:
    """Delete old blobs that no manifest names.

    Return their digests, their bytes, and the bytes of those that are too new.
    """
    swept: set[Name] = set()
    freed = waiting = 0
    for page in tier.files("blobs"):
        unnamed = [file for file in page if _name(file) not in named]
        gone = [file for file in unnamed if file.modified < old]
        if gone and not is_dry:
            tier.delete(gone)
        swept.update(map(_name, gone))
        freed += sum(file.size for file in gone)
        waiting += sum(file.size for file in unnamed if file.modified >= old)
    return swept, freed, waiting


def _delete_bereft(tier: Tier, listed: _Listed, swept: set[Name]) -> None:
    """Delete manifests that were written meanwhile and name a blob that was deleted."""

    def is_new(file: StoredFile) -> bool:
        known = listed.entries.get(_name(file))
        return known is None or known.modified != file.modified

    new = (file for page in tier.files("manifests") for file in page if is_new(file))
    bereft = [
        (file, digest)
        for file, manifest in _read(tier, new)
        if isinstance(manifest, Manifest) and (digest := bytes.fromhex(manifest.digest)) in swept
    ]
    if bereft:
        there = {_name(file) for page in tier.files("blobs") for file in page}
        tier.delete([file for file, digest in bereft if digest not in there])


def _name(file: StoredFile) -> Name:
    """Return the key or the digest of a file."""
    return bytes.fromhex(PurePosixPath(file.path).stem)


def _by_age(entry: _Entry) -> tuple[float, Name]:
    return entry.modified, entry.key
