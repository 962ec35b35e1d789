from __future__ import annotations

from program import python


def test_what_was_there_is_not_looked_at_and_new_cycles_are_found() -> None:
    printed = python(
        """
import gc, weakref
from intertwine_api.garbage import collect_rarely, pass_over_what_is_there

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
pass_over_what_is_there()
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
from intertwine_api.garbage import pass_over_what_is_there

pass_over_what_is_there()
print(gc.get_freeze_count(), gc.get_threshold()[0])
"""
    )
    assert printed.split() == ["0", "700"]
