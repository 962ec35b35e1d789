"""What a program frees between two steps stays with it.

XLA asks for the memory of a compiled step anew at each step, 12 MiB for a batch of 500. The GNU C
library may give a block of that size back to the system at once, and the next step is interrupted
at every page of it: 3,000 times, which can take as long as the step.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGEST = 32 * 2**20  # what the library lets its thresholds grow to by itself, unless one is set
_KEEPING = {_TRIM_THRESHOLD: 2**31 - 1, _MMAP_THRESHOLD: _LARGEST}
_AFTERWARDS = {_TRIM_THRESHOLD: 2 * _LARGEST, _MMAP_THRESHOLD: _LARGEST}

_lock = threading.Lock()
_users = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within it, this process keeps what it frees in blocks of up to 32 MiB, to use it again; at
    the end that goes back to the system.

    It is for loops over compiled steps of one's own, of any network; `fit` compiles whole epochs.
    Results are the same. The settings are those of the whole process, from the first thread that
    enters to the last one that leaves. Where the C library is another than GNU's, nothing happens.
    """
    global _users
    library = _glibc()
    with _lock:
        _users += 1
        if library and _users == 1:
            _set(library, _KEEPING)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if library and not _users:
                _set(library, _AFTERWARDS)
                library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def _set(library: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        library.mallopt(option, value)
