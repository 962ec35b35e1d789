"""No test uses the cache of whoever runs it, nor does a process that a test starts."""

import os
from collections.abc import Iterator

import pytest
from compiled import let_compiled_programs_go

os.environ["INTERTWINE_CACHE"] = "off"
os.environ.pop("INTERTWINE_CACHE_SIZE", None)


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_are_let_go() -> Iterator[None]:
    yield
    let_compiled_programs_go()
