"""The service of `forward.py`: as `intertwine serve` runs it, with two more endpoints.

`/v1/empty` reads a request and responds like a forward, but computes nothing. `/warm` responds
when all programs of a model are compiled.

    python benchmarks/forward_server.py FOLDER ANSWER     prints its port; settings: INTERTWINE_…
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from intertwine_api.server.app import create_app
from intertwine_api.work.host import collect_rarely
from intertwine_api.work.settings import Settings


def main(folder: str, answer: str) -> None:
    """Serve until terminated."""
    app = create_app(Settings(data=Path(folder)))
    add_to(app, answer.encode())
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)  # early connections wait until it serves
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    collect_rarely()
    uvicorn.Server(config).run(sockets=[listener])


def add_to(app: FastAPI, answer: bytes) -> None:
    """Add the two endpoints."""
    service = app.state.service

    @app.post("/v1/empty")
    async def empty(request: Request) -> Response:
        await request.body()
        return Response(answer, media_type="application/json")

    app.router.routes.insert(0, app.router.routes.pop())  # found before any other route is tried

    @app.get("/warm/{name}")
    async def warm(name: str) -> str:
        async with service.inference.in_memory.use(service.models.get(name)) as served:
            await served.warming
        return "warm"


if __name__ == "__main__":
    main(*sys.argv[1:])
