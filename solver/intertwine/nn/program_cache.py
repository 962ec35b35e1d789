"""JAX's cache of compiled programs, on by default, in the folder of the store of bases.

Compiling takes most of the time of a first training step. JAX has a cache for compiled programs,
which is off until a folder is set. Users' own settings of that cache are not changed. The cache is
one setting of the process: it also keeps programs that do not come from this library.

Programs are executable code. They are read from a folder that no other user can change, and never
from far tiers.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import shutil
import stat
import time
import warnings
from pathlib import Path
from typing import Any

import jax

from intertwine.bases.store import find_store
from intertwine.errors import InvalidSetting

PROGRAMS = "INTERTWINE_PROGRAMS"
"""The environment variable with the folder of compiled programs; ``off`` disables the cache."""
_NAME = "programs"
_BYTES = 500 * 10**6
"""The limit of the cache. JAX evicts the least recently used programs above it."""
_LEAST_FREE = 2 * _BYTES
"""With less free space on the disk, no programs are kept."""
_SECONDS = 0.03
"""Programs that compile faster are not kept: reading takes about a tenth of this."""
_ABANDONED = 60.0
_CONFIG: Any = jax.config
_LOG = logging.getLogger("intertwine")


def use_program_cache() -> None:
    """Let JAX keep compiled programs, unless the user has set up JAX's cache or turned this off.

    Never raises: without a usable folder, programs are compiled in each process.
    """
    if _CONFIG.jax_compilation_cache_dir or not _CONFIG.jax_enable_compilation_cache:
        return
    folder = _folder()
    if folder is None:
        return
    try:
        fault = _prepared(folder)
    except OSError as error:
        fault = str(error)
    if fault:
        _LOG.info("compiled programs are not kept: %s; set %s to another folder", fault, PROGRAMS)
        return
    _set_unless_given("jax_persistent_cache_min_compile_time_secs", _SECONDS, 1.0)
    _set_unless_given("jax_compilation_cache_max_size", _BYTES, -1)
    _CONFIG.update("jax_compilation_cache_dir", str(folder))
    # a full disk only makes later starts slower: JAX would warn for each program
    warnings.filterwarnings("ignore", "Error writing persistent compilation cache entry")


def _folder() -> Path | None:
    """Return the folder of programs for this processor; None if programs are not kept.

    Programs use the instructions of the processor for which they were compiled, and a folder may be
    shared between machines. Its path has no symbolic links: they are in folders of their own, which
    others might be able to change.
    """
    named = os.environ.get(PROGRAMS, "").strip()
    if named.lower() == "off":
        return None
    if named:
        return Path(os.path.realpath(Path(named).expanduser() / _processor()))
    try:
        store = find_store()
    except InvalidSetting:  # reported by the first solve
        return None
    if store is None:
        return None
    return Path(os.path.realpath(store.folder / _NAME / _processor()))


def _processor() -> str:
    """Return a digest of the instructions that this processor has."""
    found = [platform.machine()]
    with contextlib.suppress(OSError):  # not Linux
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = ("flags", "Features", "model name", "CPU part")
        found += sorted({line for line in lines if line.startswith(names)})
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def _prepared(folder: Path) -> str:
    """Create the folder, and delete incomplete entries of killed processes.

    Return why the folder cannot be used, or "".
    """
    folder.parent.mkdir(0o700, parents=True, exist_ok=True)
    folder.mkdir(0o700, exist_ok=True)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return f"{folder} is not writable"
    for path in (folder, *folder.parents):
        if _others_may_change(path):
            return f"other users may change {path}, and programs are executable code"
    if shutil.disk_usage(folder).free < _LEAST_FREE:
        return f"the disk of {folder} is almost full"
    for path in folder.glob("*-cache"):
        # JAX writes the time of the last use behind a program, and cannot evict without it
        is_whole = path.with_name(f"{path.name.removesuffix('-cache')}-atime").exists()
        if not is_whole and time.time() - path.stat().st_mtime > _ABANDONED:
            path.unlink(missing_ok=True)
    return ""


def _others_may_change(folder: Path) -> bool:
    """Return whether other users, except root, may create or replace files in a folder.

    On Windows, access lists decide that, which `stat` does not show. Only the user's own folder and
    those above and in it count as safe.
    """
    if os.name == "nt":
        home = Path.home()
        return not (folder.is_relative_to(home) or home.is_relative_to(folder))
    found = folder.stat()
    if found.st_uid not in (os.getuid(), 0):
        return True
    if found.st_mode & stat.S_ISVTX and found.st_uid == 0:
        return False  # like /tmp: only the owner of a file may replace it
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_gid)


def _is_own_group(group: int) -> bool:
    """Return whether a group belongs to this user alone. Many systems create a group per user."""
    import grp
    import pwd

    try:
        return group == 0 or grp.getgrgid(group).gr_name == pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return False


def _set_unless_given(name: str, value: float, default: float) -> None:
    """Change a setting of JAX if it has its default."""
    if name.upper() not in os.environ and getattr(_CONFIG, name) == default:
        _CONFIG.update(name, value)
