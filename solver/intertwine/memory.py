"""Refuse work that would not fit into memory, before allocating any."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from intertwine.errors import TooLarge

MAX_SIZE = 10**9
"""The largest rep that is solved, in dimensions."""
_SHARE = 0.75
#: Words in the errors of JAX and PyTorch when memory runs out, and the classes of these errors.
_LACKS = {
    "RESOURCE_EXHAUSTED": ("JaxRuntimeError", "XlaRuntimeError"),
    "out of memory": ("OutOfMemoryError",),
    "DefaultCPUAllocator": ("RuntimeError",),
}
_CONTAINER = Path("/sys/fs/cgroup/memory.max")  # a container's limit, on Linux


def require_size(size: int, what: str) -> None:
    """Raise `TooLarge` for a rep of more than `MAX_SIZE` dimensions."""
    if size > MAX_SIZE:
        number = f"{size:,}" if size < 10**18 else f"about 10^{math.log10(size):.0f}"
        raise TooLarge(f"{what} has {number} dimensions; at most {MAX_SIZE:,} are solved")


def require_memory(needed: int, what: str) -> None:
    """Raise `TooLarge` if `needed` bytes exceed three quarters of this machine's memory."""
    available = available_memory()
    if needed > available:
        raise TooLarge(
            f"{what} needs about {needed / 1e9:,.3g} GB of memory; the limit on this machine is "
            f"{available / 1e9:,.3g} GB"
        )


def available_memory() -> int:
    """Return the bytes that a solve may use: three quarters of the machine's or the container's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    allowed = _CONTAINER.read_text().strip() if _CONTAINER.exists() else "max"
    return int(_SHARE * min(machine, int(allowed) if allowed.isdigit() else machine))


def kills_for_memory() -> int:
    """Return how many processes the kernel has killed for lack of memory; 0 if it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, of this machine or of a GPU."""
    if isinstance(error, MemoryError):
        return True
    return any(
        type(error).__name__ in names and words in str(error) for words, names in _LACKS.items()
    )
