"""Keep freed memory in the process from one training step to the next.

XLA allocates the memory of a compiled step anew at each step, 12 MiB for a batch of 500. The GNU C
library may return a block of that size to the system at once. The next step then has a page fault
at every page of it, 3,000 in all, which can take as long as the step.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGEST = 32 * 2**20  # the library lets its thresholds grow to this, unless one is set
_KEEPING = {_TRIM_THRESHOLD: 2**31 - 1, _MMAP_THRESHOLD: _LARGEST}
_AFTERWARDS = {_TRIM_THRESHOLD: 2 * _LARGEST, _MMAP_THRESHOLD: _LARGEST}

_lock = threading.Lock()
_users = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed blocks of up to 32 MiB in this process, for reuse; return them to the system at
    the end.

    It is for your own loops over compiled steps, of any network; `fit` compiles whole epochs.
    Results are the same. The settings apply to the whole process, from the first thread that enters
    to the last one that leaves. It does nothing with another C library than GNU's.
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
