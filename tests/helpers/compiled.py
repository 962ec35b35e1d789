"""JAX's compiled programs, which a process of many tests must free.

Nothing of ours is imported: conftest.py comes before the annotations are checked.
"""

import sys
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_MANY = 20_000  # a process may have 65,530; each compiled program takes some


def let_compiled_programs_go() -> None:
    """Clear JAX's caches if they are large: the system limits the mappings of a process."""
    if "jax" in sys.modules and _MAPS.exists():
        with _MAPS.open("rb") as lines:
            if sum(1 for _ in lines) > _MANY:
                sys.modules["jax"].clear_caches()
