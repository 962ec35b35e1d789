"""The steps of an atomic publish, each a function of its own.

The order, and why a crash between any two steps leaves the store consistent:

1. *write* a temporary file of a unique name in the store, hashing;
2. *sync* it, so that its bytes are on the disk before its name;
3. *rename* it to its final name (a blob's is the sha256 of its bytes, so overwriting one is
   harmless), or *link* it there (a manifest's: it must not replace an existing one);
4. *sync* the folder, so that the name survives too.

The blob goes through all four before its manifest begins. A crash leaves temporary files, or an
unreferenced blob; `eviction.remove_abandoned` deletes both when they are old.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_SYNCED_BYTES = 2**26  # of a file, after which it is synced while it is written


def write(file: BinaryIO, piece: bytes | memoryview) -> None:
    """Append bytes to an open file."""
    file.write(piece)


def sync_file(file: BinaryIO) -> None:
    """Wait until the file's bytes are on the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def syncing(file: BinaryIO) -> Iterator[Callable[[int], None]]:
    """Sync a large file in a thread while it is written, so that `sync_file` at its end is short.

    Yield a function that must be called with the number of bytes written so far. The error of a
    sync is raised at the end of the block, because a disk reports an error only once.
    """
    due, synced, errors = threading.Event(), 0, list[OSError]()
    thread: threading.Thread | None = None
    is_done = False

    def work() -> None:
        while True:
            due.wait()
            due.clear()
            if is_done:
                return
            try:
                os.fsync(file.fileno())
            except OSError as error:
                errors.append(error)
                return

    def written(size: int) -> None:
        nonlocal synced, thread
        if size - synced >= _SYNCED_BYTES:
            synced = size
            due.set()
            if thread is None:
                thread = threading.Thread(target=work, name="sync", daemon=True)
                thread.start()

    try:
        yield written
    finally:
        is_done = True
        due.set()
        if thread is not None:
            thread.join()
    if errors:
        raise errors[0]


def rename(source: Path, target: Path) -> None:
    """Give a file its final name, and replace an existing file of that name."""
    source.replace(target)


def link(source: Path, target: Path) -> None:
    """Add a name to a file. Raises `FileExistsError` if the name is taken."""
    target.hardlink_to(source)


def sync_folder(folder: Path) -> None:
    """Wait until the folder's names are on the disk (a no-op where folders cannot be synced)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, share: Callable[[Path], None]) -> None:
    """Create a folder, with its parents, and sync it so that it survives a crash.

    `share` sets the permissions of new folders.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, share)
    folder.mkdir(exist_ok=True)
    share(folder)
    sync_folder(folder.parent)


def put_new(
    temporary: Path,
    target: Path,
    content: Callable[[BinaryIO], None],
    share: Callable[[Path], None],
) -> bool:
    """Publish a file unless its name is taken. Return whether it was published.

    `share` sets the permissions of the file and of new folders.
    """
    try:
        with temporary.open("xb") as file:
            content(file)
            sync_file(file)
        share(temporary)
        make_folder(target.parent, share)
        try:
            link(temporary, target)
        except FileExistsError:
            return False
        sync_folder(target.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)
