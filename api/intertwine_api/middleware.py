"""What happens to every request: its body is bounded, and it is counted."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertwine_api.metrics import Metrics
from intertwine_api.problems import Problem, respond

_DRAINED = 4  # times the limit


class BoundedBody:
    """Refuse bodies past a bound: by their stated length, and else while they arrive."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with ``body-too-large``."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > self.limit:
            await self._refuse(scope, receive, send)
            return
        seen, started = 0, False

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, bounded, watched)
        except _TooLarge:
            if not started:
                await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        # who is still sending does not hear an answer, so some more is read, and thrown away
        seen = 0
        while seen <= _DRAINED * self.limit:
            message = await receive()
            seen += len(message.get("body", b""))
            if not message.get("more_body", False):
                break
        problem = Problem.of("body-too-large", f"a body has at most {self.limit:,} bytes here")
        await respond(problem, {"Connection": "close"})(scope, receive, send)


class _TooLarge(Exception):
    pass


class Counted:
    """Count requests by route (never by path: those are without number) and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
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
