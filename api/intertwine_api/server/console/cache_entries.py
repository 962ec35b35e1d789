"""Entries of the store in words, from their manifests, which others may have written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from intertwine.errors import FormatError
from intertwine_cache import Manifest, Store
from intertwine_cache.explanation import signer_fingerprint

from intertwine_api.server.console.basis_summary import evidence
from intertwine_api.server.console.explorer import downloads_of
from intertwine_api.server.console.question import explorer_address
from intertwine_api.wire.problems import printable
from intertwine_api.work.basis_states import document_of

_SPACE = "\N{NO-BREAK SPACE}"
_LONGEST_LINK = 600  # characters of an address in a list, which has many
_LONGEST_NAME = 500  # characters of a rep or a group
_MOST_LINES = 20
_LARGEST = 2**63


@dataclass(frozen=True)
class EntryRow:
    """One entry in a list. `shape` is size × rank; empty if it is not a basis."""

    key: str
    rep: str
    group: str
    shape: str
    bytes: int
    used: datetime | None
    explorer: str
    """The address in the explorer, relative to the root; empty without one."""
    file: str
    """The address of the file, relative to the root."""


@dataclass(frozen=True)
class EntryDetails:
    """One entry on its page: `facts` by name, and `evidence` in sentences.

    `fault` is why it is not a basis that can be used; empty if it is one.
    """

    row: EntryRow
    is_basis: bool
    facts: dict[str, str]
    created: datetime | None
    evidence: list[str]
    downloads: list[tuple[str, str]]
    is_file_missing: bool
    fault: str


def rows_of(store: Store, keys: Iterable[str], most: int) -> list[EntryRow]:
    """Return the rows of the first `most` keys that the store still has."""
    found = (manifest for key in keys if (manifest := store.manifest(key)) is not None)
    return [row_of(store, manifest) for manifest in islice(found, most)]


def row_of(store: Store, manifest: Manifest, longest: int = _LONGEST_LINK) -> EntryRow:
    """Return the row of an entry, whose link to the explorer has at most `longest` characters."""
    certificate = manifest.details.get("certificate")
    size, rank = (
        certificate.get(name) if isinstance(certificate, dict) else None
        for name in ("size", "rank")
    )
    is_shape = all(type(each) is int and 0 <= each < _LARGEST for each in (size, rank))
    file = f"v1/bases/{manifest.key}/file.safetensors"
    return EntryRow(
        key=manifest.key,
        rep=_name(manifest.details.get("canonical")),
        group=_name(manifest.details.get("group")),
        shape=f"{size:,}{_SPACE}×{_SPACE}{rank:,}" if is_shape else "",
        bytes=manifest.size,
        used=_instant(store.last_used(manifest.key)),
        explorer=_explorer(manifest, longest),
        file=file if manifest.is_basis else f"v1/blobs/{manifest.digest}",
    )


def details_of(store: Store, manifest: Manifest, dense_bytes: int) -> EntryDetails:
    """Return what the page of an entry says. `dense_bytes` bounds the matrices to download."""
    row = row_of(store, manifest, longest=10 * _LONGEST_LINK)
    facts: dict[str, str] = {}
    lines: list[str] = []
    downloads: list[tuple[str, str]] = [("file", row.file)]
    fault = ""
    if manifest.is_basis:
        try:
            document = document_of(manifest, cached=True)
        except FormatError as error:
            fault = str(error)
        except RecursionError:
            fault = "its details are nested too deeply"
        else:
            lines = evidence(document.certificate)[:_MOST_LINES]
            downloads = downloads_of(document, dense_bytes)
            facts = {
                "Method": document.method,
                "Time of the solve": f"{document.certificate.seconds:.2g} s",
                "Version of the solver": _name(
                    (document.certificate.model_extra or {}).get("solver")
                ),
            }
    facts["Signature"] = signer_fingerprint(manifest) or "none"
    return EntryDetails(
        row=row,
        is_basis=manifest.is_basis,
        facts=facts,
        created=_instant(manifest.created),
        evidence=lines,
        downloads=downloads,
        is_file_missing=not store.layout.blob(manifest.digest).is_file(),
        fault=fault,
    )


def _name(value: Any) -> str:
    """Return a name of a manifest, cut if it is long; a dash if it is neither text nor number."""
    text = printable(str(value) if type(value) in (str, int) else "–")
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _explorer(manifest: Manifest, longest: int) -> str:
    """Return the address of an entry in the explorer, which asks for bases without options."""
    request = manifest.details.get("request")
    if not isinstance(request, dict) or not request.keys() <= {"rep", "group"}:
        return ""
    try:
        return explorer_address(printable(request), longest)
    except RecursionError:  # generators that are nested too deeply
        return ""


def _instant(at: float | None) -> datetime | None:
    """Return a Unix time in UTC; None for one that calendars do not have."""
    try:
        return None if at is None else datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return None
