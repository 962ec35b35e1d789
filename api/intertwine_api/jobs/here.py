"""Jobs on this host, as the settings of the service say."""

from __future__ import annotations

from pathlib import Path

from intertwine_api.jobs.controller import Controller, Places
from intertwine_api.jobs.local import LocalExecutor, host_of
from intertwine_api.jobs.queue import Queue
from intertwine_api.jobs.surroundings import Surroundings
from intertwine_api.settings import Settings


def places_of(settings: Settings, store: Path) -> Places:
    """Where jobs run: how many at once, by which command, and with which surroundings."""
    around = Surroundings(settings.home, settings.database_url, store, settings.lease_seconds)
    return Places(
        host=host_of(settings.home / "jobs"),
        slots=settings.jobs,
        environment=around.to_environment(),
        lease_seconds=settings.lease_seconds,
    )


def controller_of(settings: Settings, places: Places, queue: Queue) -> Controller:
    """The controller of this host's jobs."""
    executor = LocalExecutor(settings.home / "jobs", places.grace)
    return Controller(queue, executor, places)
