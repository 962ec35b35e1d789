"""Middleware: check and limit request bodies, set headers, and answer HEAD."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertwine_api.server.problem_responses import respond
from intertwine_api.wire.problems import Problem
from intertwine_api.wire.safetensors_body import SAFETENSORS

_DRAINED = 4  # times the limit
_HEAD = "intertwine.head"
_JSON = "application/json"
#: The media types of uploaded files.
FILE_TYPES = (SAFETENSORS, "application/zip", "application/x-npz", "application/octet-stream")

_HEADERS = {  # of every response
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_HOME_POLICY = f"{_NOTHING}; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'"
_DOCS_POLICY = (  # the scripts of Swagger UI and ReDoc start in the page, and ReDoc has a worker
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_DOCS = ("/docs", "/redoc")


class BodyLimit:
    """Refuse bodies over a limit: by their declared length, or else while receiving them.

    Binary arrays may be larger than JSON, because parsing JSON blocks the event loop.
    `uploads` maps the paths whose bodies are streamed to a file to their limits.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        binary_limit: int,
        uploads: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.app, self.limit, self.binary_limit = app, limit, binary_limit
        self.uploads = uploads

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
            await self._refuse(limit, True, scope, receive, send)
            return
        seen, more, over, started = 0, True, False, False

        async def bounded() -> Message:
            nonlocal seen, more, over
            message = await receive()
            more = message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > limit:
                over = True
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            if not over or started:  # drops the app's error about an incomplete body
                started = True
                await send(message)

        with suppress(_TooLarge):
            await self.app(scope, bounded, watched)
        if over and not started:
            await self._refuse(limit, more, scope, receive, send)

    async def _refuse(
        self, limit: int, more: bool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # clients read the response only after sending, so part of the rest is read and dropped
        seen = 0
        while more and seen <= _DRAINED * self.binary_limit:
            message = await receive()
            seen += len(message.get("body", b""))
            more = message.get("more_body", False)
        upload = path_of(scope) in self.uploads
        problem = Problem.of(
            "body-too-large",
            f"the file is larger than the limit of {limit:,} bytes"
            if upload
            else f"the body is too large: the limit is {self.limit:,} bytes, and "
            f"{self.binary_limit:,} for vectors as safetensors",
            limit_bytes=limit,
        )
        await respond(problem, {"Connection": "close"})(scope, receive, send)


def path_of(scope: Scope) -> str:
    """Return the path of a request without the root path of a proxy."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def is_safetensors(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether the content type of a request is safetensors."""
    return media_type(headers) == SAFETENSORS


class _TooLarge(Exception):
    pass


def is_head(scope: Mapping[str, Any]) -> bool:
    """Return whether a route's GET is a HEAD. Then the route need not compute the body."""
    return bool(scope.get(_HEAD))


class ContentTypeCheck:
    """Refuse bodies under ``/v1`` whose content type their address does not take.

    Browsers send forms and plain text to other origins without asking, so those types are never
    read as JSON. `uploads` are the paths that take files.
    """

    def __init__(self, app: ASGIApp, uploads: Collection[str]) -> None:
        self.app, self.uploads = app, frozenset(uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with ``unsupported-media-type``."""
        if scope["type"] == "http" and path_of(scope).startswith("/v1/"):
            headers = dict(scope["headers"])
            sent = media_type(headers)
            accepted = self._accepted(path_of(scope))
            if _has_body(headers) and sent not in accepted:
                what = f"the body is {sent[:100]}" if sent else "the body has no content type"
                one = accepted[0] if len(accepted) == 1 else f"one of {', '.join(accepted)}"
                problem = Problem.of(
                    "unsupported-media-type", f"{what}: send it with the content-type {one}"
                )
                await respond(problem, {"Connection": "close"})(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _accepted(self, path: str) -> tuple[str, ...]:
        if path in self.uploads:
            return FILE_TYPES
        if path.endswith((":forward", ":project")):
            return (_JSON, SAFETENSORS)
        return (_JSON,)


def media_type(headers: Mapping[bytes, bytes]) -> str:
    """Return the media type of a request's body in lower case, without parameters."""
    value = headers.get(b"content-type", b"").decode("latin-1")
    return value.partition(";")[0].strip().lower()


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


class SecurityHeaders:
    """Set headers that keep browsers from guessing types, framing, and caching private answers.

    A route's own headers are kept.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its response."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                path = path_of(scope)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                is_page = headers.get("content-type", "").startswith("text/html")
                policy = _NOTHING
                if is_page:
                    policy = _DOCS_POLICY if path.startswith(_DOCS) else _HOME_POLICY
                headers.setdefault("Content-Security-Policy", policy)
                if path.startswith("/v1/") or path.rstrip("/") == "/metrics":
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


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
