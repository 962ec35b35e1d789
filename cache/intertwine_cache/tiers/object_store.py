"""A far tier that is an object store, or a folder on a web server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from intertwine_cache.layout import blob_path, digest_in, key_of, manifest_path
from intertwine_cache.manifest import LaterVersion, Manifest
from intertwine_cache.store import Write
from intertwine_cache.tiers.address import scheme_of, without_secrets
from intertwine_cache.tiers.bucket import open_bucket, stream
from intertwine_cache.tiers.tier import (
    MOST_MANIFEST,
    PRESENT,
    STORED,
    CannotList,
    Outcome,
    StoredFile,
    TierError,
    as_tier_errors,
    copy_pieces,
    first_line,
    is_outdated,
    require_blob,
)

_LOG = logging.getLogger("intertwine.cache")

UPLOAD_SECONDS = 600.0
"""The longest time to send a part of a blob (5 MB, and several at once) and to get the answer."""
_LISTED = 1000  # keys in a page of a list
_PROBE = "probes/create"
"""The path of an empty object with which writers find out what an object store can do."""
_CLOCK = "probes/clock"
"""The path of an empty object that is written to learn the time of the store's clock."""
_READABLE_SECONDS = 60.0
"""How long a read proves that the credentials are valid."""
_WITHOUT_LISTING = (
    "; the credentials are wrong, or they have no right to list (s3:ListBucket) and "
    f"{_PROBE} is missing"
)
_UNCONDITIONAL = (
    "its server ignores conditions of writes: of two results that are published under one key at "
    "the same time, the last one stays"
)


class ObjectTier:
    """An object store, or a folder of files on a web server, through obstore.

    Addresses are ``s3://bucket/prefix``, ``gs://…``, ``az://…``, ``file://…`` for a folder that
    will be served, and ``https://host/path/`` for one that is, which is read-only. Credentials of
    object stores come from their usual environment variables. The files are below `root`, and
    `headers` are sent with every request.
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
        url = (address + root).rstrip("/")  # obstore would ask for `path//file`
        self._store = open_bucket(url, headers or {})
        self._uploads = self._store
        if is_writable:
            self._uploads = open_bucket(url, headers or {}, read_seconds=UPLOAD_SECONDS)
        self._mutex = threading.RLock()
        is_folder = scheme_of(address) == "file"
        self._is_conditional: bool | None = True if is_folder else None  # None until it is probed
        self._limits = ""
        self._readable_until = float("-inf")

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, or None."""
        found = self._stored(key)
        if found is None:
            return None
        manifest, _ = found
        if isinstance(manifest, ValueError):
            raise manifest
        return manifest

    def _stored(self, key: str) -> tuple[Manifest | ValueError, str | None] | None:
        """Return a key's manifest, or why it is invalid, and its ETag. None if it is missing."""
        import obstore
        from obstore.exceptions import PermissionDeniedError

        with as_tier_errors(self.address):
            try:
                found = obstore.get(self._store, manifest_path(key))
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
            except PermissionDeniedError as error:
                if self._is_readable():
                    return None
                message = f"{self.address}: {first_line(error)}"
                if scheme_of(self.address) in ("s3", "gs"):
                    message += _WITHOUT_LISTING
                raise TierError(message) from error
            size, tag = found.meta["size"], found.meta["e_tag"]
            content = bytes(found.bytes()) if size <= MOST_MANIFEST else b""
        self._readable_until = time.monotonic() + _READABLE_SECONDS
        if size > MOST_MANIFEST:
            return ValueError(f"a manifest of {size:,} bytes is too large"), tag
        try:
            return Manifest.from_bytes(key, content), tag
        except ValueError as error:
            return error, tag

    def _is_readable(self) -> bool:
        """Return whether the store lets these credentials read: then a refused key is a miss.

        Without the right to list, S3 and GCS answer 403 for a missing object, as they do for wrong
        credentials. Only objects that exist tell these apart: one that was read within a minute, or
        the one that `probe` wrote.
        """
        import obstore
        from obstore.exceptions import PermissionDeniedError

        if time.monotonic() >= self._readable_until:
            try:
                obstore.head(self._store, _PROBE)
            except (FileNotFoundError, PermissionDeniedError):
                return False
            self._readable_until = time.monotonic() + _READABLE_SECONDS
        return True

    def keys(self) -> Iterator[str]:
        """Yield the keys of all manifests in ascending order.

        Raises `CannotList` for web folders and services.
        """
        paths = (file.path for page in self.files("manifests") for file in page)
        # sorted here: only some object stores return a sorted list
        yield from sorted(key for path in paths if (key := key_of(path)) is not None)

    def files(self, folder: str) -> Iterator[list[StoredFile]]:
        """Yield the files below ``manifests`` or ``blobs``, in pages.

        Raises `CannotList` for web folders and services.
        """
        import obstore

        if scheme_of(self.address) in ("http", "https"):
            raise self._cannot_list()
        name_of = key_of if folder == "manifests" else digest_in
        pages = iter(obstore.list(self._store, folder, chunk_size=_LISTED))
        while True:
            with as_tier_errors(self.address):
                page = next(pages, None)
            if page is None:
                return
            yield [
                StoredFile(meta["path"], meta["size"], meta["last_modified"].timestamp())
                for meta in page
                if name_of(meta["path"]) is not None
            ]

    def _cannot_list(self) -> CannotList:
        return CannotList(
            f"{self.address} cannot list its keys: name the keys, or give the folder or object "
            f"store that it serves"
        )

    def delete(self, files: Sequence[StoredFile]) -> None:
        """Delete files, many in one request where the store can."""
        import obstore

        with as_tier_errors(self.address):
            try:
                obstore.delete(self._store, [file.path for file in files])
            except FileNotFoundError:  # some stores delete one by one, and stop at a missing file
                for file in files:
                    with suppress(FileNotFoundError):
                        obstore.delete(self._store, file.path)

    def now(self) -> float:
        """Return the time of the store's clock."""
        import obstore

        with as_tier_errors(self.address):
            obstore.put(self._store, _CLOCK, b"")
            return float(obstore.head(self._store, _CLOCK)["last_modified"].timestamp())

    def read(self, manifest: Manifest, write: Write) -> None:
        """Pass the bytes of a blob to `write`."""
        import obstore

        with as_tier_errors(self.address), require_blob(manifest):
            found = obstore.get(self._store, blob_path(manifest.digest))
        copy_pieces(manifest, stream(found, self.address), write)

    def publish(self, manifest: Manifest, blob: Path) -> Outcome:
        """Store a blob and its manifest, unless the key has one that can be used."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PermissionDeniedError, PreconditionError

        if not self.is_writable:
            return self._refusal()
        found, tag = self._before_writing(manifest.key) or (None, None)
        if found is not None:
            fault = self._fault(found, manifest)
            if not fault:
                return PRESENT
            _LOG.warning("%s is replaced in %s: %s", manifest.key, self.address, fault)
        self.probe()  # may find that it is read-only
        if not self.is_writable:
            return self._refusal()
        with as_tier_errors(self.address):
            try:
                obstore.put(self._uploads, blob_path(manifest.digest), blob)
                is_late = found is None and not self._is_conditional
                if is_late and self._stored(manifest.key) is not None:
                    return PRESENT
                mode: Any = "create" if found is None else {"e_tag": tag} if tag else "overwrite"
                self._put_manifest(manifest, mode if self._is_conditional else "overwrite")
            except (AlreadyExistsError, PreconditionError):
                return PRESENT
            except PermissionDeniedError as error:
                self._become_read_only(error)
                return self._refusal()
        return STORED

    def _before_writing(self, key: str) -> tuple[Manifest | ValueError, str | None] | None:
        """Return the result of `_stored`, after a probe if the store refuses the key.

        A new bucket has no object yet that shows that the credentials can read.
        """
        from obstore.exceptions import PermissionDeniedError

        try:
            return self._stored(key)
        except TierError as error:
            if not isinstance(error.__cause__, PermissionDeniedError):
                raise
        self.probe()
        return self._stored(key)

    def _fault(self, found: Manifest | ValueError, new: Manifest) -> str:
        """Return why a new manifest replaces the one in the store, or ""."""
        import obstore
        from obstore.exceptions import PermissionDeniedError

        if isinstance(found, LaterVersion):
            return ""
        if isinstance(found, ValueError):
            return str(found)
        if is_outdated(found, new):
            return "it is of an earlier version of the solver"
        with as_tier_errors(self.address):
            try:
                size = obstore.head(self._store, blob_path(found.digest))["size"]
            except FileNotFoundError:
                return "its blob is missing"
            except PermissionDeniedError:  # it may be missing, or not
                return ""
        return "" if size == found.size else f"its blob has {size:,} bytes, not {found.size:,}"

    def _put_manifest(self, manifest: Manifest, mode: Any) -> None:
        """Write a manifest in a mode of obstore."""
        import obstore
        from obstore.exceptions import NotSupportedError, PreconditionError

        target, content = manifest_path(manifest.key), manifest.to_bytes()
        try:
            obstore.put(self._store, target, content, mode=mode)
        except PreconditionError:
            if not isinstance(mode, dict) or not mode["e_tag"].startswith('"'):
                raise
            # Ceph compares the ETag without its quotes; elsewhere this is refused once more
            obstore.put(self._store, target, content, mode={"e_tag": mode["e_tag"].strip('"')})
        except (NotImplementedError, NotSupportedError):
            if mode == "create":
                raise
            obstore.put(self._store, target, content)  # folders compare no ETags

    def _refusal(self) -> Outcome:
        return Outcome(False, self._limits or "it is read-only")

    def probe(self) -> str:
        """Find out, once, whether the store can be written to, and supports conditional writes.

        Return what it cannot do, or "".
        """
        from obstore.exceptions import PermissionDeniedError

        with self._mutex, as_tier_errors(self.address):
            if self.is_writable and self._is_conditional is None:
                try:
                    self._is_conditional = self._keeps_existing()
                except PermissionDeniedError as error:
                    self._become_read_only(error)
                else:
                    if not self._is_conditional:
                        self._limits = _UNCONDITIONAL
                        _LOG.warning("%s: %s", self.address, self._limits)
        return self._limits

    def _keeps_existing(self) -> bool:
        """Return whether the store refuses to create an object that exists.

        The object stays, so that later processes need one request and no right to delete.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, GenericError, NotSupportedError

        try:
            for _ in range(2):
                obstore.put(self._store, _PROBE, b"", mode="create")
        except AlreadyExistsError:
            return True
        except (NotSupportedError, GenericError):  # so some stores answer conditions
            obstore.put(self._store, _PROBE, b"")  # raises if it is not the condition that failed
        return False

    def _become_read_only(self, error: Exception) -> None:
        with self._mutex:
            if self.is_writable:
                self._limits = f"it refuses to be written to: {first_line(error)}"
                self.is_writable = False
                _LOG.warning("%s is read-only from now on: %s", self.address, self._limits)
