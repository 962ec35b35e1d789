"""Python's collector of cyclic garbage, in a process that must always answer soon.

A full collection looks at every object that there is: 230,000 with JAX loaded, for an eighth of a
second in which nobody is answered; and calls that come many at once make one due every second.
"""

from __future__ import annotations

import gc

_ALLOCATED = 50_000  # objects more than before: some hundred calls at once stay below


def collect_rarely() -> None:
    """Collect when there is much that is new, and never look at what is there now.

    This is for the whole process, whatever its size: reference counts free what has no cycles.
    """
    gc.set_threshold(_ALLOCATED, 10, 10)
    gc.freeze()


def pass_over_what_is_there() -> None:
    """Never look at what is there now either, in a process that collects rarely."""
    if gc.get_freeze_count():
        gc.freeze()
