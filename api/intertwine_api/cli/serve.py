"""`intertwine serve` and `intertwine worker`: run the HTTP service, or only its jobs."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    import socket

    from intertwine_api.server.service import Service
    from intertwine_api.work.job import Job
    from intertwine_api.work.settings import Settings


_EXAMPLES = """\
  intertwine serve
  intertwine serve --port 9000 --data ./lab
  intertwine serve --database postgresql://lab@db.example.org/intertwine --jobs 4
"""
_WORKER_EXAMPLES = """\
  intertwine worker --data /srv/intertwine --database postgresql://lab@db.example.org/intertwine
  intertwine worker --jobs 4
"""
_LOG = logging.getLogger("intertwine.service")
_GRACE = 5  # seconds for open requests to end at shutdown
_SWITCH_SECONDS = 5e-4  # the interpreter's switch interval: Python's 5 ms delay each step

_jobs_option = click.option(
    "--jobs", type=int, metavar="N", help="Concurrent jobs (default: half of the processors)."
)


@click.command("serve", epilog=common.examples(_EXAMPLES))
@click.option("--host", help="The address to listen on (default: 127.0.0.1).")
@click.option("--port", type=int, help="The port (default: 8000; 0 picks a free one).")
@common.with_settings
@_jobs_option
@click.option(
    "--allow-unauthenticated",
    is_flag=True,
    default=None,
    help="Listen on non-loopback addresses without authentication.",
)
def run_service(settings: Settings) -> None:
    """Run the HTTP service: bases, trainings and models."""
    _refuse_open_doors(settings)
    _ignore_hangups()
    _serve(settings)


@click.command("worker", epilog=common.examples(_WORKER_EXAMPLES))
@common.with_settings
@_jobs_option
def run_worker(settings: Settings) -> None:
    """Run a service's jobs on this host, without serving HTTP."""
    from intertwine.errors import InvalidSetting

    from intertwine_api.storage.identity import require_same_service
    from intertwine_api.work import traces
    from intertwine_api.work.controller import host_capacity, make_controller
    from intertwine_api.work.queue import Queue
    from intertwine_api.work.settings import objects_of, open_store

    if not settings.jobs:
        raise InvalidSetting("a worker needs room for a job: give --jobs 1 or more")
    traces.require_exporter()  # its jobs have traces
    _ignore_hangups()
    places = host_capacity(settings, open_store(settings).layout.root)
    with common.open_database(settings) as database:
        require_same_service(database, settings.home, objects_of(settings))
        queue = Queue(database, settings.lease_seconds)
        controller = make_controller(settings, places, queue)
        stopped = _when_interrupted()
        from_before = queue.held(places.host)  # asked first: the controller claims new ones at once
        controller.start()
        shown = database.url.render_as_string(hide_password=True)
        print(f"runs the jobs of {shown}, at most {places.slots} at once; stop it with Ctrl-C")
        _list(from_before, "from before")
        stopped.wait()
        controller.stop()
        _list(
            queue.held(places.host), "keeps running; the next worker or service here supervises it"
        )


def _refuse_open_doors(settings: Settings) -> None:
    """Raise `InvalidSetting` for a service that others can reach and that asks for no keys."""
    from intertwine.errors import InvalidSetting

    if settings.allow_unauthenticated or settings.on_loopback or settings.require_keys:
        return
    if _has_had_keys(settings):
        return
    raise InvalidSetting(
        f"listening on {settings.host} lets everybody who can reach this machine use it, because "
        f"the service has no keys and so no authentication. Create a key with `intertwine keys "
        f"create`, after which it requires one; or listen on 127.0.0.1, behind ssh or a proxy that "
        f"authenticates; or give --allow-unauthenticated if the network itself is closed"
    )


def _has_had_keys(settings: Settings) -> bool:
    """Return whether the database has had keys, without creating it."""
    from intertwine_api.cli.keys import has_database
    from intertwine_api.storage.keys import Keys

    if not has_database(settings):
        return False
    with common.open_database(settings) as database:
        return Keys(database, settings.home).any()


def _listen(settings: Settings) -> socket.socket:
    """Return a socket bound to the address of the settings.

    Raises `InvalidSetting` if the address is not available.
    """
    import errno
    import socket

    from intertwine.errors import InvalidSetting

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # named as TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        port_is_it = error.errno in (errno.EADDRINUSE, errno.EACCES)
        what = "another port with --port; 0 picks a free one" if port_is_it else "another --host"
        raise InvalidSetting(
            f"cannot listen on {_shown(settings.host)}:{settings.port}: "
            f"{str(error.strerror).lower()}. Give {what}"
        ) from error
    return listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _serve(settings: Settings) -> None:
    import uvicorn

    from intertwine_api.server.app import create_app
    from intertwine_api.server.connections import (
        Connections,
        raise_descriptor_limit,
        room_for_connections,
    )
    from intertwine_api.storage.identity import require_same_service
    from intertwine_api.work import traces
    from intertwine_api.work.host import (
        collect_rarely,
        return_freed_memory,
        share_gpu,
        use_one_blas_thread,
    )
    from intertwine_api.work.logs import configure_logging

    configure_logging(settings)
    traces.start()
    share_gpu()
    listener = _listen(settings)
    port = listener.getsockname()[1]
    app = create_app(settings)
    service: Service = app.state.service

    class Server(uvicorn.Server):
        """Closes event streams on shutdown, and prints how many jobs continue."""

        def handle_exit(self, sig: int, frame: Any) -> None:
            service.streams.end()
            super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            traces.stop()  # here, because uvicorn then ends the process by the signal
            _take_leave(service)

    room = room_for_connections(settings.connections, raise_descriptor_limit())
    config = uvicorn.Config(
        app,
        http=Connections(room, settings.stall_seconds).protocol(),
        ws="none",  # a WebSocket library, if installed, would take over connections
        log_level="warning",
        log_config=None,  # `configure_logging` does it
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    with common.open_database(settings) as database:  # fails first if it cannot be used
        require_same_service(database, settings.home, service.objects)
        _announce(f"http://{_shown(settings.host)}:{port}", service)
    collect_rarely()
    return_freed_memory()
    use_one_blas_thread()
    sys.setswitchinterval(_SWITCH_SECONDS)
    Server(config).run(sockets=[listener])


def _announce(address: str, service: Service) -> None:
    access = service.access_policy()
    key = "       -H 'authorization: Bearer itw_…' \\\n" if access.requires_keys else ""
    bucket = service.objects.bucket
    objects = "" if bucket is None else f"datasets and weights: {bucket.address}; "
    here = len(service.jobs_here())
    go_on = f"{_jobs(here)} from before, " if here else "jobs: "
    print(
        f"Intertwine serves {address}  (API: {address}/docs; "
        f"store: {service.store.layout.root})\n"
        f"console: open {address}/ in a browser\n"
        f"database: {service.database.url.render_as_string(hide_password=True)}; "
        f"{objects}"
        f"{go_on}at most {service.capacity.slots} at once\n"
        f"access: {access.description}\n"
        f"try it:\n"
        f"  curl -s {address}/v1/bases -H 'content-type: application/json' \\\n"
        f"{key}"
        f'       -d \'{{"rep": "V**2*V.T+5V0", "group": "SO(3)"}}\'\n'
        f"stop it with Ctrl-C",
        flush=True,
    )
    if access.advice:
        common.warn(access.advice)


def _take_leave(service: Service) -> None:
    here = len(service.left)
    if here:
        them = "it" if here == 1 else "them"
        print(f"{_jobs(here)}; the next `intertwine serve` supervises {them}", flush=True)


def _jobs(count: int) -> str:
    return f"{count} job keeps running" if count == 1 else f"{count} jobs keep running"


def _ignore_hangups() -> None:
    """Ignore SIGHUP, which means "reload" for daemons, except in a terminal.

    Settings are read at the start only. A service in a terminal ends when the terminal closes.
    """
    if hasattr(signal, "SIGHUP") and not sys.stdin.isatty():
        signal.signal(signal.SIGHUP, _report_hangup)


def _report_hangup(*_: object) -> None:
    _LOG.warning("SIGHUP is ignored: settings are read at the start; restart to change them")


def _when_interrupted() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def _list(jobs: list[Job], what: str) -> None:
    for job in jobs:
        name = f" ({job.name})" if job.name else ""
        print(f"job {job.id}{name} {what}")
    sys.stdout.flush()  # the log may be read while the worker runs
