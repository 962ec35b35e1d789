"""The interface of far tiers, and what they have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from intertwine_cache.manifest import Manifest
from intertwine_cache.store import Write

PIECE = 2**20
"""The bytes that are read at a time."""
MOST_MANIFEST = 4 * 2**20
"""The bytes of the largest manifest that is read."""

_METADATA = ("169.254.169.254", "metadata.google.internal", "metadata")
"""Where clients of object stores ask for credentials, if the environment has none."""


class TierError(OSError):
    """A far tier cannot be reached, or fails; the reason is its text."""


class CannotList(TierError):
    """A far tier serves files by name only, as web servers do."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of publishing an entry. It is true if the entry was stored.

    `refusal` is why the tier refused it; "" if it was stored, or the key already has an entry.
    """

    is_stored: bool
    refusal: str = ""

    def __bool__(self) -> bool:
        """Return whether the entry was stored."""
        return self.is_stored


STORED, PRESENT = Outcome(True), Outcome(False)


@dataclass(frozen=True)
class StoredFile:
    """A file of a tier: its path below the root, its bytes, and when it was written.

    The time is that of the tier's own clock, in Unix time. In a folder, it is also the time of last
    use by processes that have it as their near folder.
    """

    path: str
    size: int
    modified: float


class Tier(Protocol):
    """A far tier: its address, without secrets, and whether it may be written to.

    A tier that refuses a write becomes read-only for the life of the process. Its methods raise
    `TierError` if it cannot be reached.
    """

    address: str
    is_writable: bool

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, or None. Raises `ValueError` for an invalid one."""

    def keys(self) -> Iterator[str]:
        """Yield the keys of all manifests, each once, in ascending order.

        Raises `CannotList` if the tier serves files by name only.
        """

    def read(self, manifest: Manifest, write: Write) -> None:
        """Pass the bytes of a manifest's blob to `write`, in pieces.

        Raises `ValueError` if there is no blob, or its size is not that of the manifest. The digest
        is not checked.
        """

    def publish(self, manifest: Manifest, blob: Path) -> Outcome:
        """Store a blob, then its manifest, unless the key has one.

        A manifest is replaced if it is invalid or its blob is missing, as nobody could use the key
        otherwise, or if it is of an earlier version of the solver, as later ones do not use it. A
        manifest in the format of a later version stays.
        """

    def probe(self) -> str:
        """Find out whether the tier can be written to. Return what it cannot do, or ""."""

    def files(self, folder: str) -> Iterator[list[StoredFile]]:
        """Yield the files below ``manifests`` or ``blobs``, in pages and in any order.

        Only files with a name of the layout are listed. Raises `CannotList`.
        """

    def delete(self, files: Sequence[StoredFile]) -> None:
        """Delete files; those that do not exist are no error.

        A folder keeps those that were written or used since they were listed.
        """

    def now(self) -> float:
        """Return the time of the clock that dates the files. It writes a small file to ask it."""


def is_outdated(found: Manifest, by: Manifest) -> bool:
    """Return whether an entry is of an earlier version of the solver than another of its key."""
    older, newer = _solver_version(found), _solver_version(by)
    return older is not None and newer is not None and older < newer


def _solver_version(manifest: Manifest) -> int | None:
    certificate = manifest.details.get("certificate")
    version = certificate.get("solver") if isinstance(certificate, Mapping) else None
    return version if type(version) is int else None


def copy_pieces(manifest: Manifest, pieces: Iterator[Any], write: Write) -> None:
    """Write as many bytes as the manifest says. Raises `ValueError` for another number."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > manifest.size:
            break
        write(piece)
    if size != manifest.size:
        raise ValueError(f"the blob of {manifest.key} does not have {manifest.size:,} bytes")


@contextmanager
def require_blob(manifest: Manifest) -> Iterator[None]:
    """Raise `ValueError` if the block does not find the blob."""
    try:
        yield
    except FileNotFoundError as error:
        raise ValueError(f"the blob of {manifest.key} is missing") from error


@contextmanager
def as_tier_errors(address: str) -> Iterator[None]:
    """Turn the errors of a disk and of obstore into `TierError`."""
    try:
        yield
    except TierError:
        raise
    except OSError as error:
        raise TierError(f"{address}: {first_line(error)}") from error
    except Exception as error:
        if not type(error).__module__.startswith("obstore"):
            raise
        raise TierError(f"{address}: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Return the message of an error in one line, without obstore's details and secrets of URLs."""
    said_all = re.sub(r"(?<=://)[^/@\s]*@", "", str(error))
    text, _, details = said_all.partition("\n\nDebug source:")
    line = text.partition("\n")[0]
    request = re.search(r"Error performing [A-Z]+ (\S+) in \S+.*? - (.*)", line)
    if request is None:
        return line
    host, reason = urlsplit(request[1]).netloc, request[2]
    if host in _METADATA:
        return (
            "there are no credentials: set the variables of the object store, such as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    status = re.search(r"status code: (\d+ [A-Za-z ]+)", reason)
    if status is not None:
        said = re.search(r'<Message>([^<]+)|"detail":"((?:[^"\\]|\\.)+)', text)
        said = said or re.search(r"<Code>([^<]+)()", text)  # Ceph has no messages
        return f"{host} answers {status[1].strip()}" + (
            "" if said is None else f": {said[1] or said[2]}"
        )
    if '"dns error"' in details:
        return f"the name {host} has no address"
    if "kind: Timeout" in details:
        return f"{host} did not answer in time"
    refusal = re.search(r'message: "([^"]+)"', details)
    return f"{host} cannot be reached: {reason if refusal is None else refusal[1]}"
