"""A GPU that several processes share: the service, its workers, and its jobs."""

from __future__ import annotations

import os


def share() -> None:
    """Take its memory as it is needed, unless the environment says something else.

    Left alone, JAX takes three quarters of it when it starts, and whoever comes second has none.
    This is for this process, before it uses JAX, and for those that it starts.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
