"""The tree of a saved model, as its config has it, without building the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def entries(tree: Any, key: str) -> Iterator[str]:
    """Yield the texts under a key anywhere in a tree: "class" gives the names of classes, "weights"
    those of the arrays that are weights. There is no recursion: users send trees of any depth.
    """
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            if isinstance(item.get(key), str):
                yield item[key]
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
