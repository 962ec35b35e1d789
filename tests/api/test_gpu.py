"""Several processes on one GPU."""

from __future__ import annotations

import os

import pytest
from intertwine_api import gpu

NAME = "XLA_PYTHON_CLIENT_PREALLOCATE"


@pytest.mark.parametrize(("before", "after"), [(None, "false"), ("true", "true")])
def test_its_memory_is_taken_as_it_is_needed_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.setenv(NAME, "anything")  # so that it is put back
    monkeypatch.delenv(NAME)
    if before is not None:
        monkeypatch.setenv(NAME, before)
    gpu.share()
    assert os.environ[NAME] == after
