"""A small HTTP server with scripted responses that records its requests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
    """A scripted response. With `cut`, the connection breaks before the end of the body."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


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
    return json_reply({"status": status, "code": code, "detail": detail}, status, **headers)


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

        do_GET = do_POST = do_DELETE = do_HEAD = handle_any

        def send(self, reply: Reply) -> None:
            if reply is HANG_UP:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
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
