"""Compile with few optimizations: these tests spend most of their time compiling, and run each
program once.
"""

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
    """Free compiled programs after every test, since one module trains hundreds of networks."""
    yield
    let_compiled_programs_go()
