"""Documents as the body of a request."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from intertwine.errors import InvalidSetting


def encoded(document: Any) -> bytes:
    """A document as JSON; NumPy's numbers and arrays in it are numbers and lists.

    Raises `InvalidSetting` for what JSON does not have, and says where it stands.
    """
    try:
        return json.dumps(document, allow_nan=False, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSetting(_fault(document) or f"the request is no JSON: {error}") from error


def _fault(document: Any) -> str | None:
    """What is wrong with a part of a document, if it is one of its leaves."""
    try:
        for where, value in _parts(document, ""):
            if not _can_be_sent(value):
                return (
                    f"{where or 'the request'} is {value!r}, which cannot be sent: give finite "
                    f"numbers, texts, lists or dictionaries"
                )
    except RecursionError:
        pass  # it lies in itself, or too deep
    return None


def _plain(value: Any) -> Any:
    """What `json` does not know, as it does; NumPy need not be loaded for that."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _parts(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The numbers, texts and other leaves of a document, each with its place in it."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _parts(item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _parts(item, f"{where}[{place}]")
    else:
        yield where, value


def _can_be_sent(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)
