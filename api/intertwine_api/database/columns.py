"""What the columns hold: texts and documents that both databases can keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Dialect, String
from sqlalchemy.types import TypeDecorator


class Text(TypeDecorator[str]):
    """A text. What no database could hold is written as its escape: NUL, and half a surrogate.

    So is what it is compared with, and a strange text in a request finds nothing.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The text as it is kept."""
        return None if value is None else plain(value)


class Document(TypeDecorator[Any]):
    """A JSON document, as `plain` makes it; None is SQL's null."""

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """The document as it is kept."""
        return plain(value)


def plain(value: Any) -> Any:
    """The document with what JSON and both databases can hold; numbers that are not finite go.

    >>> plain({"loss": float("nan"), "note": ("a" + chr(0), 1)})
    {'loss': None, 'note': ['a\\\\x00', 1]}
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
