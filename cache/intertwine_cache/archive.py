"""Archives of bases, for machines without a network: a tar with the files of a tier.

::

    blobs/ab/<digest>
    manifests/ab/<key>.json

Nothing is ever extracted by the name that an archive gives it. The whole archive is listed first,
and refused unless each member is a regular file with a name of the layout.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from intertwine_cache.layout import blob_path, digest_in, key_of, manifest_path
from intertwine_cache.manifest import Manifest
from intertwine_cache.store import Write
from intertwine_cache.tiers.tier import MOST_MANIFEST, STORED, Outcome

_BLOCK = tarfile.BLOCKSIZE
_PIECE = 2**20  # bytes read at a time
_FILES, _FOLDERS = (tarfile.REGTYPE, tarfile.AREGTYPE), (tarfile.DIRTYPE,)
_MOST_MEMBERS = 10**6
_MODE = 0o644
_KINDS = {
    tarfile.LNKTYPE: "hard link",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "named pipe",
    tarfile.DIRTYPE: "folder that no store has",
    tarfile.GNUTYPE_SPARSE: "sparse file",
    tarfile.GNUTYPE_LONGNAME: "long name",
    tarfile.XHDTYPE: "header of attributes",
    tarfile.XGLTYPE: "header of attributes",
}
_FOLDER = re.compile(r"\.?|(manifests|blobs)(/[0-9a-f]{2})?")


class ArchiveReader:
    """An archive, to copy entries from (`transfer.Source`).

    Raises `ValueError` if it is truncated, is no tar, or has a member that is not of the layout:
    absolute paths, ``..``, links, devices, sparse files, or two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._path = path
        self._members: dict[str, tuple[int, int]] = {}  # the offset and the size, by name
        with path.open("rb") as file:
            try:
                self._list(file)
            except ValueError as error:
                raise ValueError(f"{path} is refused: {error}") from error

    def keys(self) -> Iterator[str]:
        """Yield the keys of all manifests in ascending order."""
        return iter(sorted(key for name in self._members if (key := key_of(name)) is not None))

    def manifest(self, key: str) -> Manifest | None:
        """Return the manifest of a key, or None. Raises `ValueError` for an invalid one."""
        found = self._members.get(manifest_path(key))
        if found is None:
            return None
        offset, size = found
        with self._path.open("rb") as file:
            file.seek(offset)
            return Manifest.from_bytes(key, file.read(size))

    def read(self, manifest: Manifest, write: Write) -> None:
        """Pass the bytes of a manifest's blob to `write`, in pieces.

        Raises `ValueError` if there is no blob, or its size is not that of the manifest.
        """
        found = self._members.get(blob_path(manifest.digest))
        if found is None:
            raise ValueError(f"the blob of {manifest.key} is missing")
        offset, left = found
        if left != manifest.size:
            raise ValueError(f"the blob of {manifest.key} does not have {manifest.size:,} bytes")
        with self._path.open("rb") as file:
            file.seek(offset)
            while left:
                piece = file.read(min(left, _PIECE))
                if not piece:
                    raise ValueError(f"{self.address} was truncated while it was read")
                left -= len(piece)
                write(piece)

    def _list(self, file: BinaryIO) -> None:
        """Read the headers of all members. Raises `ValueError` for one that is refused."""
        length, offset = os.fstat(file.fileno()).st_size, 0
        while True:
            file.seek(offset)
            block = file.read(_BLOCK)
            if len(block) < _BLOCK:
                what = "it is truncated" if self._members else "it is not a tar file"
                raise ValueError(f"{what}: it ends at byte {length:,} without an end mark")
            if not any(block):
                return
            member = _header(block, offset)
            offset += _BLOCK
            if member.size < 0 or offset + member.size > length:
                raise ValueError(f"it is truncated: {member.name!r} has {member.size:,} bytes")
            self._add(member, offset)
            offset += -(-member.size // _BLOCK) * _BLOCK

    def _add(self, member: tarfile.TarInfo, offset: int) -> None:
        name = member.name.removeprefix("./")
        if member.type in _FOLDERS and member.size == 0 and _is_folder(name):
            return
        if member.type not in _FILES:
            kind = _KINDS.get(member.type, f"type {member.type!r}")
            raise ValueError(f"{member.name!r} is a {kind}: only regular files are read")
        if key_of(name) is None and digest_in(name) is None:
            raise ValueError(f"{member.name!r} is not a file of a store")
        if key_of(name) is not None and member.size > MOST_MANIFEST:
            raise ValueError(f"{member.name!r} has {member.size:,} bytes, too many for a manifest")
        if name in self._members:
            raise ValueError(f"it has {member.name!r} twice")
        if len(self._members) == _MOST_MEMBERS:
            raise ValueError(f"it has more than {_MOST_MEMBERS:,} files")
        self._members[name] = (offset, member.size)


class ArchiveWriter:
    """A new archive, to copy entries to (`transfer.Destination`), in a ``with`` statement.

    The file gets its name at the end, unless an error ends the statement. Raises `FileExistsError`
    if the name is taken.
    """

    is_writable = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._mutex = threading.Lock()
        self._written: set[str] = set()

    def __enter__(self) -> Self:
        self._require_new()
        self._file = self._partial.open("xb")
        # a size above 8 GiB fits into the header of this format, without further headers
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.GNU_FORMAT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._mutex, self._file:
                if kind is None:
                    self._tar.close()
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if kind is None:
                self._require_new()
                self._partial.replace(self._path)
        finally:
            self._partial.unlink(missing_ok=True)

    def publish(self, manifest: Manifest, blob: Path) -> Outcome:
        """Append a blob, unless it is there already, then its manifest."""
        with self._mutex:
            if manifest.digest not in self._written:
                with blob.open("rb") as file:
                    self._append(blob_path(manifest.digest), manifest.size, manifest, file)
                self._written.add(manifest.digest)
            content = manifest.to_bytes()
            self._append(manifest_path(manifest.key), len(content), manifest, io.BytesIO(content))
        return STORED

    def _append(self, name: str, size: int, manifest: Manifest, file: BinaryIO) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = size, int(manifest.created), _MODE
        self._tar.addfile(member, file)

    def _require_new(self) -> None:
        if self._path.exists():
            raise FileExistsError(f"{self._path} exists: delete it, or give another name")


def _header(block: bytes, offset: int) -> tarfile.TarInfo:
    """Parse the header of a member. Raises `ValueError` if it is none."""
    try:
        return tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        fault = "it is corrupt" if offset else "it is not a tar file, or it is compressed"
        raise ValueError(f"{fault}: no header at byte {offset:,} ({error})") from error


def _is_folder(name: str) -> bool:
    return _FOLDER.fullmatch(name.rstrip("/")) is not None
