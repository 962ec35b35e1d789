"""One service with keys for all tests of the console."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.example_lab import Lab, running_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab") / "data") as lab:
        yield lab
