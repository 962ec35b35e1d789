"""A job of the kind "train": samples and a description into a model that is published."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from intertwine_api.jobs.context import Context
from intertwine_api.jobs.job import Job
from intertwine_api.models import Models
from intertwine_api.problems import Problem, ProblemError
from intertwine_api.training.description import BuiltIn, SavedModel, TrainRequest
from intertwine_api.training.material import Material, facts_of
from intertwine_api.training.points import Points
from intertwine_api.training.work import carry_out

_LOG = logging.getLogger("intertwine.jobs")
_BUILDING = "building and compiling the model"


def run(job: Job, context: Context) -> Callable[[Connection], dict[str, Any]]:
    """Train what ``POST /v1/jobs`` asks for. The model is published when the job succeeds, and the
    result is {"model", "version", "test_loss", "train_loss", "equivariance_error",
    "is_equivariant", "epochs", "seconds"}, and "warnings" where the network cannot represent
    something, as the progress has them from the start.

    Where the name has become another's meanwhile, the model has one of the job's id: nothing that
    was trained is lost. An attempt goes on from the checkpoint of the one before. Raises what
    `carry_out` raises, and `ProblemError` with ``not-found`` for samples or weights that are gone.
    """
    request = TrainRequest.model_validate(job.request)
    name = request.name or f"job-{job.id}"
    models = Models(context.database, context.objects)
    models.require_free(name, job.owner)  # rather than in the end
    context.report({"stage": "reading the samples", "epochs": request.training.epochs})
    material = _material(request, context)
    context.check()
    context.report({"stage": _BUILDING, "epochs": request.training.epochs})
    course = _Course(job, context, request.training.epochs)
    outcome = carry_out(
        *(request, material),
        folder=context.files.checkpoint,
        callback=course.tell,
        warned=course.warn,
    )
    context.report({**course.progress, "stage": "keeping the model", "eta_seconds": None})

    def publish(connection: Connection) -> dict[str, Any]:
        free = name if models.is_free_in(connection, name, job.owner) else f"job-{job.id}"
        if free != name:
            _LOG.warning("%s is another's by now: the model is published as %s", name, free)
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


class _Course:
    """How far a training is, as it is told."""

    def __init__(self, job: Job, context: Context, epochs: int) -> None:
        self._job, self._context, self._epochs = job, context, epochs
        self._first: Mapping[str, Any] | None = None
        self.progress: dict[str, Any] = {"stage": "training", "epochs": epochs}

    def warn(self, message: str) -> None:
        """Report what the network cannot represent."""
        self.progress["warnings"] = [*self.progress.get("warnings", ()), message]
        self._context.report({**self.progress, "stage": _BUILDING})

    def tell(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep rows, and report the last. Raises `Stopped` where the job is to end."""
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
        """By the pace since the first epoch that was told: compiling comes before it."""
        assert self._first is not None
        done = last["epoch"] - self._first["epoch"]
        if not done:
            return None
        pace = (last["seconds"] - self._first["seconds"]) / done
        return float(pace * (self._epochs - last["epoch"]))


def _material(request: TrainRequest, context: Context) -> Material:
    weights = None
    if isinstance(request.model, SavedModel):
        weights = _file(context, request.model.weights, "weights")
    if isinstance(request.dataset, BuiltIn):
        return Material.built_in(request, request.dataset, weights)
    points = Points.read(_file(context, request.dataset, "samples"))
    # The dataset may have been deleted, or sent again with other reps, since the job was handed in;
    # what it said of group and reps then is in the request.
    return Material.uploaded(request, points, facts_of(points, request.dataset), weights)


def _file(context: Context, digest: str, what: str) -> Path:
    found = context.objects.path(digest)
    if found is None:
        raise ProblemError(
            Problem.of("not-found", f"the {what} {digest} are gone: send them again, and retry")
        )
    return found
