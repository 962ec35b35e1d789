"""A bucket of an object store, which the hosts of a service share."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from intertwine.errors import InvalidSetting
from intertwine_cache.tiers.address import scheme_of
from intertwine_cache.tiers.bucket import open_bucket
from intertwine_cache.tiers.tier import PIECE, first_line

_SCHEMES = ("s3", "gs", "az")
_PURPOSE = "a bucket of the service"
_UPLOAD_SECONDS = 60.0  # for an object store to join the parts of a large object
_LISTED = 1000  # objects in a page of a list
_PART = 8 * 2**20  # bytes of a part of a large object that is sent
_PARTS = 4  # parts that are in memory at once
_REFUSED = re.compile("status code: (401|403|404)")  # obstore has no error class for these in lists
_MOST_PARTS = 10_000  # of one object, in S3


class BucketError(OSError):
    """A bucket cannot be used; its text says why."""


class BucketUnavailable(BucketError):
    """A bucket cannot be reached, or fails. The same call can succeed later."""


class BucketRefused(BucketError):
    """A bucket does not exist, or the credentials do not permit the request."""


@dataclass(frozen=True)
class Entry:
    """An object: its path, its size in bytes, and its time in Unix time by the bucket's clock."""

    path: str
    size: int
    modified: float


def require_bucket_address(address: str) -> str:
    """Return the address of a bucket without a slash at its end. Raises `ValueError`.

    The address has no credentials: they come from the usual environment variables.
    """
    parts = address.partition("://")[2]
    if scheme_of(address) not in _SCHEMES or not parts.strip("/"):
        raise ValueError(
            "it is not the address of a bucket: give s3://bucket/prefix, gs://bucket/prefix or "
            "az://container/prefix"
        )
    if any(sign in parts for sign in "@?#") or any(c.isspace() for c in parts):
        raise ValueError(
            "the address of a bucket has neither credentials nor options: give them by the "
            "environment variables of the object store, such as AWS_ACCESS_KEY_ID"
        )
    return address.rstrip("/")


class Bucket:
    """The objects below an address such as ``s3://bucket/prefix``.

    All methods raise `BucketError`, and none checks content. Threads may share a bucket. The
    constructor raises `InvalidSetting` for an invalid address, and if the extra `lab` is not
    installed.
    """

    def __init__(self, address: str) -> None:
        try:
            self.address = require_bucket_address(address)
            self._store = open_bucket(self.address, {}, _PURPOSE)
            self._uploads = open_bucket(self.address, {}, _PURPOSE, _UPLOAD_SECONDS)
        except ValueError as error:
            raise InvalidSetting(str(error)) from error

    def head(self, path: str) -> Entry | None:
        """Return what the bucket knows about an object; None if it does not exist."""
        import obstore

        with self._errors():
            try:
                return _entry(obstore.head(self._store, path))
            except FileNotFoundError:
                return None

    def get(self, path: str, most: int = 16 * 2**20) -> bytes | None:
        """Return the bytes of a small object, or None. Raises `ValueError` above `most` bytes."""
        found = self.read(path)
        if found is None:
            return None
        content = bytearray()
        for piece in found:
            content += piece
            if len(content) > most:
                raise ValueError(f"{self.address}/{path} has more than {most:,} bytes")
        return bytes(content)

    def read(self, path: str) -> Iterator[memoryview] | None:
        """Return the bytes of an object in pieces of about 1 MB; None if it does not exist."""
        import obstore

        with self._errors():
            try:
                found = obstore.get(self._store, path)
            except FileNotFoundError:
                return None
            return self._pieces(iter(found.stream(min_chunk_size=PIECE)))

    def _pieces(self, pieces: Iterator[Any]) -> Iterator[memoryview]:
        while True:
            with self._errors():
                piece = next(pieces, None)
            if piece is None:
                return
            yield memoryview(piece)

    def put(self, path: str, content: bytes | Path | BinaryIO) -> None:
        """Write an object from bytes or from a file. An existing one is replaced, as a whole.

        A large file is sent in parts: at most some 40 MB of it are in memory.
        """
        import obstore

        with self._errors(), _opened(content) as source:
            size = len(source) if isinstance(source, bytes) else _size(source)
            part = max(_PART, -(-size // _MOST_PARTS))
            is_large = size > 2 * _PART
            try:
                obstore.put(
                    self._uploads if is_large else self._store,
                    path,
                    source,
                    use_multipart=is_large,
                    chunk_size=part,
                    max_concurrency=_PARTS,
                )
            except FileNotFoundError as error:
                raise self._not_found(error) from error

    def create(self, path: str, content: bytes) -> bool:
        """Write a small object unless it exists. Return whether it was written.

        Of two writers at the same time, one is refused; a store that does not support conditional
        writes may write both.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotSupportedError

        with self._errors():
            try:
                obstore.put(self._store, path, content, mode="create")
            except AlreadyExistsError:
                return False
            except NotSupportedError:
                if self.head(path) is not None:
                    return False
                obstore.put(self._store, path, content)
            except FileNotFoundError as error:
                raise self._not_found(error) from error
        return True

    def delete(self, path: str) -> None:
        """Delete an object, if it exists."""
        import obstore

        with self._errors(), suppress(FileNotFoundError):
            obstore.delete(self._store, path)

    def list(self, folder: str) -> Iterator[Entry]:
        """Yield the objects whose paths begin with a folder and a slash."""
        import obstore

        pages = iter(obstore.list(self._store, folder, chunk_size=_LISTED))
        while True:
            with self._errors():
                page = next(pages, None)
            if page is None:
                return
            yield from map(_entry, page)

    def clock_offset(self) -> float:
        """Return the seconds by which the bucket's clock is ahead of this host's.

        It writes a small object, reads its time and deletes it. The result is exact to about a
        second.
        """
        path = f"probes/{uuid.uuid4().hex}"
        try:
            self.put(path, b"")
            found = self.head(path)
        finally:
            self.delete(path)
        if found is None:
            raise BucketUnavailable(f"{self.address}: an object that was written cannot be read")
        return found.modified - time.time()

    def _not_found(self, error: FileNotFoundError) -> BucketError:
        """Return the error of a write that was answered with 404."""
        if "NoSuchUpload" in str(error):  # the upload of a large object was aborted
            return BucketUnavailable(f"{self.address}: {first_line(error)}")
        return BucketRefused(f"{self.address}: there is no such bucket")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of obstore and of the network into `BucketError`."""
        try:
            yield
        except (BucketError, FileNotFoundError):
            raise
        except Exception as error:
            kind = type(error)
            if not (isinstance(error, OSError) or kind.__module__.startswith("obstore")):
                raise
            text = f"{self.address}: {first_line(error)}"
            is_refusal = kind.__name__ in ("PermissionDeniedError", "UnauthenticatedError")
            if is_refusal or _REFUSED.search(str(error)):
                raise BucketRefused(text) from error
            raise BucketUnavailable(text) from error


def _entry(meta: Any) -> Entry:
    return Entry(str(meta["path"]), int(meta["size"]), meta["last_modified"].timestamp())


@contextmanager
def _opened(content: bytes | Path | BinaryIO) -> Iterator[bytes | BinaryIO]:
    if isinstance(content, Path):
        with content.open("rb") as file:
            yield file
    else:
        yield content


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size
