"""The far tiers of a cache: other folders, object stores, services and web folders.

All have one layout of immutable files below a root, which anything that serves files can serve::

    manifests/ab/<key>.json
    blobs/ab/<digest>

A tier transfers bytes and does not check them; its readers do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from intertwine_cache.manifest import Manifest
from intertwine_cache.store import Store, Write

CONNECT_SECONDS = 5.0
"""The longest time to connect to a far tier, or to read the next piece of a blob from it."""
SERVICE_ROOT = "/v1/store/"
"""The root of the layout at an Intertwine service."""
KEY = "INTERTWINE_KEY"
"""The environment variable with the caller's key for services."""
_MOST_MANIFEST = 4 * 2**20  # bytes
_PIECE = 2**20  # bytes read at a time
_SCHEMES = ("s3", "gs", "az", "https", "http")


class TierError(OSError):
    """A far tier cannot be reached, or fails; the reason is its text."""


class Tier(Protocol):
    """A far tier: its address, without secrets, and whether it may be written to.

    Its methods raise `TierError` if it cannot be reached.
    """

    address: str
    is_writable: bool

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, or None. Raises `ValueError` for an invalid one."""

    def read(self, manifest: Manifest, write: Write) -> None:
        """Pass the bytes of a manifest's blob to `write`, in pieces.

        Raises `ValueError` if there is no blob, or its size is not that of the manifest. The digest
        is not checked.
        """

    def publish(self, manifest: Manifest, blob: Path) -> bool:
        """Store a blob, then its manifest, unless the key has one. Return whether it had none."""


class FolderTier:
    """Another folder with a store, for example one that a lab shares."""

    def __init__(self, folder: Path, *, is_writable: bool, limit: int) -> None:
        self.address, self.is_writable = str(folder), is_writable
        self._store = Store(folder, limit)

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, or None."""
        path = self._store.layout.manifest(key)
        with _as_tier_errors(self.address):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                return None
        return Manifest.from_bytes(key, content)

    def read(self, manifest: Manifest, write: Write) -> None:
        """Pass the bytes of a blob to `write`."""
        with _as_tier_errors(self.address), _require_blob(manifest):
            file = self._store.layout.blob(manifest.digest).open("rb")
        with file:
            _copy(manifest, iter(lambda: file.read(_PIECE), b""), write)

    def publish(self, manifest: Manifest, blob: Path) -> bool:
        """Store a blob and its manifest, unless the key has one."""
        with _as_tier_errors(self.address), blob.open("rb") as file:
            if self._store.manifest(manifest.key) is not None:
                return False
            pieces = iter(lambda: file.read(_PIECE), b"")
            found, _ = self._store.adopt(manifest, lambda write: _copy(manifest, pieces, write))
            return found.digest == manifest.digest


class ObjectTier:
    """An object store, or a folder of files on a web server, through obstore.

    Addresses are ``s3://bucket/prefix``, ``gs://…``, ``az://…``, and ``https://host/path/`` for a
    web folder, which is read-only. Credentials of object stores come from their usual environment
    variables. The files are below `root`, and `headers` are sent with every request.
    """

    def __init__(
        self,
        address: str,
        *,
        is_writable: bool,
        root: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.address, self.is_writable = without_secrets(address), is_writable
        # obstore would ask for `path//file`
        self._store = _open((address + root).rstrip("/"), headers or {})

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, or None."""
        import obstore

        with _as_tier_errors(self.address):
            try:
                found = obstore.get(self._store, manifest_path(key))
            except FileNotFoundError:
                return None
            size = found.meta["size"]
            content = bytes(found.bytes()) if size <= _MOST_MANIFEST else b""
        if size > _MOST_MANIFEST:
            raise ValueError(f"a manifest of {size:,} bytes is too large")
        return Manifest.from_bytes(key, content)

    def read(self, manifest: Manifest, write: Write) -> None:
        """Pass the bytes of a blob to `write`."""
        import obstore

        with _as_tier_errors(self.address), _require_blob(manifest):
            found = obstore.get(self._store, blob_path(manifest.digest))
        _copy(manifest, _stream(found, self.address), write)

    def publish(self, manifest: Manifest, blob: Path) -> bool:
        """Store a blob and its manifest, unless the key has one."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with _as_tier_errors(self.address):
            if self.manifest(manifest.key) is not None:
                return False
            obstore.put(self._store, blob_path(manifest.digest), blob)
            try:
                obstore.put(
                    self._store, manifest_path(manifest.key), manifest.to_bytes(), mode="create"
                )
            except AlreadyExistsError:
                return False
        return True


def open_tier(address: str, *, is_writable: bool, limit: int) -> Tier:
    """Return the tier of an address: a folder, or a URL.

    ``https://host/path/`` is a folder on a web server. Without a slash at its end it is an
    Intertwine service, which gets the key in `INTERTWINE_KEY`. Both are read-only. Raises
    `ValueError` for an unknown scheme, for a key that would be sent unencrypted to another machine,
    and if the extra `lab` is not installed.
    """
    _require_signatures(address)
    scheme = scheme_of(address)
    if scheme is None:
        folder = Path(address).expanduser().absolute()
        return FolderTier(folder, is_writable=is_writable, limit=limit)
    if scheme not in _SCHEMES:
        known = ", ".join(f"{each}://" for each in _SCHEMES)
        raise ValueError(f"a cache cannot be at {address!r}: give a folder, or one of {known}")
    if scheme in ("s3", "gs", "az"):
        return ObjectTier(address, is_writable=is_writable)
    if address.endswith("/"):
        return ObjectTier(address, is_writable=False)
    headers = _authorization(address)
    return ObjectTier(address, is_writable=False, root=SERVICE_ROOT, headers=headers)


def _authorization(address: str) -> dict[str, str]:
    """Return the header with the caller's key for a service, if there is one."""
    key = os.environ.get(KEY, "").strip()
    if not key:
        return {}
    is_here = urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
    if scheme_of(address) == "http" and not (is_here or _is_set("INTERTWINE_ALLOW_HTTP")):
        raise ValueError(
            f"the key in {KEY} would be sent unencrypted to {without_secrets(address)}: use "
            f"https://, or allow it with INTERTWINE_ALLOW_HTTP=1"
        )
    return {"Authorization": f"Bearer {key}"}


def scheme_of(address: str) -> str | None:
    """Return the scheme of a URL in lower case; None for a path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", address)
    return None if match is None else match[1].lower()


def without_secrets(address: str) -> str:
    """Return a URL without user, password and query."""
    return re.sub(r"(?<=://)[^/@]*@", "", address).partition("?")[0]


def manifest_path(key: str) -> str:
    """Return the path of a key's manifest below the root of a tier."""
    return f"manifests/{key[:2]}/{key}.json"


def blob_path(digest: str) -> str:
    """Return the path of a blob below the root of a tier."""
    return f"blobs/{digest[:2]}/{digest}"


def _open(address: str, headers: Mapping[str, str]) -> Any:
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise _extra_is_missing(address) from error
    seconds = timedelta(seconds=CONNECT_SECONDS)
    options: dict[str, Any] = {
        "connect_timeout": seconds,
        "read_timeout": seconds,
        "timeout": timedelta(hours=2),  # of a whole blob; the other two notice what is wrong
        "default_headers": dict(headers),
        "allow_http": scheme_of(address) == "http" or _is_set("AWS_ALLOW_HTTP"),
    }
    retries = {"max_retries": 1, "retry_timeout": seconds}
    open_store: Any = from_url  # its type is one for each kind of store
    try:
        return open_store(address, client_options=options, retry_config=retries)
    except Exception as error:  # obstore's errors of a URL have no common class
        raise ValueError(f"a cache cannot be at {without_secrets(address)}: {error}") from error


def _require_signatures(address: str) -> None:
    try:
        import cryptography.hazmat  # noqa: F401
    except ImportError as error:
        raise _extra_is_missing(address) from error


def _extra_is_missing(address: str) -> ValueError:
    return ValueError(
        f"a cache at {without_secrets(address)} needs the extra `lab`: "
        f"pip install 'intertwine[lab]'"
    )


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() in ("1", "true", "yes", "on")


def _copy(manifest: Manifest, pieces: Iterator[Any], write: Write) -> None:
    """Write as many bytes as the manifest says. Raises `ValueError` for another number."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > manifest.size:
            break
        write(piece)
    if size != manifest.size:
        raise ValueError(f"the blob of {manifest.key} does not have {manifest.size:,} bytes")


def _stream(found: Any, address: str) -> Iterator[memoryview]:
    pieces = iter(found.stream(min_chunk_size=_PIECE))
    while True:
        with _as_tier_errors(address):
            piece = next(pieces, None)
        if piece is None:
            return
        yield memoryview(piece)


@contextmanager
def _require_blob(manifest: Manifest) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ValueError(f"the blob of {manifest.key} is missing") from error


@contextmanager
def _as_tier_errors(address: str) -> Iterator[None]:
    """Turn the errors of a disk and of obstore into `TierError`."""
    try:
        yield
    except TierError:
        raise
    except OSError as error:
        raise TierError(f"{address}: {error}") from error
    except Exception as error:
        if not type(error).__module__.startswith("obstore"):
            raise
        raise TierError(f"{address}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
