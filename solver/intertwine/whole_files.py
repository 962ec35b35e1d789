"""Atomic writes: a file appears complete or not at all, even if the process crashes."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that atomically replaces `path` when the block ends.

    It is written under a temporary name in the same folder, synced and renamed. An exception or a
    crash leaves the previous file; a crash may also leave the temporary one.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error, also of SQLite or safetensors, means that the disk is full."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "No space left on device" in str(error) or "disk is full" in str(error)


def _sync_folder(folder: Path) -> None:
    """Wait until the folder's names are on the disk (a no-op where folders cannot be synced)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
