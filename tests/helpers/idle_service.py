"""The service in this process, which is never started: it has no workers, and its pages work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from intertwine_api.server.app import create_app
from intertwine_api.server.console.forms import FormTokens
from intertwine_api.server.service import Service
from intertwine_api.server.sessions import Sessions
from intertwine_api.work.settings import Settings

_IDENTITY = "0" * 32


class IdleService:
    """The application, its service, and requests of a browser."""

    def __init__(self, data: Path, runner: asyncio.Runner, **settings: Any) -> None:
        self.app = create_app(Settings(data=data, workers=1, jobs=0, **settings))
        self.service: Service = self.app.state.service
        self.service.database.migrate()
        self.service.sessions = Sessions(_IDENTITY)
        self.service.form_tokens = FormTokens(_IDENTITY)
        self._runner = runner

    def ask(self, method: str, path: str, key: str = "", **sent: Any) -> httpx.Response:
        """Send a request, with a key if one is given."""
        headers = {"accept": "text/html", **sent.pop("headers", {})}
        if key:
            headers["authorization"] = f"Bearer {key}"

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return await client.request(method, path, headers=headers, **sent)

        return self._runner.run(send())

    def get(self, path: str, key: str = "", **headers: str) -> httpx.Response:
        """Open a page."""
        return self.ask("GET", path, key, headers=headers)

    def send_form(
        self, page: str, action: str, key: str = "", **fields: Any
    ) -> tuple[str, httpx.Response]:
        """Send the form of a page whose action matches a pattern. Return its path and the answer.

        Hidden fields are sent as they are in the page.
        """
        path, hidden = form_in(self.get(page, key).text, page, action)
        return path, self.ask("POST", path, key, data={**hidden, **fields})


def form_in(text: str, page: str, action: str) -> tuple[str, dict[str, str]]:
    """Return the path of a form in a page, and its hidden fields."""
    found = re.search(rf'<form method="post" action="({action})"[^>]*>(.*?)</form>', text, re.S)
    assert found, text
    hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', found[2])
    return urljoin(page, found[1]), dict(hidden)


@contextmanager
def idle_service(data: Path, **settings: Any) -> Iterator[IdleService]:
    """The application of a data folder, with an empty database."""
    with asyncio.Runner() as runner:
        idle = IdleService(data, runner, **settings)
        yield idle
        idle.service.keys.close()
        idle.service.database.close()
