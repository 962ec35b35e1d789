"""Here nearly all time would go into compiling what then runs once: so it is compiled in haste."""

from collections.abc import Iterator

import jax
import pytest
from helpers.compiled import let_compiled_programs_go


@pytest.fixture(autouse=True, scope="module")
def hastily_compiled() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()  # others are compiled as users have them


@pytest.fixture(autouse=True)
def _compiled_programs_are_let_go() -> Iterator[None]:
    """After every test, since one module trains hundreds of networks."""
    yield
    let_compiled_programs_go()
