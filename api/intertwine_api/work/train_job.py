"""Jobs of the kind "train": train a model on a dataset, and publish it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from intertwine.training.recipe.dataset_info import info_of
from intertwine.training.recipe.description import BuiltIn, SavedModel, TrainRequest
from intertwine.training.recipe.framework import framework_named
from intertwine.training.recipe.run import run_training
from intertwine.training.recipe.samples import Samples
from intertwine.training.recipe.training_data import TrainingData
from intertwine.training.recipe.validation import complete_request
from intertwine_cache import require_room
from sqlalchemy import Connection

from intertwine_api.storage.models import Models
from intertwine_api.wire.jobs import JobRequest
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work import traces
from intertwine_api.work.job import Job
from intertwine_api.work.job_kind import (
    JobContext,
    JobKind,
    Requirement,
    Submitter,
    ValidatedRequest,
)

_LOG = logging.getLogger("intertwine.jobs")
_BUILDING = "building and compiling the model"


class TrainJob(JobRequest, TrainRequest):
    """A model to train. Its name, if it has one, is that of the job too."""

    kind: Literal["train"]


def validate(job: TrainJob, submitter: Submitter) -> ValidatedRequest:
    """Complete the request with the dataset's group and reps. Raises if it cannot be trained, or
    starts from weights that only others have.
    """
    if job.name is not None:
        submitter.models.require_free(job.name, submitter.caller.owner)
    completed = complete_request(
        job,
        submitter.datasets.info(job.dataset, submitter.caller.owner),
        submitter.find_weights,
        submitter.limits.memory,
        thoroughly=False,
    )
    # a field that was left out stays out, because leaving it out may mean something
    return ValidatedRequest(
        completed.model_dump(mode="json", include={*TrainRequest.model_fields}, exclude_unset=True)
    )


def run(job: Job, context: JobContext) -> Callable[[Connection], dict[str, Any]]:
    """Train the model. It is published when the job succeeds, and the result is {"model",
    "version", "test_loss", "train_loss", "equivariance_error", "is_equivariant", "epochs",
    "seconds"}, and "warnings" if the network cannot represent part of its output.

    If the model's name belongs to somebody else by then, the model is named after the job's id.
    An attempt continues from the checkpoint of the one before. Raises what `run_training` raises,
    and `ProblemError`: with ``not-found`` for deleted samples or weights, and with ``disk-full`` if
    a checkpoint would use the reserve of the disk.
    """
    request = TrainRequest.model_validate(job.request)
    name = request.name or f"job-{job.id}"
    models = Models(context.database, context.objects)
    models.require_free(name, job.owner)  # before the work, not after it
    context.report({"stage": "reading the samples", "epochs": request.training.epochs})
    with traces.span("job.load"):
        data = _training_data(request, context)
    context.check()
    context.report({"stage": _BUILDING, "epochs": request.training.epochs})
    report = _ProgressReport(job, context, request.training.epochs)
    with traces.span("job.train", {"intertwine.epochs": request.training.epochs}):
        outcome = run_training(
            request,
            data,
            folder=context.take_checkpoint(),
            callback=report.tell,
            warned=report.warn,
            saved=context.saved,
            require_room=_require_room,
        )
    context.report({**report.progress, "stage": "keeping the model", "eta_seconds": None})
    models.keep(outcome)

    def publish(connection: Connection) -> dict[str, Any]:
        free = name if models.is_free_in(connection, name, job.owner) else f"job-{job.id}"
        if free != name:
            _LOG.warning(
                "the name %s was taken meanwhile: the model is published as %s", name, free
            )
        version = models.publish_in(connection, free, job.owner, job.id, outcome)
        return {
            "model": version.name,
            "version": version.version,
            "test_loss": outcome.metrics["test_loss"],
            "train_loss": outcome.metrics["train_loss"],
            "equivariance_error": outcome.equivariance_error,
            "is_equivariant": outcome.is_equivariant,
            "epochs": outcome.metrics["epochs"],
            "seconds": outcome.metrics["seconds"],
            **{name: outcome.metrics[name] for name in ("warnings",) if name in outcome.metrics},
        }

    return publish


class _ProgressReport:
    """Keeps the losses of a training, and reports its progress."""

    def __init__(self, job: Job, context: JobContext, epochs: int) -> None:
        self._job, self._context, self._epochs = job, context, epochs
        self._first: Mapping[str, Any] | None = None
        self.progress: dict[str, Any] = {"stage": "training", "epochs": epochs}

    def warn(self, message: str) -> None:
        """Report a part of the output that the network cannot represent."""
        self.progress["warnings"] = [*self.progress.get("warnings", ()), message]
        self._context.report({**self.progress, "stage": _BUILDING})

    def tell(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store rows, and report the last. Raises `Stopped` if the job must end."""
        self._context.metrics.add(self._job.id, self._job.attempt, rows)
        last = rows[-1]
        self._first = self._first or rows[0]
        self.progress |= {
            "fraction": last["epoch"] / self._epochs,
            "epoch": last["epoch"],
            "train_loss": last["train_loss"],
            "test_loss": last["test_loss"],
            "eta_seconds": self._seconds_left(last),
        }
        self._context.report(self.progress)
        self._context.check()

    def _seconds_left(self, last: Mapping[str, Any]) -> float | None:
        """Return the time left, by the pace since the first reported epoch, after compilation."""
        assert self._first is not None
        done = last["epoch"] - self._first["epoch"]
        if not done:
            return None
        pace = (last["seconds"] - self._first["seconds"]) / done
        return float(pace * (self._epochs - last["epoch"]))


def _training_data(request: TrainRequest, context: JobContext) -> TrainingData:
    weights = None
    if isinstance(request.model, SavedModel):
        weights = _file(context, request.model.weights, "weights")
    if isinstance(request.dataset, BuiltIn):
        return TrainingData.built_in(request, request.dataset, weights)
    file = _file(context, request.dataset, "samples")
    try:
        samples = Samples.read(file)
    except FileNotFoundError as error:  # deleted meanwhile
        raise _gone(request.dataset, "samples") from error
    # The dataset may have been deleted, or uploaded again with other reps, since the job was
    # submitted; the request has its group and reps of then.
    return TrainingData.uploaded(request, samples, info_of(samples, request.dataset), weights)


def _file(context: JobContext, digest: str, what: str) -> Path:
    found = context.objects.path(digest)
    if found is None:
        raise _gone(digest, what)
    return found


def _require_room(folder: Path, more: int) -> None:
    """Raise `ProblemError` with ``disk-full`` unless a checkpoint leaves the disk's reserve."""
    try:
        require_room(folder, more)
    except OSError as error:
        raise ProblemError.of(
            "disk-full",
            f"{error.strerror}, and a checkpoint of {more:,} bytes would use the reserve of the "
            f"database and the logs: free some of the disk, and retry the job, which resumes from "
            f"its last checkpoint",
        ) from error


def _gone(digest: str, what: str) -> ProblemError:
    return ProblemError.of(
        "not-found", f"the {what} {digest} are missing: upload them again, and retry"
    )


def links(job: Job) -> Mapping[str, str]:
    """Return the link to the version of the model that the job published."""
    result = job.result or {}
    if "model" not in result or "version" not in result:
        return {}
    return {"model": f"/v1/models/{result['model']}/versions/{result['version']}"}


def requirement(job: TrainJob) -> Requirement:
    """Return the packages of the framework that trains."""
    framework = framework_named(job.framework)
    return Requirement(framework.packages, framework.extra)


TRAIN = JobKind("train", TrainJob, validate, run, links, requirement)
