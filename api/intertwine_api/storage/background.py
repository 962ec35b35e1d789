"""Background processes: those that compute for long, beside the service."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_NICENESS = 15  # below the service


def yield_processors() -> None:
    """Let the service go first when processors are busy: for processes that compute for long.

    Linux may share processors among sessions before it looks at the niceness within one (see
    sched(7), "The autogroup feature"), so a process that leads a session lowers the session too.
    """
    os.nice(_NICENESS)
    if sys.platform == "linux" and os.getsid(0) == os.getpid():
        with suppress(OSError):  # the kernel has no autogroups, or /proc is read-only
            Path("/proc/self/autogroup").write_text(str(_NICENESS))
