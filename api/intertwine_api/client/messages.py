"""The requests and responses of operations, and JSON bodies."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intertwine.errors import InvalidSetting

from intertwine_api.wire.safetensors_body import Pieces


def encode_json(document: Any) -> bytes:
    """Return a document as JSON, with NumPy scalars and arrays as numbers and lists.

    Raises `InvalidSetting` if a part is not JSON, with its path.
    """
    try:
        return json.dumps(_plain(document, "")).encode()
    except (TypeError, RecursionError) as error:  # an invalid key, or a document in itself
        raise InvalidSetting(f"the request is not JSON: {error}") from error


def _plain(value: Any, where: str) -> Any:
    """Return the part of a document at the path `where`, in Python's types for JSON."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # NumPy, without importing it
        value = value.tolist()
    if isinstance(value, Mapping):
        prefix = f"{where}." if where else ""
        return {name: _plain(item, f"{prefix}{name}") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise InvalidSetting(
        f"{where or 'the request'} is {value!r}, which cannot be sent: give finite "
        f"numbers, strings, lists or dictionaries"
    )


_IDEMPOTENT = ("GET", "HEAD", "DELETE")


@dataclass(frozen=True)
class HttpRequest:
    """A request to the service.

    `extra_seconds` extend the usual timeout of the answer, and `max_seconds` limit it.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Pieces = ()
    idempotent: bool = False
    extra_seconds: float = 0.0
    max_seconds: float | None = None

    @property
    def is_retryable(self) -> bool:
        """Return whether the request may be retried, by its method or its `idempotent` flag."""
        return self.idempotent or self.method in _IDEMPOTENT


@dataclass(frozen=True)
class HttpResponse:
    """A response of the service. The names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def document(self) -> Any:
        """Return the parsed content. Raises `ValueError` if it is not JSON."""
        return json.loads(self.content)


def json_request(method: str, path: str, document: Any, **more: Any) -> HttpRequest:
    """Return a request with a JSON body; further arguments are those of `HttpRequest`.

    Raises `InvalidSetting` if the document is not JSON.
    """
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    return HttpRequest(method, path, headers=headers, body=(encode_json(document),), **more)
