"""The steps that an operation yields, the requests and responses in them, and JSON bodies.

An operation is a generator. It yields steps, receives their outcomes, and returns its result. It
does no input or output itself: so the synchronous and the asynchronous client share it, and
differ in how they run its steps (`intertwine_api.client.connection`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from intertwine.errors import InvalidSetting

from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.wire.safetensors_body import Pieces


def encode_json(document: Any) -> bytes:
    """Return a document as JSON, with NumPy scalars and arrays as numbers and lists.

    Raises `InvalidSetting` if a part is not JSON, with its path.
    """
    try:
        return json.dumps(document, allow_nan=False, default=_to_json).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSetting(
            _invalid_part(document) or f"the request is not JSON: {error}"
        ) from error


def _invalid_part(document: Any) -> str | None:
    """Return the message for the first leaf that is not JSON; None if all leaves are."""
    try:
        for where, value in _leaves(document, ""):
            if not _can_be_sent(value):
                return (
                    f"{where or 'the request'} is {value!r}, which cannot be sent: give finite "
                    f"numbers, strings, lists or dictionaries"
                )
    except RecursionError:
        pass  # the document contains itself, or is nested too deeply
    return None


def _to_json(value: Any) -> Any:
    """Convert a mapping, or a NumPy value without importing NumPy, for `json.dumps`."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a document with their paths."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{where}[{index}]")
    else:
        yield where, value


def _can_be_sent(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


_Result = TypeVar("_Result")

_IDEMPOTENT = ("GET", "HEAD", "DELETE")


@dataclass(frozen=True)
class HttpRequest:
    """Send a request. The outcome is an `HttpResponse`.

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
class OpenStream:
    """Send a request and stream the response's body with `ReadChunk`.

    The outcome is an `HttpResponse`, with content only if its status is not 200. An operation has
    one stream open at a time.
    """

    request: HttpRequest


@dataclass(frozen=True)
class ReadChunk:
    """Read the next bytes of the open stream. The outcome is None at its end."""


@dataclass(frozen=True)
class Sleep:
    """Pause for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Emit:
    """Yield a value to the caller of `Connection.iterate`, and resume when it wants the next."""

    value: Any


Step = HttpRequest | OpenStream | ReadChunk | Sleep | Emit
Operation = Generator[Step, Any, _Result]


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


class RunningOperation(Generic[_Result]):
    """A started operation: its current `step`, and its `result` once the step is None."""

    result: _Result

    def __init__(self, operation: Operation[_Result]) -> None:
        self._operation = operation
        self.step: Step | None = None
        self.resume(None)

    def resume(self, outcome: Any) -> None:
        """Resume the operation with the outcome of its step."""
        self._advance(self._operation.send, outcome)

    def fail(self, error: ConnectionFailed) -> None:
        """Raise the error of a failed step in the operation."""
        self._advance(self._operation.throw, error)

    def _advance(self, into: Callable[[Any], Step], value: Any) -> None:
        try:
            self.step = into(value)
        except StopIteration as done:
            self.step, self.result = None, done.value
