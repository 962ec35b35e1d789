"""A kind of job: how its request is validated, how it is run, and what its result links to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from intertwine.packages import missing_packages
from intertwine_cache import Chain, Store

from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.keys import Caller
from intertwine_api.storage.models import Models
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.quota import UploadedWeights
from intertwine_api.wire.jobs import JobRequest
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import Kind
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.job import Job, Limits, Result
from intertwine_api.work.job_metrics import JobMetrics
from intertwine_api.work.queue import Queue
from intertwine_api.work.settings import Settings

_Request = TypeVar("_Request", bound=JobRequest)


@dataclass(frozen=True)
class Requirement:
    """The optional packages that a job imports, and the extra that installs them."""

    packages: tuple[str, ...] = ()
    extra: str = ""


@dataclass(frozen=True)
class JobKind(Generic[_Request]):
    """A kind of job. To add one, write its module and register it in `intertwine_api.work.kinds`.

    `validate` returns the request to be stored and, if jobs are found by it, what the job is
    about; it raises the library's errors and `ProblemError` for a request that cannot be run.
    `run` is called in the job's process. `links` are the links of a job to its result.
    `requirement` says which optional packages `run` imports for a request.
    """

    name: Kind
    request: type[_Request]
    validate: Callable[[_Request, Submitter], ValidatedRequest]
    run: Callable[[Job, JobContext], Result]
    links: Callable[[Job], Mapping[str, str]]
    requirement: Callable[[_Request], Requirement] = lambda _: Requirement()

    def require_packages(self, request: _Request) -> None:
        """Raise `ProblemError` with ``unavailable`` if this installation cannot run the job."""
        needed = self.requirement(request)
        missing = missing_packages(needed.packages)
        if missing:
            raise ProblemError.of(
                "unavailable",
                f"this service cannot run this job of the kind {self.name!r}, because packages are "
                f"not installed there: {', '.join(missing)}. Its operator can install "
                f"'intertwine[{needed.extra}]' and restart it",
            )


@dataclass(frozen=True)
class Submitter:
    """Who submits a job, with which limits, and what the request may refer to."""

    caller: Caller
    limits: Limits
    settings: Settings
    datasets: Datasets
    models: Models
    objects: Objects
    weights: UploadedWeights

    def find_weights(self, digest: str) -> Path | None:
        """Return the file of weights that the caller may start from, or None.

        Callers may use those of a model, of their own uploads and of their own jobs; admins any.
        """
        known = self.caller.is_admin or self.weights.are_readable(self.caller.owner, digest)
        return self.objects.path(digest) if known else None


@dataclass(frozen=True)
class ValidatedRequest:
    """A request as it is stored, and the subject by which jobs are found, such as a basis's key."""

    request: Mapping[str, Any]
    subject: str | None = None


class Stopped(Exception):
    """Raised by `JobContext.check` if the job was cancelled, or another attempt runs it."""


@dataclass(frozen=True)
class JobContext:
    """What a running job may use; `home` is the folder of the service's data.

    `store` has bases, `objects` has datasets and weights.
    """

    home: Path
    files: JobFolder
    database: Database
    queue: Queue
    metrics: JobMetrics
    objects: Objects
    store: Store | Chain
    #: Report the job's progress (see `Job.progress`). It is cheap: only the latest is sent.
    report: Callable[[Mapping[str, Any]], None]
    #: Report the epoch of a checkpoint: after a new one, lost attempts are counted anew.
    saved: Callable[[int], None]
    #: Raise `Stopped` if the job must end. A job that never calls it is ended all the same.
    check: Callable[[], None]
    #: Return the folder of this attempt's checkpoints, with the latest one of earlier attempts.
    take_checkpoint: Callable[[], Path]

    @property
    def folder(self) -> Path:
        """The job's own folder, the same for all its attempts."""
        return self.files.path
