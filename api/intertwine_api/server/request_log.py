"""Middleware: an id for each request, its log line and metrics, and unexpected errors."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertwine_api.server.middleware import is_head, key_of, path_of
from intertwine_api.server.problem_responses import respond
from intertwine_api.server.recent_errors import FailedRequest, RecentErrors
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.problems import MEDIA_TYPE, Problem
from intertwine_api.work import traces
from intertwine_api.work.logs import REQUEST_ID
from intertwine_api.work.service_metrics import ServiceMetrics

_ACCESS = logging.getLogger("intertwine.access")
_LOG = logging.getLogger("intertwine.service")
_VALID_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HEADER = "X-Request-ID"
_FAILED = 500  # the least status of an error of the service
_LEFT = 499  # the client disconnected before the response
_LONGEST = 200  # characters of a path in the log
_TRACE_HEADERS = (b"traceparent", b"tracestate")


@dataclass
class _Exchange:
    """The data of a request for its log line and metrics.

    `code` is that of the problem of a failed request, or the class of an unexpected error.
    """

    started: float
    status: int = 0
    received: int = 0
    sent: int = 0
    code: str = ""


class RequestLog:
    """Give each request an id and a span, and log and count it when its response has ended.

    Failed requests are added to `errors`.

    The id is that of a valid header `X-Request-ID`, or a new one. It is in the response's header,
    in problem documents and in all log lines. Queries are not logged, because they may contain
    secrets. Metrics have the route's template, since the number of paths is unbounded.
    """

    def __init__(
        self, app: ASGIApp, metrics: ServiceMetrics, errors: RecentErrors, is_logged: bool
    ) -> None:
        self.app, self.metrics, self.errors, self.is_logged = app, metrics, errors, is_logged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Respond with ``internal`` if it raises an unexpected error."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _id_of(scope)
        REQUEST_ID.set(request_id)  # each request has its own task, and so its own context
        exchange = _Exchange(time.perf_counter())
        is_problem = False

        async def counted() -> Message:
            message = await receive()
            exchange.received += len(message.get("body", b""))
            return message

        async def watched(message: Message) -> None:
            nonlocal is_problem
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[_HEADER] = request_id
                is_problem = headers.get("content-type", "").startswith(MEDIA_TYPE)
            elif is_problem and exchange.status >= _FAILED and not exchange.code:
                exchange.code = _code_of(message)
            exchange.sent += len(message.get("body", b""))
            await send(message)

        with traces.span(scope["method"], kind="server", parent=_trace_headers(scope)):
            try:
                await self.app(scope, counted, watched)
            except Exception as error:
                exchange.code = type(error).__name__
                if exchange.status:  # too late: the server closes the connection
                    raise
                _LOG.exception("an unexpected error occurred")
                detail = "an unexpected error occurred: see the service's log"
                problem = Problem.of("internal", detail)
                await respond(problem, {"Connection": "close"})(scope, receive, watched)
            finally:
                self._end(scope, exchange, request_id)

    def _end(self, scope: Scope, exchange: _Exchange, request_id: str) -> None:
        seconds = time.perf_counter() - exchange.started
        status = exchange.status or _LEFT
        route = getattr(scope.get("route"), "path", "unknown")
        self.metrics.requests.labels(route, status).inc()
        self.metrics.request_seconds.labels(route).observe(seconds)
        if status == 401:
            self.metrics.auth_failures.inc()
        if status >= _FAILED or exchange.code:
            self.errors.add(_failed(scope, route, exchange, request_id))
        if self.is_logged:
            _ACCESS.info("request", extra={"fields": _fields(scope, route, seconds, exchange)})
        _mark(scope, status, request_id)


def _code_of(message: Message) -> str:
    """Return the code of a problem; empty if it is so long that it is sent in pieces."""
    if message.get("more_body", False) or not message["body"]:
        return ""
    code: str = json.loads(message["body"])["code"]
    return code


def _mark(scope: Scope, status: int, request_id: str) -> None:
    """Describe the request in its span, by the names of OpenTelemetry's conventions."""
    method = "HEAD" if is_head(scope) else scope["method"]
    route = getattr(scope.get("route"), "path", None)
    traces.mark(
        {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "url.scheme": scope.get("scheme"),
            "url.path": path_of(scope)[:_LONGEST],
            "intertwine.request_id": request_id,
            "intertwine.key_id": key_of(scope),
        },
        name=f"{method} {route}" if route else method,
        error=str(status) if status >= 500 else None,
    )


def _failed(scope: Scope, route: str, exchange: _Exchange, request_id: str) -> FailedRequest:
    state = scope.get("state", {})
    caller: Caller | None = state.get("caller")
    return FailedRequest(
        at=time.time(),
        method="HEAD" if is_head(scope) else scope["method"],
        route=route,
        path=path_of(scope)[:_LONGEST],
        status=exchange.status or _LEFT,
        code=exchange.code or state.get("problem_code", ""),
        request_id=request_id,
        owner=caller.owner if caller else None,
    )


def _fields(scope: Scope, route: str, seconds: float, exchange: _Exchange) -> dict[str, Any]:
    caller: Caller | None = scope.get("state", {}).get("caller")
    client = scope.get("client")
    return {
        "method": "HEAD" if is_head(scope) else scope["method"],
        "route": route,
        "path": path_of(scope)[:_LONGEST],
        "status": exchange.status or _LEFT,
        "ms": round(seconds * 1000, 3),
        "received": exchange.received,
        "sent": exchange.sent,
        "owner": caller.owner if caller else None,
        "key": caller.key_id if caller else None,
        "client": client[0] if client else None,
    }


def _trace_headers(scope: Scope) -> dict[str, str]:
    sent = ((name, value) for name, value in scope["headers"] if name in _TRACE_HEADERS)
    return {name.decode("ascii"): value.decode("latin-1") for name, value in sent}


def _id_of(scope: Scope) -> str:
    """Return the request's own id if it is valid, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _VALID_ID.fullmatch(value):
            own: str = value.decode("ascii")
            return own
    return uuid.uuid4().hex
