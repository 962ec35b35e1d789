"""Fixtures for folders of tests that compile many programs of JAX and run each once.

Each such folder names them in its conftest.py. That is imported before annotations are checked, so
this module imports nothing of ours but `let_compiled_programs_go`.
"""

from collections.abc import Iterator
from typing import Any

import jax
import pytest

from helpers.compiled import let_compiled_programs_go


@pytest.fixture(autouse=True, scope="module")
def compiled_with_few_optimizations() -> Iterator[None]:
    """Compile with few optimizations: these tests spend most of their time compiling."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()  # other tests compile as users do


@pytest.fixture(autouse=True)
def compiled_programs_are_freed() -> Iterator[None]:
    """Free compiled programs after every test, since one module trains hundreds of networks."""
    yield
    let_compiled_programs_go()


@pytest.fixture
def programs() -> Iterator[list[str]]:
    """The names of the programs that JAX compiles."""
    names: list[str] = []

    def note(event: str, duration: float, **about: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(about.get("fun_name", "")))

    jax.monitoring.register_event_duration_secs_listener(note)
    yield names
    jax.monitoring.unregister_event_duration_listener(note)
