"""Files that only the service's own user may read: data are their owners'."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOG = logging.getLogger("intertwine.service")
_OTHERS = 0o077  # the permissions of the group and of everybody else
_STORE = "cache"  # bases are nobody's secret, and a lab may share them


@contextmanager
def private_files(home: Path) -> Iterator[None]:
    """Create no file, in this block, that others may read; and close those of a data folder.

    Processes that are started in the block inherit it. The store of bases keeps its permissions,
    which its new files take from its folder (see `intertwine_cache.Layout.share`).
    """
    before = os.umask(_OTHERS)
    try:
        close(home)
        yield
    finally:
        os.umask(before)


def close(home: Path) -> None:
    """Take the permissions of others from what is in a data folder, but for the store.

    Others keep those to enter the folder itself, because the store is in there. A file of another
    user cannot be changed, which is logged.
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
            "%s is of another user, and others may read it: give it to the service's user with "
            "chown, or remove the permissions with chmod go=",
            entry.path,
        )
