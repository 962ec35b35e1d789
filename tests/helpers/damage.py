"""Damaged trees of saved models."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(
        ["", "Linear", "EMLP", "Popen", "os.system", "SO(3)", "weights", "items", "S(99999999999)"]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["class", "fields", "items", "map", "same", "number", "group", "weights",
                         "constants", "basis", "name", "generators", "d", "at", "own", "parts"]),
        inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


def damages(tree: Any) -> st.SearchStrategy[list[tuple[tuple[Any, ...], bool, Any]]]:
    """Up to three changes of a tree: a place, whether its value is removed, and a new value."""
    places = st.sampled_from(_places(tree)[1:])
    return st.lists(st.tuples(places, st.booleans(), NONSENSE), min_size=1, max_size=3)


def each_damage(tree: Any) -> Iterator[Any]:
    """Copies of a tree with one change each: every place without its value, and with two others."""
    values = (None, -1, "", "EMLP", [], {}, {"same": 0}, {"own": "Net", "parts": []})
    for number, place in enumerate(_places(tree)[1:]):
        yield damaged(tree, [(place, True, None)])
        for value in (values[number % 8], values[(number + 3) % 8]):
            yield damaged(tree, [(place, False, value)])


def damaged(tree: Any, changes: list[tuple[tuple[Any, ...], bool, Any]]) -> Any:
    """A copy of a tree with these changes."""
    tree = copy.deepcopy(tree)
    for (*path, last), removed, value in changes:
        at = tree
        try:
            for key in path:
                at = at[key]
            if removed:
                del at[last]
            else:
                at[last] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    return tree


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    return [path, *(p for key, value in inner for p in _places(value, (*path, key)))]
