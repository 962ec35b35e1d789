"""Documents as the body of a request."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from intertwine.errors import InvalidSetting

from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.wire.safetensors_body import Pieces


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


_Result = TypeVar("_Result")

_HARMLESS = ("GET", "HEAD", "DELETE")


@dataclass(frozen=True)
class Ask:
    """Send a request; what comes of it is an `Answer`.

    A `repeatable` one does no more when it arrives twice than when it arrives once, so that it
    may be sent again. `patience` are the seconds that its answer may take beyond the usual, and
    `within` the most that it may take in any case.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Pieces = ()
    repeatable: bool = False
    patience: float = 0.0
    within: float | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Whether it may be sent again where nobody knows if it arrived."""
        return self.repeatable or self.method in _HARMLESS


@dataclass(frozen=True)
class Open:
    """Send a request and leave the answer's body to be read piece by piece, with `Read`.

    What comes of it is an `Answer` without its content, or with it where it is an error. An
    operation has one body open at a time.
    """

    ask: Ask


@dataclass(frozen=True)
class Read:
    """The next piece of the open body, as bytes; None at its end."""


@dataclass(frozen=True)
class Pause:
    """Let some seconds pass."""

    seconds: float


@dataclass(frozen=True)
class Tell:
    """Hand something to whoever iterates over the operation, and go on when they want more."""

    value: Any


Step = Ask | Open | Read | Pause | Tell
Operation = Generator[Step, Any, _Result]


@dataclass(frozen=True)
class Answer:
    """What a service answered; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def document(self) -> Any:
        """The content as JSON. Raises `ValueError` for anything else."""
        return json.loads(self.content)


def ask_json(method: str, path: str, document: Any, **more: Any) -> Ask:
    """A request with a document as its body; further arguments are those of `Ask`.

    Raises `InvalidSetting` for what is no JSON.
    """
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    return Ask(method, path, headers=headers, body=(encoded(document),), **more)


class RunningOperation(Generic[_Result]):
    """An operation on its way: the `step` that it wants now, or its `result` when that is None."""

    result: _Result

    def __init__(self, operation: Operation[_Result]) -> None:
        self._operation = operation
        self.step: Step | None = None
        self.go_on(None)

    def go_on(self, outcome: Any) -> None:
        """What came of the step."""
        self._advance(self._operation.send, outcome)

    def fail(self, error: ConnectionFailed) -> None:
        """The step could not be done."""
        self._advance(self._operation.throw, error)

    def _advance(self, into: Callable[[Any], Step], value: Any) -> None:
        try:
            self.step = into(value)
        except StopIteration as done:
            self.step, self.result = None, done.value
