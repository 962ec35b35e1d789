"""No test uses the cache of whoever runs it, nor does a process that a test starts."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["INTERTWINE_CACHE"] = "off"
os.environ.pop("INTERTWINE_CACHE_SIZE", None)

_MAPS = Path("/proc/self/maps")
_MANY = 20_000  # a process may have 65,530; each program that JAX compiles takes some


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_are_let_go() -> Iterator[None]:
    """Past the system's limit on mappings LLVM has no memory, and the process ends."""
    yield
    if "jax" in sys.modules and _MAPS.exists():
        with _MAPS.open("rb") as lines:
            if sum(1 for _ in lines) > _MANY:
                sys.modules["jax"].clear_caches()
