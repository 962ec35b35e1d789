"""The requests and responses of operations, and JSON bodies.

Each request states the expected response. `HttpResponse.checked` compares the two.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from intertwine.errors import FormatError, InvalidSetting

from intertwine_api.client.errors import ForeignAnswer
from intertwine_api.wire.safetensors_body import Pieces

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Document = dict[str, Any]


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


class Schema(Enum):
    """The wire format's models of JSON answers.

    They are imported when the first response arrives, because importing pydantic takes time.
    """

    BASIS = "bases.BasisManifest"
    BASIS_REQUEST = "bases.BasisRequest"
    PENDING_BASIS = "bases.Pending"
    BLOB = "bases.BlobDocument"
    STORE = "bases.StoreDescription"
    SERIES = "bases.SeriesDocument"
    POLYNOMIALS = "bases.PolynomialMapsDocument"
    DATASET = "datasets.DatasetDocument"
    DATASETS = "datasets.DatasetPage"
    JOB = "jobs.JobDocument"
    JOBS = "jobs.JobPage"
    METRICS = "jobs.MetricsRows"
    TRAINING_RESULT = "jobs.TrainingResult"
    STATE_EVENT = "jobs.StateEvent"
    PROGRESS_EVENT = "jobs.JobProgress"
    METRICS_EVENT = "jobs.MetricsEvent"
    SOLVES_IN_FLIGHT = "in_flight.SolvesInFlight"
    UPLOADS_IN_FLIGHT = "in_flight.UploadsInFlight"
    MODEL = "models.ModelDocument"
    MODELS = "models.ModelPage"
    VERSION = "models.VersionDocument"
    VERSIONS = "models.VersionPage"
    PROBLEM = "problems.Problem"

    def require(self, document: Any) -> None:
        """Raise `FormatError` with the first fault unless the document matches the model."""
        from pydantic import ValidationError

        try:
            _validator(self.value).validate_python(document)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the document"
            raise FormatError(f"{where[:_SHOWN]}: {fault['msg'][:_SHOWN]}") from error


@cache
def _validator(name: str) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    module, _, model = name.partition(".")
    return TypeAdapter(getattr(import_module(f"intertwine_api.wire.{module}"), model))


_IDEMPOTENT = ("GET", "HEAD", "DELETE")
_JSON = ("application/json", "application/problem+json")
_CONTENT = (200, 201, 202)  # the status codes of answers with content
_NO_CONTENT = 204
_DIGITS = 20  # of an integer, with its sign: 64 bits
_SHOWN = 200  # characters quoted from an answer

#: The largest JSON answer, in bytes: a page of 200 jobs with long requests.
MAX_JSON = 64 * 2**20


@dataclass(frozen=True)
class HttpRequest:
    """A request to the service.

    `answer` is the expected answer: a schema for JSON, a media type for other content, or None for
    no content. `pending` is the schema of an answer with status 202, if it differs. `max_bytes`
    limits the size of the answer. `extra_seconds` extend the usual timeout of the answer, and
    `max_seconds` limit it.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Pieces = ()
    answer: Schema | str | None = None
    pending: Schema | None = None
    max_bytes: int = MAX_JSON
    idempotent: bool = False
    extra_seconds: float = 0.0
    max_seconds: float | None = None

    @property
    def is_retryable(self) -> bool:
        """Return whether the request may be retried, by its method or its `idempotent` flag."""
        return self.idempotent or self.method in _IDEMPOTENT


@dataclass(frozen=True)
class HttpResponse:
    """A response of the service. The names of its headers are in lower case.

    `url` is shown in errors. `document` is the JSON document of a `checked` response.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = b""
    url: str = "the service"
    document: Any = None

    @property
    def media_type(self) -> str:
        """Return the content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def checked(self, request: HttpRequest) -> HttpResponse:
        """Return the response, with its document, if it is the expected one of the request.

        Raises `ForeignAnswer` for another status, content type or document.
        """
        has_pending = self.status == 202 and request.pending is not None
        expected = request.pending if has_pending else request.answer
        if expected is None:
            if self.status != _NO_CONTENT:
                raise self.foreign(f"expected status {_NO_CONTENT}")
            return self
        if self.status not in _CONTENT:
            raise self.foreign("expected status 200")
        if isinstance(expected, Schema):
            return replace(self, document=self.read(expected))
        if self.media_type != expected:
            raise self.foreign(f"expected {expected}")
        return self

    def read(self, schema: Schema) -> Document:
        """Return the JSON document of the content. Raises `ForeignAnswer` unless it matches."""
        if self.media_type not in _JSON:
            raise self.foreign(f"expected {_JSON[0]}")
        with self.decoding():
            document: Document = parse_json(self.content)
            schema.require(document)
        return document

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Raise a `FormatError` of decoding the content as a `ForeignAnswer`."""
        try:
            yield
        except ForeignAnswer:
            raise
        except FormatError as error:
            raise self.foreign(str(error)) from error

    def foreign(self, why: str, retry_after: float | None = None) -> ForeignAnswer:
        """Return the `ForeignAnswer` for this response, with its URL, the reason and advice."""
        kind = self.media_type[:_SHOWN] or "no content type"
        start = self.content[: 10 * _SHOWN].decode("utf-8", "replace")
        text = re.sub(r"(<[^>]*>|\s)+", " ", start).strip()[:_SHOWN]
        advice = _ADVICE
        if location := self.headers.get("location"):
            moved = _escaped(display_url(location))
            why = f"it redirects to {moved}"
            advice = f"if the service has moved, give the address {moved}; if not, {_ADVICE}"
        detail = (
            f"the answer of {self.url} is not from Intertwine ({why}): status {self.status}, "
            f"{_escaped(kind)}, {text!a}: {advice}"
        )
        problem = {"status": self.status, "code": ForeignAnswer.code, "detail": detail}
        return ForeignAnswer(problem, retry_after)


_ADVICE = (
    "check the address, whether a login page or a proxy answers in place of the service, "
    "and whether the service runs another version"
)


def display_url(url: str) -> str:
    """Return an address without its user name, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=host, query="", fragment="").geturl()
    except ValueError:  # not an address
        return url.rpartition("@")[2].partition("?")[0]


def _escaped(text: str) -> str:
    """Return the start of a text with control and non-ASCII characters escaped."""
    return ascii(text[:_SHOWN])[1:-1]


def parse_json(text: str | bytes) -> Any:
    """Return a JSON document. Raises `FormatError` for other text, and for numbers out of range."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_short)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"it is not JSON: {error}") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:_SHOWN]} is not a finite number")
    return number


def _short(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"{text[:_DIGITS]}… is outside the range of numbers")
    return int(text)


def json_request(method: str, path: str, document: Any, **more: Any) -> HttpRequest:
    """Return a request with a JSON body; further arguments are those of `HttpRequest`.

    Raises `InvalidSetting` if the document is not JSON.
    """
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    return HttpRequest(method, path, headers=headers, body=(encode_json(document),), **more)
