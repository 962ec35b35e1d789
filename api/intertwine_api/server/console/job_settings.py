"""The settings of jobs as tables: a request document with one row for each value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST = 300  # characters of a value in a table
_MOST_ROWS = 150
_MISSING = "–"


@dataclass(frozen=True)
class Setting:
    """A row: the path of a value in the request, and the value of each job as text.

    A job without this value has a dash. `differs` is True if the values are not equal.
    """

    name: str
    values: tuple[str, ...]
    differs: bool = False


def settings_of(document: Mapping[str, Any]) -> tuple[list[Setting], int]:
    """Return the values of a document, and the number of rows that are left out.

    >>> settings_of({"training": {"epochs": 3}})[0]
    [Setting(name='training.epochs', values=('3',), differs=False)]
    """
    return compare_settings([document])


def compare_settings(documents: Sequence[Mapping[str, Any]]) -> tuple[list[Setting], int]:
    """Return the values of several documents side by side, those that differ first.

    Also return the number of rows that are left out. Long values are compared as a whole.
    """
    columns = [dict(_flattened(document)) for document in documents]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = []
    for name in names:
        exact = {json.dumps(column[name]) if name in column else None for column in columns}
        texts = tuple(text_of(column[name]) if name in column else _MISSING for column in columns)
        rows.append(Setting(name, texts, len(exact) > 1))
    rows.sort(key=lambda row: not row.differs)
    return rows[:_MOST_ROWS], max(0, len(rows) - _MOST_ROWS)


def different_settings(documents: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the values that are not equal in all documents, by their path, in its order.

    None stands for a value that a document lacks.
    """
    columns = [dict(_flattened(document)) for document in documents]
    names = sorted({name for column in columns for name in column})
    found = {name: tuple(column.get(name) for column in columns) for name in names}
    return {name: v for name, v in found.items() if len(set(map(_exact, v))) > 1}


def _exact(value: Any) -> str:
    """Return a value as text; equal texts are equal values."""
    return json.dumps(value, sort_keys=True)


def _flattened(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of each value, and the value. Lists and empty objects are one value."""
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def text_of(value: Any) -> str:
    """Return a value as a text, cut if it is long: texts as they are, and others as JSON."""
    whole = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return whole if len(whole) <= _LONGEST else f"{whole[:_LONGEST]}… ({len(whole):,} characters)"
