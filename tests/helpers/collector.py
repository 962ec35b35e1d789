"""A collector of traces: a real HTTP server that receives OTLP as protobuf."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from helpers.example_jobs import soon


@dataclass(frozen=True)
class Received:
    """A span as it was received. Times are in seconds since 1970; `error` is its ``error.type``."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    started: float
    ended: float
    is_error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]

    @property
    def error(self) -> str | None:
        return self.attributes.get("error.type") if self.is_error else None


class Collector:
    """What a collector has received so far."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Received]:
        """The spans in the order in which they were received."""
        return [span for body in list(self.bodies) for span in _spans(body)]

    def wait(self, count: int = 1, **wanted: Any) -> list[Received]:
        """Wait for spans with these fields or attributes (`key_id` for ``intertwine.key_id``)."""

        def found() -> list[Received]:
            return [span for span in self.spans if _matches(span, wanted)]

        soon(lambda: len(found()) >= count)
        return found()

    def one(self, **wanted: Any) -> Received:
        """Wait for the only span with these fields or attributes."""
        (span,) = self.wait(**wanted)
        return span


def _matches(span: Received, wanted: dict[str, Any]) -> bool:
    fields = {
        **{k.removeprefix("intertwine."): v for k, v in span.attributes.items()},
        **vars(span),
    }
    return all(fields.get(name) == value for name, value in wanted.items())


def _spans(body: bytes) -> Iterator[Received]:
    message = ExportTraceServiceRequest.FromString(body)
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    started=span.start_time_unix_nano / 1e9,
                    ended=span.end_time_unix_nano / 1e9,
                    is_error=span.status.code == 2,
                    attributes=_values(span.attributes),
                    resource=_values(resource.resource.attributes),
                )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _handler(take: Callable[[bytes], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            is_known = self.path == "/v1/traces"
            if is_known and self.headers["content-type"] == "application/x-protobuf":
                take(body)
            self.send_response(200 if is_known else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port."""
    bodies: list[bytes] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bodies.append))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found = Collector(f"http://127.0.0.1:{server.server_port}")
    found.bodies = bodies
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
