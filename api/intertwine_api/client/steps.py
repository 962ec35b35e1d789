"""The steps that an operation yields, the requests and responses in them, and JSON bodies.

An operation is a generator. It yields steps, receives their outcomes, and returns its result. It
does no input or output itself: so the synchronous and the asynchronous client share it, and
differ in how they run its steps (`intertwine_api.client.connection`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from intertwine.errors import InvalidSetting

from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.wire.safetensors_body import Pieces

if TYPE_CHECKING:
    from intertwine_api.client.retries import Retries


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


@dataclass(frozen=True)
class GetRetries:
    """Get the `Retries` of the client, with the deadline of the operation."""


Step = HttpRequest | OpenStream | ReadChunk | Sleep | Emit | GetRetries
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

    def __init__(self, operation: Operation[_Result], retries: Retries) -> None:
        self._operation, self._retries = operation, retries
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
            while isinstance(self.step, GetRetries):
                self.step = self._operation.send(self._retries)
        except StopIteration as done:
            self.step, self.result = None, done.value
