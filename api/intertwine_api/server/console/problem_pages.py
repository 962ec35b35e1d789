"""Problems as pages: browsers that open a page get a problem document as HTML."""

from __future__ import annotations

import json
import shlex
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertwine_api.server.console.shell import render
from intertwine_api.server.middleware import path_of
from intertwine_api.wire.problems import MEDIA_TYPE


class ProblemPages:
    """Show problem documents as pages to clients that accept HTML, except under ``/v1``.

    It covers the problems of all middleware inside it and of all routes. Status and headers stay.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and replace the body of a problem."""
        if scope["type"] != "http" or not _wants_page(scope):
            await self.app(scope, receive, send)
            return
        held: Message | None = None
        body = b""

        async def shown(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start":
                media_type = Headers(raw=message["headers"]).get("content-type", "")
                if media_type.startswith(MEDIA_TYPE):
                    held = message
                    return
            if held is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                await _send_page(held, json.loads(body), scope, send)

        await self.app(scope, receive, shown)


def _wants_page(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "") and not path_of(scope).startswith(
        "/v1/"
    )


async def _send_page(start: Message, problem: dict[str, Any], scope: Scope, send: Send) -> None:
    request = Request(scope)
    query = f"?{request.url.query}" if request.url.query else ""
    values = {
        "problem": problem,
        "address": f"{path_of(scope) or '/'}{query}",
        "shell_address": shlex.quote(str(request.base_url)),
        "python_address": repr(str(request.base_url)),
    }
    page = render(request, "problem.html", values, status=start["status"])
    headers = MutableHeaders(raw=list(start["headers"]))
    for name in ("content-type", "content-length", "cache-control"):
        headers[name] = page.headers[name]
    headers.add_vary_header("Accept")
    await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": page.body})
