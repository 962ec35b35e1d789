"""What processes of a host share: its GPU, and how rarely garbage is collected."""

from __future__ import annotations

import os

import pytest
from helpers.program import python
from intertwine_api.work.host import share_gpu

NAME = "XLA_PYTHON_CLIENT_PREALLOCATE"


def test_what_was_there_is_not_looked_at_and_new_cycles_are_found() -> None:
    printed = python(
        """
import gc, weakref
from intertwine_api.work.host import collect_rarely
from intertwine_api.work.host import freeze_existing_objects

class Node:
    def __init__(self):
        self.own = self

collect_rarely()
frozen = gc.get_freeze_count()
node = Node()
gone = weakref.ref(node)
del node
print(frozen > 1000, gc.collect() > 0, gone() is None)
kept = [Node() for _ in range(100)]
freeze_existing_objects()
print(gc.get_freeze_count() - frozen >= 100, len(gc.get_objects()) < 100)
for _ in range(200_000):
    Node()
print(len(gc.get_objects()) < 100_000)
"""
    )
    assert printed.split() == ["True"] * 6


def test_a_process_that_did_not_ask_for_it_collects_as_always() -> None:
    printed = python(
        """
import gc
from intertwine_api.work.host import freeze_existing_objects

before = gc.get_freeze_count(), gc.get_threshold()
freeze_existing_objects()
print((gc.get_freeze_count(), gc.get_threshold()) == before)
"""
    )
    assert printed.split() == ["True"]


def test_linear_algebra_of_a_process_that_serves_takes_one_thread() -> None:
    printed = python(
        """
import numpy
from intertwine_api.work.host import use_one_blas_thread
from threadpoolctl import threadpool_info

use_one_blas_thread()
print({each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"})
"""
    )
    assert printed.strip() == "{1}"


@pytest.mark.parametrize(("before", "after"), [(None, "false"), ("true", "true")])
def test_the_memory_of_a_gpu_is_taken_as_it_is_needed_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.setenv(NAME, "anything")  # so that it is put back
    monkeypatch.delenv(NAME)
    if before is not None:
        monkeypatch.setenv(NAME, before)
    share_gpu()
    assert os.environ[NAME] == after
