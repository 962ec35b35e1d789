"""A small HTTP server with scripted responses that records its requests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """A recorded request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """A scripted response. With `cut`, the connection breaks before the end of the body.

    With `raw`, its pieces are sent in place of a response, and the connection is closed.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    raw: Callable[[], Iterable[bytes]] | None = None


#: Hang up without an answer.
HANG_UP = Reply(status=0)

Answering = Callable[[Request], Reply]


def json_reply(document: Any, status: int = 200, **headers: str) -> Reply:
    """A response with a JSON document."""
    kind = "application/problem+json" if status >= 400 else "application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"content-type": kind, **named})


def problem_reply(status: int, code: str, detail: str = "no", **headers: str) -> Reply:
    """A response with a problem document."""
    return json_reply(problem_document(status, code, detail), status, **headers)


def problem_document(status: int, code: str, detail: str = "no", **more: Any) -> dict[str, Any]:
    """A problem document."""
    kind = {"type": f"/problems#{code}", "title": code}
    return {**kind, "status": status, "code": code, "detail": detail, **more}


_NOON = "2026-01-01T12:00:00Z"


def job_document(**fields: Any) -> dict[str, Any]:
    """The document of a queued training, except for these fields."""
    return {
        **{"id": "a", "kind": "train", "state": "queued", "reason": "new", "owner": "ann"},
        **{"name": "", "labels": [], "priority": 0, "attempt": 0, "last_event": 1},
        **{"created": _NOON, "updated": _NOON, "started": None, "ended": None},
        **{"queue": None, "progress": {}, "metrics": {"last": None}, "result": None},
        **{"problem": None, "limits": {"seconds": 60, "memory": 10**9, "attempts": 3}},
        **{"request": {}, "links": {}},
        **fields,
    }


def manifest_document(**fields: Any) -> dict[str, Any]:
    """The manifest of a basis with 2 vectors of 9 entries, except for these fields."""
    shape = {"size": 9, "rank": 2}
    evidence = {"residual": 0.0, "orthonormality": 0.0, "gap": None, "iterations": 0}
    solver = {"method": "svd", "backend": "numpy", "device": "cpu", "seconds": 0.1}
    return {
        **{"key": "0" * 64, "group": "SO(3)", "rep": "V", "canonical": "V", "order": "canonical"},
        **{**shape, "method": "svd", "cached": False, "digest": "0" * 64, "bytes": 64},
        **{"certificate": {**solver, **shape, **evidence}, "links": {}},
        **fields,
    }


def dataset_document(**fields: Any) -> dict[str, Any]:
    """The document of a dataset, except for these fields."""
    return {
        **{"id": "0" * 64, "owner": "ann", "name": "", "samples": 2, "bytes": 64},
        **{"rep_in": None, "rep_out": None, "group": None, "created": _NOON},
        **{"inputs": {}, "targets": {}, "links": {}},
        **fields,
    }


def version_document(**fields: Any) -> dict[str, Any]:
    """The document of a version of a model, except for these fields."""
    return {
        **{"name": "small", "version": 1, "owner": "ann", "created": _NOON, "job": None},
        **{"metrics": {"test_loss": 0.5}, "equivariance_error": 1e-8, "is_equivariant": True},
        **{"weights": "0" * 64, "bytes": 64, "config": {}, "provenance": {}, "links": {}},
        **fields,
    }


def model_document(**fields: Any) -> dict[str, Any]:
    """The document of a model with one version, except for these fields."""
    newest = version_document()
    known = {"name": newest["name"], "owner": "ann", "created": _NOON, "versions": 1, "links": {}}
    return {**known, "newest": newest, **fields}


def page_of(*documents: Any, **more: Any) -> dict[str, Any]:
    """A page with these documents, the last one unless it says otherwise."""
    return {"data": list(documents), "has_more": False, "next": None, **more}


@dataclass
class Scripted:
    """A running server: `asked` are the received requests, `url` is its address."""

    url: str
    asked: list[Request] = field(default_factory=list)


@contextmanager
def scripted_service(answer: Answering | list[Reply], path: str = "") -> Iterator[Scripted]:
    """A server that replies by a function, or with these replies in turn, repeating the last."""
    script = list(answer) if isinstance(answer, list) else []
    lock = threading.Lock()

    def reply_to(request: Request) -> Reply:
        if not isinstance(answer, list):
            return answer(request)
        with lock:
            return script.pop(0) if len(script) > 1 else script[0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            scripted.asked.append(request)
            self.send(reply_to(request))

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

        def send(self, reply: Reply) -> None:
            if reply is HANG_UP:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if reply.raw is not None:
                self.close_connection = True
                with suppress(ConnectionError):  # the client has heard enough
                    for piece in reply.raw():
                        self.wfile.write(piece)
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body) + 100 * reply.cut))
            self.end_headers()
            self.wfile.write(reply.body)
            if reply.cut:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: the requests are recorded."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scripted = Scripted(f"http://127.0.0.1:{server.server_port}{path}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
