"""JAX's compiled programs in tests: options for compiling them, and how a process frees them.

Nothing of ours is imported: conftest.py comes before the annotations are checked.
"""

import sys
from pathlib import Path

#: Options of `jax.jit` for a program that runs a few times only. The newer emitters of fused loops
#: compile a step of a network three times as long, for a speed that no test needs.
IN_HASTE = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
_MAPS = Path("/proc/self/maps")
_MANY = 20_000  # a process may have 65,530; each compiled program takes some


def let_compiled_programs_go() -> None:
    """Clear JAX's caches if they are large: the system limits the mappings of a process."""
    if "jax" in sys.modules and _MAPS.exists():
        with _MAPS.open("rb") as lines:
            if sum(1 for _ in lines) > _MANY:
                sys.modules["jax"].clear_caches()
