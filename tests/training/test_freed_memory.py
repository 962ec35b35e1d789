"""Freed memory is reused without the system, and returned at the end."""

from __future__ import annotations

import ctypes

import pytest
from helpers.support import run_python

PROGRAM = """
    import ctypes, resource
    from intertwine.training.freed_memory import freed_memory_kept
    library = ctypes.CDLL(None)
    library.aligned_alloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    size = 12 * 2**20

    def interruptions(steps):
        "How often the system is asked for a page, by blocks that are taken and freed as XLA does."
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(steps):
            block = library.aligned_alloc(ctypes.c_size_t(64), ctypes.c_size_t(size))
            library.memset(block, 1, size)
            library.free(block)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with freed_memory_kept():
        interruptions(40)  # the blocks find their place
        kept = interruptions(10)
        with freed_memory_kept():
            pass
        still_kept = interruptions(10)
    given_back = interruptions(1)
    answer([kept, still_kept, given_back])
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="another C library"
)
def test_pages_are_requested_from_the_system_once() -> None:
    done = run_python(PROGRAM)
    assert done.status == 0, done.stderr
    kept, still_kept, given_back = done.value
    assert kept < 100
    assert still_kept < 100
    assert given_back > 2_500  # 12 MiB of 4 KiB each, but for what is not at the end of the heap
