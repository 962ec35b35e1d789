"""The solver's interface to a store, which keeps bases between processes."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from intertwine.bases.basis import Basis
from intertwine.bases.certificate import SOLVER_VERSION
from intertwine.bases.files import read_basis, write_safetensors
from intertwine.bases.safetensors_file import read_file, require_key
from intertwine.errors import FormatError, IntertwineError, InvalidSetting

ENTRY_POINTS = "intertwine.store"
"""The group of entry points in which a store registers a function that returns it, or None."""
_ENTRY_BYTES = 16  # of a complex number: no form of a basis is larger than a square matrix
_HEADER_BYTES = 2**22
_LOG = logging.getLogger("intertwine")


@runtime_checkable
class BasisStore(Protocol):
    """The interface of a store: keys, files, and details in JSON."""

    @property
    def name(self) -> str:
        """The folder or the address of the store, for people."""

    @property
    def folder(self) -> Path:
        """The store's folder on this machine. Other files may be kept beside its entries."""

    def fetch(
        self,
        key: str,
        accept: Callable[[Path, bool], None],
        most_bytes: int,
        is_quick: Callable[[], bool],
    ) -> tuple[Any, Path, str] | None:
        """Return the entry of a key from elsewhere, its file, and the name of the place, if any.

        `accept` gets the file, of at most `most_bytes`, and whether a trusted key has signed the
        entry, and raises `ValueError` if the entry is not to be used. `is_quick` says whether a
        solve would take milliseconds: then slow places are not asked.
        """

    def read(self, key: str) -> tuple[Any, Path] | None:
        """Return the checked entry under a key and the file of its bytes; None if it is missing."""

    def reject(self, key: str, reason: str) -> None:
        """Remove an entry whose bytes could not be read as a basis."""

    def claim(self, key: str) -> AbstractContextManager[None]:
        """Lock a key while solving for it, so that others wait for the result; best effort."""

    def publish(
        self,
        key: str,
        write_to: Callable[[Callable[[bytes | memoryview], Any]], None],
        details: Mapping[str, Any],
    ) -> tuple[Any, Path] | None:
        """Store the bytes from `write_to`. Return the entry under the key afterwards, if any."""


def find_store() -> BasisStore | None:
    """Return the installed and enabled store, if any (see `INTERTWINE_CACHE`).

    Raises `InvalidSetting` for an invalid environment variable.
    """
    for factory in _factories():
        try:
            store: BasisStore | None = factory()
        except ValueError as error:
            raise InvalidSetting(str(error)) from error
        if store is not None:
            return store
    return None


@cache
def _factories() -> tuple[Callable[[], Any], ...]:
    return tuple(entry.load() for entry in importlib.metadata.entry_points(group=ENTRY_POINTS))


def obtain(
    store: BasisStore,
    key: str,
    details: Mapping[str, Any],
    solve: Callable[[], Basis],
    size: int | None = None,
    check: Callable[[Basis, bool], None] | None = None,
    request: Callable[[], Mapping[str, Any] | None] = lambda: None,
    is_quick: Callable[[], bool] = lambda: False,
) -> Basis:
    """Return the basis under a key: from the store, or else solved under a lock and stored.

    A stored basis that does not have `size` dimensions is rejected and solved again. With a
    `check`, the store may also fetch it from elsewhere: the check gets such a basis, and whether
    somebody trusted has signed it, and raises an `IntertwineError` unless it is sound.
    `request` returns the request in JSON, from which others compute the same key, or None; it is
    kept with the entry of a solved basis, since a key does not tell its request. `is_quick` returns
    whether `solve` takes milliseconds: then slow places are not asked.
    `basis.cached` names the place where it was found. The first to publish a key wins, so that all
    processes have the same basis.
    """
    found = _read(store, key, size)
    if found is not None:
        return found
    with store.claim(key):
        found = _read(store, key, size)  # another process may have solved it meanwhile
        if found is None and check is not None:
            found = _fetch(store, key, size, check, is_quick)
        if found is not None:
            return found
        basis = solve()
        kept = publish_basis(store, key, basis, details, request())
    if kept is None:
        return basis
    try:
        return read_basis(kept[1], key)
    except (FormatError, OSError) as error:
        _LOG.warning("the store lost %s at once: %s", key, error)
        return basis


def publish_basis(
    store: BasisStore,
    key: str,
    basis: Basis,
    details: Mapping[str, Any],
    request: Mapping[str, Any] | None,
) -> tuple[Any, Path] | None:
    """Store a basis with its certificate. Return the entry under the key afterwards, if any."""
    of = {"key": key, **details}
    evidence = {**details, "certificate": basis.certificate.to_json()}
    if request is not None:
        evidence["request"] = request
    evidence = json.loads(json.dumps(evidence))
    return store.publish(key, lambda write: write_safetensors(basis, write, of), evidence)


def entry_fault(key: str, path: Path) -> str:
    """Return why the file that a store has under a key is not of that key, or ""."""
    try:
        require_key(read_file(path)[1], key)
    except FormatError as error:
        return str(error)
    return ""


def _read(store: BasisStore, key: str, size: int | None) -> Basis | None:
    entry = store.read(key)
    if entry is None:
        return None
    try:
        basis = read_basis(entry[1], key)
    except OSError as error:
        _LOG.info("the store lost %s: %s", key, error)  # possibly evicted meanwhile
        return None
    except FormatError as error:
        store.reject(key, str(error))
        return None
    fault = _fault(basis, size)
    if fault:
        store.reject(key, fault)
        return None
    basis.cached = store.name
    return basis


def _fault(basis: Basis, size: int | None) -> str:
    """Return why a basis cannot be that of its key, or ""."""
    if size is not None and basis.shape[0] != size:
        return f"a basis in {basis.shape[0]} dimensions, not {size}"
    if basis.certificate.solver < SOLVER_VERSION:
        return f"of the solver's version {basis.certificate.solver}: solved anew"
    return ""


def _fetch(
    store: BasisStore,
    key: str,
    size: int | None,
    check: Callable[[Basis, bool], None],
    is_quick: Callable[[], bool],
) -> Basis | None:
    def accept(path: Path, is_trusted: bool) -> None:
        try:
            basis = read_basis(path, key)
            if fault := _fault(basis, size):
                raise FormatError(fault)
            check(basis, is_trusted)
        except IntertwineError as error:
            raise ValueError(str(error)) from error

    most = sys.maxsize if size is None else _HEADER_BYTES + _ENTRY_BYTES * size**2
    found = store.fetch(key, accept, most, is_quick)
    if found is None:
        return None
    _, path, place = found
    try:
        basis = read_basis(path, key)
    except (FormatError, OSError) as error:
        _LOG.warning("the store lost %s at once: %s", key, error)
        return None
    basis.cached = place
    return basis
