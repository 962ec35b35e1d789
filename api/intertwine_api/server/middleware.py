"""Middleware: check and limit request bodies, set headers, and answer HEAD."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertwine_api.server.limits import Account, ByteBudget, dropped_bytes
from intertwine_api.server.problem_responses import respond
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.problems import Problem, ProblemError
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
_PAGE_POLICY = (
    f"{_NOTHING}; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'"
)
_DOCS_POLICY = (  # the script of Swagger UI starts in the page
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_DOCS = "/docs"
_SMALL = 2**16  # bytes; the server buffers as many
_MOST_FIELDS = 20_000  # of JSON: an error is made of each that is unknown
_PIECE = 2**20  # bytes that are sent at a time
_HELD = 4  # pieces of a stream in memory: made, sent, and two copies of the server


class BodyLimit:
    """Refuse bodies over a limit: by their declared length, or else while receiving them.

    Binary arrays may be larger than JSON, because parsing JSON blocks the event loop.
    `uploads` maps the paths whose bodies are streamed to a file to their limits; with a slash at
    its end, a path stands for those below it. All other bodies stay in memory until the end of
    their requests, and count against the `budget`.
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
        self._dropped = dropped_bytes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with ``body-too-large``."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        limit = self.binary_limit if is_safetensors(headers) else self.limit
        upload = _upload_at(path_of(scope), self.uploads)
        limit = limit if upload is None else self.uploads[upload]
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await self._refuse(self._too_large(limit, scope), True, scope, receive, send)
            return
        seen, more, started = 0, True, False
        refusal: ProblemError | None = None
        is_json, fields = media_type(headers) == _JSON, 0

        async def bounded() -> Message:
            nonlocal seen, more, refusal, fields
            message = await receive()
            more = message.get("more_body", False)
            size = len(message.get("body", b""))
            seen += size
            if seen > limit:
                refusal = self._too_large(limit, scope)
                raise _Refused
            if is_json:
                fields += message.get("body", b"").count(b":")
                if fields > _MOST_FIELDS:
                    detail = f"the body has more than {_MOST_FIELDS:,} fields"
                    refusal = ProblemError.of("body-too-large", detail)
                    raise _Refused
            if size and upload is None:
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
            size = len(message.get("body", b""))
            seen += size
            more = message.get("more_body", False)
            await self._dropped.pace("bodies", size)
        headers = {**refusal.headers, "Connection": "close"}
        await respond(refusal.problem, headers)(scope, receive, send)

    def _too_large(self, limit: int, scope: Scope) -> ProblemError:
        return ProblemError.of(
            "body-too-large",
            f"the file is larger than the limit of {limit:,} bytes"
            if _upload_at(path_of(scope), self.uploads) is not None
            else f"the body is too large: the limit is {self.limit:,} bytes, and "
            f"{self.binary_limit:,} for vectors as safetensors",
            limit_bytes=limit,
        )


class ReplyLimit:
    """Limit the bytes of responses in memory until their clients have read them.

    A large body is sent in pieces, and its request ends when the client has accepted the last one.
    Until then its bytes count against the `budget`: all bytes of a whole body, or four pieces of a
    stream. If there is no room, the response is a problem instead.
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
    return media_type(headers) == SAFETENSORS


def _upload_at(path: str, uploads: Collection[str]) -> str | None:
    """Return the path of `uploads` for a request: its own, or a folder that it is in; or None."""
    if path in uploads:
        return path
    return next((each for each in uploads if each.endswith("/") and path.startswith(each)), None)


class _Refused(Exception):
    pass


def is_head(scope: Mapping[str, Any]) -> bool:
    """Return whether a route's GET is a HEAD. Then the route need not compute the body."""
    return bool(scope.get(_HEAD))


class ContentTypeCheck:
    """Refuse bodies with a content type that their path does not accept.

    Browsers send forms and plain text to other origins without a preflight request, so those types
    are never read as JSON. `uploads` are the paths that accept files. Other paths outside ``/v1``
    are pages, which check their forms themselves.
    """

    def __init__(self, app: ASGIApp, uploads: Collection[str]) -> None:
        self.app, self.uploads = app, frozenset(uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with ``unsupported-media-type``."""
        if scope["type"] == "http" and self._is_checked(path_of(scope)):
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

    def _is_checked(self, path: str) -> bool:
        return path.startswith("/v1/") or _upload_at(path, self.uploads) is not None

    def _accepted(self, path: str) -> tuple[str, ...]:
        if _upload_at(path, self.uploads) is not None:
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
    """Set headers that prevent type sniffing, framing, and caching of private responses.

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
                is_page = headers.get("content-type", "").startswith("text/html")
                if is_page:  # else browsers send the forms of the page without their origin
                    headers.setdefault("Referrer-Policy", "same-origin")
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                policy = _NOTHING
                if is_page:
                    policy = _DOCS_POLICY if path.startswith(_DOCS) else _PAGE_POLICY
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
        if head and not path_of(scope).startswith(("/v1/blobs/", "/v1/store/blobs/")):
            scope = {**scope, "method": "GET", _HEAD: True}
        await self.app(scope, receive, send)
