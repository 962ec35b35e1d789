"""Large objects that must not be lost: the files of datasets, and the weights of models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from intertwine_cache import Store

from intertwine_api.storage.folder_objects import Content, Fault, FolderObjects

if TYPE_CHECKING:
    from intertwine_api.storage.bucket import Bucket

CACHE_BYTES = 10 * 10**9
"""The default limit, in bytes, of the copies of a bucket's objects in a data folder."""


class Objects(Protocol):
    """Blobs, each under the sha256 of its bytes, kept until they are removed.

    They are in a folder, or in a bucket that several hosts share. `address` is the folder or the
    URL, without secrets; `bucket` is None for a folder. All threads and processes may use the same
    blobs. If they are in a bucket, every method also raises `BucketError`.
    """

    address: str
    bucket: Bucket | None

    def put(self, file: Path) -> tuple[str, int]:
        """Keep a copy of a file. Return its digest and size. Raises `OSError`."""

    def put_bytes(self, content: bytes) -> tuple[str, int]:
        """Keep bytes. Return their digest and size. Raises `OSError`."""

    def put_content(self, content: Content) -> tuple[str, int]:
        """Keep what a function writes, which is called twice. Return digest and size.

        Raises `OSError`, with ENOSPC if the disk is full.
        """

    def path(self, digest: str) -> Path | None:
        """Return a local file of a blob, checked against its digest; None if there is no such blob.

        A blob in a bucket is downloaded first, so do not call this in a transaction. Raises
        `ValueError` for a text that is not a digest.
        """

    def copy(self, digest: str, target: Path) -> bool:
        """Write the bytes of a blob to a file. Return whether they have the digest.

        False also if there is no such blob.
        """

    def has(self, digest: str) -> bool:
        """Whether a blob exists. Its bytes are not checked."""

    def size(self, digest: str) -> int:
        """Return the size of a blob in bytes; zero if it does not exist."""

    def verify(self) -> Iterator[Fault]:
        """Hash every blob. Yield the faults, and change nothing."""

    def is_empty(self) -> bool:
        """Whether there are no blobs."""

    def unused(self, since: float) -> list[str]:
        """Return the digests of blobs that have not been put or read since a time."""

    def remove_unused(self, digest: str, since: float) -> bool:
        """Delete a blob unless it was put or read since a time. Return whether it was deleted."""

    def remove(self, digest: str) -> bool:
        """Delete a blob. Return whether it was there. Open files stay readable."""

    def check(self) -> None:
        """Raise `BucketError` if the bucket cannot be reached."""


def open_objects(
    address: str, home: Path, cache_bytes: int = CACHE_BYTES, patience: float = 0.0
) -> Objects:
    """Return the objects in the bucket at `address`, or in the data folder `home` if it is empty.

    At most `cache_bytes` of a bucket's objects are also in the data folder. While the bucket is
    unavailable, uploads and downloads are retried for up to `patience` seconds. Raises
    `InvalidSetting` for an invalid address, and if the extra `lab` is not installed.
    """
    if not address:
        return FolderObjects(home / "objects")
    from intertwine_api.storage.bucket import Bucket
    from intertwine_api.storage.bucket_objects import BucketObjects

    return BucketObjects(Bucket(address), Store(home / "objects-cache", cache_bytes), patience)
