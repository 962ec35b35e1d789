"""Permissions of files: only the service's user may read the data folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOG = logging.getLogger("intertwine.service")
_OTHERS = 0o077  # the permissions of the group and of all others
_STORE = "cache"  # bases are not private, and a lab may share them


@contextmanager
def private_files(home: Path) -> Iterator[None]:
    """Make files private: new ones in this block, and those in a data folder.

    Processes that are started in the block inherit the umask. The store of bases keeps its
    permissions; its new files have those of its folder (see `intertwine_cache.Layout.share`).
    """
    before = os.umask(_OTHERS)
    try:
        close(home)
        yield
    finally:
        os.umask(before)


def close(home: Path) -> None:
    """Remove the permissions of other users from the files in a data folder, except the store.

    Other users may still enter the folder itself, because the store is in it. Files of another user
    cannot be changed, which is logged.
    """
    if not home.is_dir():
        return
    with os.scandir(home) as entries:
        for entry in entries:
            if entry.name != _STORE and not entry.is_symlink():
                _take_from_others(entry)


def _take_from_others(entry: os.DirEntry[str]) -> None:
    try:
        mode = entry.stat(follow_symlinks=False).st_mode & 0o7777
        if mode & _OTHERS:
            os.chmod(entry.path, mode & ~_OTHERS)
    except FileNotFoundError:
        pass  # a temporary file
    except PermissionError:
        _LOG.warning(
            "%s belongs to another user, and others may read it: give it to the service's user "
            "with chown, or remove the permissions with chmod go=",
            entry.path,
        )
