"""What a job's process has at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from intertwine_cache import Store
    from sqlalchemy import Connection

    from intertwine_api.database import Database
    from intertwine_api.jobs.folder import JobFolder
    from intertwine_api.jobs.metrics import Metrics
    from intertwine_api.jobs.queue import Queue
    from intertwine_api.objects import Objects


#: What a job comes to: its result, or what keeps the last of it in the database and then gives the
#: result. That is done in the transaction in which the job succeeds: neither is without the other.
Result: TypeAlias = "Mapping[str, Any] | Callable[[Connection], Mapping[str, Any]]"


class Stopped(Exception):
    """Raised by `Context.check` where the job is to end: it was cancelled, or is another's now."""


@dataclass(frozen=True)
class Context:
    """The surroundings of a job while it runs; `home` is the folder of the service's data.

    `store` has bases, `objects` has datasets and weights.
    """

    home: Path
    files: JobFolder
    database: Database
    queue: Queue
    metrics: Metrics
    objects: Objects
    store: Store
    #: Tell how far the job is (see `Job.progress`). It costs nothing: the latest is what is kept.
    report: Callable[[Mapping[str, Any]], None]
    #: Raise `Stopped` if the job is to end. A job that never asks is ended all the same.
    check: Callable[[], None]

    @property
    def folder(self) -> Path:
        """The job's own folder, the same for all its attempts."""
        return self.files.path
