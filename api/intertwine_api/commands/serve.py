"""`intertwine serve`: run the HTTP service."""

from __future__ import annotations

import argparse
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine_api.commands import common

if TYPE_CHECKING:
    from intertwine_api.settings import Settings

_EXAMPLES = """\
  intertwine serve
  intertwine serve --port 9000 --data ./lab
"""


_GRACE = 5  # seconds that callers have left when the service is asked to end


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "serve", "Run the HTTP service: bases for everybody, solved once.", _EXAMPLES
    )
    parser.add_argument("--host", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port (default 8000; 0 picks a free one)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder of its data")
    parser.add_argument(
        "--allow-unauthenticated",
        action="store_true",
        default=None,
        help="listen on other addresses than loopback although nobody is asked who they are",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from intertwine.errors import InvalidSetting
    from pydantic import ValidationError

    from intertwine_api.settings import Settings

    names = ("host", "port", "data", "allow_unauthenticated")
    given = {n: v for n in names if (v := getattr(arguments, n)) is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        faults = (f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise InvalidSetting("; ".join(faults)) from error
    _refuse_open_doors(settings)
    return _serve(settings)


def _refuse_open_doors(settings: Settings) -> None:
    """Without keys, whoever reaches the port may use the machine."""
    from intertwine.errors import InvalidSetting

    if settings.allow_unauthenticated or _is_loopback(settings.host):
        return
    raise InvalidSetting(
        f"listening on {settings.host} lets everybody who can reach it use this machine, because "
        f"the service asks nobody who they are. Listen on 127.0.0.1 (and let people in through ssh "
        f"or a proxy that asks), or say --allow-unauthenticated where the network itself is closed"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _serve(settings: Settings) -> int:
    import socket

    import uvicorn

    from intertwine_api.app import create_app

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # named as TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    port = listener.getsockname()[1]
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    _announce(f"http://{shown}:{port}", app.state.service.store.layout.root)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _announce(address: str, place: Path) -> None:
    print(
        f"Intertwine serves {address}  (documentation: {address}/docs; store: {place})\n"
        f"try it:\n"
        f"  curl -s {address}/v1/bases -H 'content-type: application/json' \\\n"
        f'       -d \'{{"rep": "V**2*V.T+5V0", "group": "SO(3)"}}\'\n'
        f"stop it with Ctrl-C",
        flush=True,
    )
