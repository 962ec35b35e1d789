"""`intertwine worker`: run jobs on this host, without the service."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from intertwine_api.commands import common

if TYPE_CHECKING:
    from intertwine_api.jobs.job import Job

_EXAMPLES = """\
  intertwine worker --data /srv/intertwine --database postgresql://lab@db.example.org/intertwine
  intertwine worker --jobs 4
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "worker", "Run the jobs of a service on this host, without serving.", _EXAMPLES
    )
    common.add_host(parser)
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="jobs at once (default: half of the processors)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Claim jobs and run them until interrupted; those that run then go on."""
    from intertwine.errors import InvalidSetting

    from intertwine_api.jobs.here import controller_of, places_of
    from intertwine_api.jobs.queue import Queue
    from intertwine_api.stores import open_store

    settings = common.read_settings(arguments, "data", "database", "jobs")
    if not settings.jobs:
        raise InvalidSetting("a worker for no jobs has nothing to do: give --jobs 1 or more")
    places = places_of(settings, open_store(settings).layout.root)
    with common.open_database(settings) as database:
        queue = Queue(database, settings.lease_seconds)
        controller = controller_of(settings, places, queue)
        stopped = _when_interrupted()
        from_before = queue.held(places.host)  # asked first: the controller claims new ones at once
        controller.start()
        shown = database.url.render_as_string(hide_password=True)
        print(f"runs the jobs of {shown}, at most {places.slots} at once; stop it with Ctrl-C")
        _list(from_before, "from before")
        stopped.wait()
        controller.stop()
        _list(
            queue.held(places.host), "goes on, and the next worker or service here looks after it"
        )
    return 0


def _when_interrupted() -> threading.Event:
    """Set by Ctrl-C, and by whoever asks the process to end."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def _list(jobs: list[Job], what: str) -> None:
    for job in jobs:
        name = f" ({job.name})" if job.name else ""
        print(f"job {job.id}{name} {what}")
    sys.stdout.flush()  # it may be a log that is read while the worker runs
