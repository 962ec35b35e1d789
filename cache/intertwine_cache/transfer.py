"""Copy entries from one tier to another, and say before what is missing there.

A blob is copied before its manifest, and its digest is verified on the way. What the destination
has already is skipped, so an interrupted copy is resumed by starting it again.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from intertwine_cache.manifest import LaterVersion, Manifest
from intertwine_cache.signing import Keyring, signer_of
from intertwine_cache.store import Write, digest_of
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.tier import CannotList, Outcome, Tier

Item = TypeVar("Item")
Result = TypeVar("Result")
_THREADS = 16  # requests at a time: most of their time is waiting


class Source(Protocol):
    """What entries are read from: a tier, or an archive."""

    address: str

    def keys(self) -> Iterator[str]:
        """Yield the keys of all manifests. Raises `CannotList` if it cannot."""

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, or None. Raises `ValueError` for an invalid one."""

    def read(self, manifest: Manifest, write: Write) -> None:
        """Pass the bytes of a manifest's blob to `write`, in pieces."""


class Destination(Protocol):
    """Where entries are copied to: a writable tier, or a new archive."""

    is_writable: bool

    def publish(self, manifest: Manifest, blob: Path) -> Outcome:
        """Store a blob, then its manifest, unless the key has one."""


@dataclass(frozen=True)
class Selection:
    """Which entries to copy: those of some keys, or all; and of these, those that match.

    `group` and `match` are patterns as in file names, such as ``SO*`` and ``*V³*``, of the group
    and of the canonical rep.
    """

    group: str | None = None
    match: str | None = None
    keys: tuple[str, ...] = ()

    def includes(self, manifest: Manifest) -> bool:
        """Return whether a manifest is of a basis that matches."""
        details = manifest.details
        return manifest.is_basis and all(
            pattern is None or fnmatchcase(str(details.get(name) or ""), pattern)
            for name, pattern in (("group", self.group), ("canonical", self.match))
        )


@dataclass(frozen=True)
class Plan:
    """What a copy will do."""

    entries: tuple[Manifest, ...]
    """The entries to copy, in the order of their keys."""
    present: int
    """The number of the source's keys that the destination has."""
    untrusted: Mapping[str, int]
    """The number of entries that are not copied, by the public key that signed them, or ""."""
    invalid: Mapping[str, str]
    """The reason of each key whose manifest cannot be read."""

    @property
    def bytes(self) -> int:
        """The bytes of the blobs to copy, each counted once."""
        return sum({entry.digest: entry.size for entry in self.entries}.values())


@dataclass(frozen=True)
class Copied:
    """What a copy has done."""

    entries: int
    """The number of entries that the destination did not have, and has now."""
    invalid: Mapping[str, str]
    """The reason of each key whose blob is missing, or does not have its digest."""
    refused: Mapping[str, str]
    """The reason of each key that the destination refused."""


def plan(
    source: Source,
    destination: Tier | None,
    selection: Selection,
    *,
    trusting: Keyring | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Plan:
    """Return which entries of the source a destination does not have; None has nothing.

    With `trusting`, only entries with the signature of a trusted key are copied. `progress` is
    called with the number of keys looked at. Raises `CannotList` if the selection names no keys
    and the source cannot list them, and `TierError` if either cannot be reached.
    """
    keys = selection.keys or tuple(source.keys())
    has = _presence(destination, are_few=bool(selection.keys))
    entries: list[Manifest] = []
    untrusted: Counter[str] = Counter()
    invalid: dict[str, str] = {}
    present = 0

    def look(key: str) -> Manifest | ValueError | bool | None:
        if has(key):
            return True
        try:
            return source.manifest(key)
        except ValueError as error:
            return error

    for key, found in in_threads(look, keys):
        progress(1)
        if found is True:
            present += 1
        elif isinstance(found, ValueError):
            invalid[key] = str(found)
        elif isinstance(found, Manifest):
            if not selection.includes(found):
                continue
            if trusting is None or trusting.trusts(found):
                entries.append(found)
            else:
                untrusted[signer_of(found) or ""] += 1
        elif selection.keys:  # otherwise it was deleted since it was listed
            invalid[key] = f"{source.address} does not have it"
    entries.sort(key=lambda entry: entry.key)
    return Plan(tuple(entries), present, dict(untrusted), dict(sorted(invalid.items())))


def copy(
    entries: Iterable[Manifest],
    source: Source,
    destination: Destination,
    *,
    signing: Keyring | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Copied:
    """Copy entries, each blob before its manifest, and verify the digests.

    With `signing`, manifests without a signature get one. `progress` is called with the bytes of
    each entry. After the destination has become read-only, nothing more is sent to it. Raises
    `TierError` if either end fails; the entries copied before stay.
    """
    invalid: dict[str, str] = {}
    refused: dict[str, str] = {}
    number, closed = 0, ""
    stopped = threading.Event()

    def move(manifest: Manifest) -> Outcome | ValueError:
        if closed:
            return Outcome(False, closed)
        try:
            with _verified(manifest, source, destination, stopped) as publish:
                return publish(manifest if signing is None else signing.sign(manifest))
        except ValueError as error:
            return error

    try:
        for manifest, result in in_threads(move, entries):
            progress(manifest.size)
            if isinstance(result, ValueError):
                invalid[manifest.key] = str(result)
            elif result.refusal:
                refused[manifest.key] = result.refusal
                closed = "" if destination.is_writable else result.refusal
            else:
                number += result.is_stored
    finally:
        stopped.set()
    return Copied(number, dict(sorted(invalid.items())), dict(sorted(refused.items())))


def _presence(destination: Tier | None, are_few: bool) -> Callable[[str], bool]:
    """Return a function that says whether a tier has a key: from a list of all, or by asking."""
    if destination is None:
        return lambda _: False
    if not are_few:
        try:
            return frozenset(destination.keys()).__contains__
        except CannotList:
            pass  # each key is asked for

    def ask(key: str) -> bool:
        try:
            return destination.manifest(key) is not None
        except LaterVersion:
            return True
        except ValueError:
            return False  # an invalid manifest is replaced

    return ask


@contextmanager
def _verified(
    manifest: Manifest, source: Source, destination: Destination, stopped: threading.Event
) -> Iterator[Callable[[Manifest], Outcome]]:
    """Yield a function that publishes the source's blob, with its digest, under a manifest."""

    def read(write: Write) -> None:
        def write_on(piece: bytes | memoryview) -> None:
            if stopped.is_set():
                raise ValueError("the copy was interrupted")
            write(piece)

        source.read(manifest, write_on)

    if isinstance(destination, FolderTier):  # it verifies what it writes
        folder = destination
        yield lambda entry: folder.adopt(entry, read)
    elif isinstance(source, FolderTier):
        path = source.path(manifest)
        try:
            is_valid = path.stat().st_size == manifest.size and digest_of(path) == manifest.digest
        except FileNotFoundError as error:
            raise ValueError(f"the blob of {manifest.key} is missing") from error
        _require_digest(manifest, is_valid)
        yield lambda entry: destination.publish(entry, path)
    else:
        with tempfile.TemporaryDirectory(prefix="intertwine-") as folder_name:
            path, sha = Path(folder_name) / "blob", hashlib.sha256()
            with path.open("xb") as file:

                def write(piece: bytes | memoryview) -> None:
                    sha.update(piece)
                    file.write(piece)

                read(write)
            _require_digest(manifest, sha.hexdigest() == manifest.digest)
            yield lambda entry: destination.publish(entry, path)


def _require_digest(manifest: Manifest, is_valid: bool) -> None:
    if not is_valid:
        raise ValueError(f"the bytes of {manifest.key} do not have the digest")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """Yield each item and its result as they come, some at a time. The first error ends all."""
    left = iter(items)
    running: dict[Future[Result], Item] = {}
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="transfer")
    try:
        while True:
            for item in islice(left, 2 * _THREADS - len(running)):
                running[pool.submit(function, item)] = item
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
