"""What happens to every request: its body is bounded, it is counted, and HEAD is answered."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertwine_api.server.problem_responses import respond
from intertwine_api.wire.problems import Problem
from intertwine_api.wire.safetensors_body import SAFETENSORS
from intertwine_api.work.service_metrics import ServiceMetrics

_DRAINED = 4  # times the limit
_HEAD = "intertwine.head"


class BoundedBody:
    """Refuse bodies past a bound: by their stated length, and else while they arrive.

    Arrays in binary may be larger than JSON, which is read in one go that holds up everybody.
    `uploads` are the addresses whose bodies go to a file piece by piece, each with its own bound.
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
        """Pass the request on, or answer it with ``body-too-large``."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        limit = self.binary_limit if is_safetensors(headers) else self.limit
        limit = self.uploads.get(path_of(scope), limit)
        stated = headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > limit:
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
            if not over or started:  # else it answers that the body is broken: we know better
                started = True
                await send(message)

        with suppress(_TooLarge):
            await self.app(scope, bounded, watched)
        if over and not started:
            await self._refuse(limit, more, scope, receive, send)

    async def _refuse(
        self, limit: int, more: bool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # who is still sending does not hear an answer, so some more is read, and thrown away
        seen = 0
        while more and seen <= _DRAINED * self.binary_limit:
            message = await receive()
            seen += len(message.get("body", b""))
            more = message.get("more_body", False)
        upload = path_of(scope) in self.uploads
        problem = Problem.of(
            "body-too-large",
            f"a file has at most {limit:,} bytes here"
            if upload
            else f"a body has at most {self.limit:,} bytes here, and one of vectors as safetensors "
            f"{self.binary_limit:,}",
            limit_bytes=limit,
        )
        await respond(problem, {"Connection": "close"})(scope, receive, send)


def path_of(scope: Scope) -> str:
    """The address of a request, without what a proxy puts before it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def is_safetensors(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request's headers say that its body is safetensors."""
    return headers.get(b"content-type", b"").lower().startswith(SAFETENSORS.encode())


class _TooLarge(Exception):
    pass


def is_head(scope: Mapping[str, Any]) -> bool:
    """Whether a request that came to a route as GET is a HEAD: it may leave out its work."""
    return bool(scope.get(_HEAD))


class Counted:
    """Count requests by route (never by path: those are without number) and status."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count its answer."""

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                path = getattr(route, "path", "unknown")
                self.metrics.requests.labels(path, message["status"]).inc()
            await send(message)

        await self.app(scope, receive, counting if scope["type"] == "http" else send)


class HeadAsGet:
    """Answer HEAD wherever GET is (RFC 9110, §9.1): the server leaves the body out.

    Blobs do so themselves, without reading their file.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD on as the GET that it stands for."""
        head = scope["type"] == "http" and scope["method"] == "HEAD"
        if head and not path_of(scope).startswith("/v1/blobs/"):
            scope = {**scope, "method": "GET", _HEAD: True}
        await self.app(scope, receive, send)
