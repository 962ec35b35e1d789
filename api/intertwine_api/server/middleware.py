"""Middleware: limit request bodies, count requests, and answer HEAD."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertwine_api.server.limits import Account, ByteBudget
from intertwine_api.server.problem_responses import respond
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.safetensors_body import SAFETENSORS
from intertwine_api.work.service_metrics import ServiceMetrics

_DRAINED = 4  # times the limit
_HEAD = "intertwine.head"
_SMALL = 2**16  # bytes; the server buffers as many
_PIECE = 2**20  # bytes that are sent at a time
_HELD = 4  # pieces of a stream in memory: made, sent, and two copies of the server


class BodyLimit:
    """Refuse bodies over a limit: by their declared length, or else while receiving them.

    Binary arrays may be larger than JSON, because parsing JSON blocks the event loop.
    `uploads` maps the paths whose bodies are streamed to a file to their limits. All other bodies
    are in memory until the end of their requests, and take their bytes from the `budget`.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        binary_limit: int,
        budget: ByteBudget,
        uploads: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.app, self.limit, self.binary_limit = app, limit, binary_limit
        self.budget, self.uploads = budget, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with ``body-too-large``."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        limit = self.binary_limit if is_safetensors(headers) else self.limit
        limit = self.uploads.get(path_of(scope), limit)
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await self._refuse(self._too_large(limit, scope), True, scope, receive, send)
            return
        is_upload = path_of(scope) in self.uploads
        seen, more, started = 0, True, False
        refusal: ProblemError | None = None

        async def bounded() -> Message:
            nonlocal seen, more, refusal
            message = await receive()
            more = message.get("more_body", False)
            size = len(message.get("body", b""))
            seen += size
            if seen > limit:
                refusal = self._too_large(limit, scope)
                raise _Refused
            if size and not is_upload:
                try:
                    account.take(key_of(scope), size)
                except ProblemError as error:
                    refusal = error
                    raise _Refused from error
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            if refusal is None or started:  # drops the app's error about an incomplete body
                started = True
                await send(message)

        with self.budget.account() as account, suppress(_Refused):
            await self.app(scope, bounded, watched)
        if refusal is not None and not started:
            await self._refuse(refusal, more, scope, receive, send)

    async def _refuse(
        self, refusal: ProblemError, more: bool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # clients read the response only after sending, so part of the rest is read and dropped
        seen = 0
        while more and seen <= _DRAINED * self.binary_limit:
            message = await receive()
            seen += len(message.get("body", b""))
            more = message.get("more_body", False)
        headers = {**refusal.headers, "Connection": "close"}
        await respond(refusal.problem, headers)(scope, receive, send)

    def _too_large(self, limit: int, scope: Scope) -> ProblemError:
        return ProblemError.of(
            "body-too-large",
            f"the file is larger than the limit of {limit:,} bytes"
            if path_of(scope) in self.uploads
            else f"the body is too large: the limit is {self.limit:,} bytes, and "
            f"{self.binary_limit:,} for vectors as safetensors",
            limit_bytes=limit,
        )


class ReplyLimit:
    """Bound the bytes of responses in memory until their clients have read them.

    A large body is sent in pieces, and its request ends when the client has accepted the last one.
    Until then its bytes are taken from the `budget`: all bytes of a whole body, or four pieces of a
    stream. A response that finds no room is replaced by a problem.
    """

    def __init__(self, app: ASGIApp, budget: ByteBudget) -> None:
        self.app, self.budget = app, budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held: Message | None = None
        refusal: ProblemError | None = None

        async def bounded(message: Message) -> None:
            nonlocal held, refusal
            if message["type"] == "http.response.start" and _is_large(message):
                held = message  # until there is room for the body
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            if held is not None:
                try:
                    self._take(account, key_of(scope), message)
                except ProblemError as error:
                    refusal = error
                    raise _Refused from error  # ends the app, which need not compute the rest
                await send(held)
                held = None
            await _send_in_pieces(message, send)

        with self.budget.account() as account, suppress(_Refused):
            await self.app(scope, receive, bounded)
        if refusal is not None:
            await respond(refusal.problem, refusal.headers)(scope, receive, send)

    def _take(self, account: Account, key: str | None, message: Message) -> None:
        size = len(message.get("body", b""))
        wanted = _HELD * size if message.get("more_body", False) else size
        account.take(key, min(wanted, self.budget.most_of_key, self.budget.most))


def _is_large(start: Message) -> bool:
    length = dict(start.get("headers", ())).get(b"content-length", b"0")
    return int(length) > _SMALL


async def _send_in_pieces(message: Message, send: Send) -> None:
    body, more = message.get("body", b""), message.get("more_body", False)
    if len(body) <= _SMALL:
        await send(message)
        return
    view = memoryview(body)
    for at in range(0, len(view), _PIECE):
        part = view[at : at + _PIECE]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    if not more:  # the server sends a message when the client has accepted those before
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def key_of(scope: Scope) -> str | None:
    """Return the id of the caller's key. None without a key, or before authentication."""
    caller: Caller | None = scope.get("state", {}).get("caller")
    return None if caller is None else caller.key_id


def path_of(scope: Scope) -> str:
    """Return the path of a request without the root path of a proxy."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def is_safetensors(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether the content type of a request is safetensors."""
    return headers.get(b"content-type", b"").lower().startswith(SAFETENSORS.encode())


class _Refused(Exception):
    pass


def is_head(scope: Mapping[str, Any]) -> bool:
    """Return whether a route's GET is a HEAD. Then the route need not compute the body."""
    return bool(scope.get(_HEAD))


class RequestCounter:
    """Count requests by route and status. Paths are not labels: their number is unbounded."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count its response."""

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                path = getattr(route, "path", "unknown")
                self.metrics.requests.labels(path, message["status"]).inc()
            await send(message)

        await self.app(scope, receive, counting if scope["type"] == "http" else send)


class HeadAsGet:
    """Handle HEAD as GET (RFC 9110, §9.1). The server drops the body.

    Blobs have their own HEAD, which does not read the file.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD on as a GET."""
        head = scope["type"] == "http" and scope["method"] == "HEAD"
        if head and not path_of(scope).startswith("/v1/blobs/"):
            scope = {**scope, "method": "GET", _HEAD: True}
        await self.app(scope, receive, send)
