"""The entries of the store in memory, for lists by size, by last use and by text."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from intertwine_cache import Manifest, Store

_MOST_ENTRIES = 50_000
_LONGEST = 400  # characters of an entry that a search looks at

#: A text that changes when a manifest is replaced or used.
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Entry:
    """One entry of the store. `used` is the Unix time of its last use.

    `text` is its rep and group without upper case.
    """

    key: str
    digest: str
    bytes: int
    used: float
    text: str


@dataclass(frozen=True)
class Shrinkage:
    """What an eviction would delete: the number of entries, and the bytes of their blobs."""

    entries: int
    bytes: int


@dataclass(frozen=True)
class StoreContents:
    """The entries of a store in the order of their keys; with `is_whole` off, the first ones."""

    entries: tuple[Entry, ...]
    is_whole: bool

    def largest(self, most: int) -> list[Entry]:
        """Return the largest entries, in descending order."""
        return heapq.nlargest(most, self.entries, key=attrgetter("bytes"))

    def least_used(self, most: int) -> list[Entry]:
        """Return the entries that were not used for the longest time, which are evicted first."""
        return heapq.nsmallest(most, self.entries, key=attrgetter("used"))

    def matching(self, text: str) -> Iterable[Entry]:
        """Yield the entries whose rep or group has a text in it, in upper or lower case."""
        wanted = text.casefold()
        return (entry for entry in self.entries if wanted in entry.text)

    def shrinkage(self, limit: int) -> Shrinkage:
        """Return what `Store.shrink` would delete now. Several entries may have one blob."""
        sizes = {entry.digest: entry.bytes for entry in self.entries}
        names = Counter(entry.digest for entry in self.entries)
        total = sum(sizes.values())
        entries = freed = 0
        for entry in sorted(self.entries, key=attrgetter("used")):
            if total - freed <= limit:
                break
            entries += 1
            names[entry.digest] -= 1
            freed += 0 if names[entry.digest] else entry.bytes
        return Shrinkage(entries, freed)


class StoreIndex:
    """Reads the entries of a store. A manifest is read again only if it was used or replaced."""

    def __init__(self, store: Store, most: int = _MOST_ENTRIES) -> None:
        self._store, self._most = store, most
        self._known: dict[str, tuple[_Stamp, Entry]] = {}

    def read(self) -> StoreContents:
        """Return the entries now. The first call reads all manifests."""
        keys = self._store.layout.keys()
        found = ((key, self._find(key)) for key in islice(keys, self._most))
        self._known = {key: known for key, known in found if known is not None}
        is_whole = next(keys, None) is None
        return StoreContents(tuple(entry for _, entry in self._known.values()), is_whole)

    def _find(self, key: str) -> tuple[_Stamp, Entry] | None:
        try:
            stat = os.stat(self._store.layout.manifest(key))
        except OSError:
            return None  # deleted meanwhile
        stamp = stat.st_ino, stat.st_mtime_ns, stat.st_size
        known = self._known.get(key)
        if known is not None and known[0] == stamp:
            return known
        manifest = self._store.manifest(key)
        return None if manifest is None else (stamp, _entry(manifest, stat.st_mtime))


def _entry(manifest: Manifest, used: float) -> Entry:
    names = (manifest.details.get(name) for name in ("canonical", "group"))
    texts = [name[:_LONGEST] for name in names if isinstance(name, str)]
    return Entry(
        manifest.key, manifest.digest, manifest.size, used, " ".join(texts)[:_LONGEST].casefold()
    )
