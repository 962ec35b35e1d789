"""OpenTelemetry traces: spans of requests, solves and attempts of jobs, sent by OTLP over HTTP.

The standard variables ``OTEL_…`` turn them on. While they are off, nothing of OpenTelemetry is
imported here, and every function returns at once. Spans have ids, sizes and codes, and never a
query, a body, or the message of an error, because these may contain secrets.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from intertwine.errors import IntertwineError, InvalidSetting

from intertwine_api.wire.problems import ProblemError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

Kind = Literal["internal", "server", "consumer"]

_LOG = logging.getLogger("intertwine.traces")

_EXPORTER = "OTEL_TRACES_EXPORTER"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_MODULES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_QUIET = 300.0  # seconds between two log lines about a collector that cannot be reached
_PATIENCE = 2.0  # seconds at the end in which the last spans may be sent

_tracer: Tracer | None = None
_provider: TracerProvider | None = None


def require_exporter() -> bool:
    """Return whether the variables turn traces on.

    Raises `InvalidSetting` if they ask for an exporter that is not installed or not supported.
    """
    found = _first((_EXPORTER, *_ENDPOINTS))
    exporter = os.environ.get(_EXPORTER, "").strip().lower() or "otlp"
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if found is None or exporter == "none" or is_disabled:
        return False
    off = f"or set {_EXPORTER}=none"
    if exporter != "otlp":
        raise InvalidSetting(
            f"{_EXPORTER} is {exporter!r}, and only 'otlp' is supported: set it to 'otlp', {off}"
        )
    protocol = _first(_PROTOCOLS)
    if protocol is not None and protocol[1] != _PROTOCOL:
        raise InvalidSetting(
            f"{protocol[0]} is {protocol[1]!r}, and only {_PROTOCOL!r} is supported, usually on "
            f"port 4318 of a collector: set it to {_PROTOCOL!r}, {off}"
        )
    endpoint = _first(_ENDPOINTS)
    if endpoint is not None and not endpoint[1].startswith(("http://", "https://")):
        raise InvalidSetting(
            f"{endpoint[0]} is {endpoint[1]!r}, which is no URL: give one that begins with "
            f"http:// or https://, {off}"
        )
    if not all(map(_is_installed, _MODULES)):
        raise InvalidSetting(
            f"{found[0]} asks for traces, and OpenTelemetry is not installed here: install "
            f"'intertwine[otel]', {off}"
        )
    return True


def _first(names: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the first of the variables that is set, and its value."""
    values = ((name, os.environ.get(name, "").strip()) for name in names)
    return next(((name, value) for name, value in values if value), None)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package around it is missing
        return False


def start() -> None:
    """Send spans from now on, if the variables ask for it. Raises `InvalidSetting`.

    The queue of spans is bounded, and a thread sends them: what does not fit is dropped.
    """
    global _tracer, _provider
    if not require_exporter():
        return
    import intertwine
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create()
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "intertwine"}))
    resource = resource.merge(Resource({"service.version": intertwine.__version__}))
    try:
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:  # of another of its variables
        raise InvalidSetting(f"traces cannot be exported: {error}") from error
    own = logging.getLogger("opentelemetry")
    own.addHandler(_REPORT)
    own.propagate = False
    _provider = provider
    _tracer = provider.get_tracer("intertwine", intertwine.__version__)


class _Report(logging.Handler):
    """Logs one message of OpenTelemetry every few minutes: it has one for each failed request."""

    _until = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        """Log a message, unless one was logged a short time ago."""
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + _QUIET
            _LOG.warning("spans cannot be exported: %s", record.getMessage())


_REPORT = _Report(logging.WARNING)


def stop() -> None:
    """Send the last spans, for at most two seconds. Later spans are empty."""
    global _tracer, _provider
    provider, _provider, _tracer = _provider, None, None
    if provider is None:
        return
    # the provider itself would wait for half a minute if the collector does not answer
    ending = threading.Thread(target=provider.shutdown, name="end of traces", daemon=True)
    ending.start()
    ending.join(_PATIENCE)


def span(
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    kind: Kind = "internal",
    parent: Mapping[str, str] | None = None,
    since: float | None = None,
) -> AbstractContextManager[None]:
    """Return a block that is a span, and a child of the current one.

    With `parent`, it is a child of the span that these headers name (see `headers`), or of none.
    `since` is its start in seconds since 1970. An exception marks it as an error.
    """
    if _tracer is None:
        return nullcontext()
    return _span(_tracer, name, attributes or {}, kind, parent, since)


@contextmanager
def _span(
    tracer: Tracer,
    name: str,
    attributes: Mapping[str, Any],
    kind: Kind,
    parent: Mapping[str, str] | None,
    since: float | None,
) -> Iterator[None]:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    with tracer.start_as_current_span(
        name,
        None if parent is None else TraceContextTextMapPropagator().extract(parent, Context()),
        SpanKind[kind.upper()],
        _known(attributes),
        start_time=None if since is None else _nanoseconds(since),
        record_exception=False,  # its message may contain what was sent
        set_status_on_exception=False,
    ):
        try:
            yield
        except Exception as error:
            mark(error=_code(error))
            raise


def mark(
    attributes: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    error: str | None = None,
) -> None:
    """Add attributes to the current span, rename it, or mark it as an error with a code."""
    if _tracer is None:
        return
    from opentelemetry.trace import StatusCode, get_current_span

    current = get_current_span()
    current.set_attributes(_known(attributes or {}))
    if name is not None:
        current.update_name(name)
    if error is not None:
        current.set_attribute("error.type", error)
        current.set_status(StatusCode.ERROR)


def record(name: str, since: float, until: float) -> None:
    """Record a child of the current span that is over. Times are in seconds since 1970."""
    if _tracer is not None:
        _tracer.start_span(name, start_time=_nanoseconds(since)).end(_nanoseconds(until))


def headers() -> dict[str, str]:
    """Return the headers ``traceparent`` and ``tracestate`` of the current span, if there is one.

    They are not secret. Given as `parent` to `span`, in any process, they continue the trace.
    """
    carrier: dict[str, str] = {}
    if _tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(carrier)
    return carrier


def trace_id() -> str | None:
    """Return the id of the current trace in hexadecimal digits. None without a span."""
    if _tracer is None:
        return None
    from opentelemetry.trace import format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _code(error: Exception) -> str:
    if isinstance(error, ProblemError):
        return error.problem.code
    return error.code if isinstance(error, IntertwineError) else type(error).__name__
