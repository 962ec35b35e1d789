"""Whether the kernel kills processes for want of memory."""

from __future__ import annotations

import contextlib
from pathlib import Path


def kills_for_memory() -> int:
    """How many processes the kernel has killed for want of memory: 0 where it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
