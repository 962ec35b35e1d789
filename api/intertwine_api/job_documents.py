"""Jobs as JSON: what is asked for, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from intertwine_api.jobs.job import Job
from intertwine_api.schemas import BasisRequest
from intertwine_api.training.description import TrainRequest

#: A line of text: what a database and a terminal can show.
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=128)]
#: What names a request, so that it may be sent twice.
IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=255)]
#: A job's name in an address.
JobName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,32}$")]
State = Literal["queued", "leased", "running", "cancelling", "succeeded", "failed", "cancelled"]
KindOfJob = Literal["solve", "train"]


class LimitsAsked(BaseModel):
    """What a job may take; what is left out is as much as the service allows."""

    model_config = ConfigDict(extra="forbid")

    seconds: float | None = Field(default=None, gt=0, description="of wall time")
    memory: int | None = Field(default=None, gt=0, description="in bytes")
    attempts: int = Field(
        default=3, ge=1, le=10, description="how often a job is tried whose host fails"
    )


class _Asked(BaseModel):
    """What every request for a job may say."""

    labels: list[Line] = Field(default=[], max_length=16, description="to find it by")
    priority: int = Field(default=0, ge=-100, le=100, description="the larger, the sooner")
    limits: LimitsAsked = LimitsAsked()


class SolveJob(_Asked, BasisRequest):
    """A basis to find."""

    kind: Literal["solve"]
    name: Line | None = Field(default=None, description="the job's name, for people")

    def request(self) -> dict[str, Any]:
        """What is to be solved."""
        return self.model_dump(mode="json", include={*BasisRequest.model_fields}, exclude_none=True)


class TrainJob(_Asked, TrainRequest):
    """A model to train. Its name, if it has one, is that of the job too."""

    kind: Literal["train"]

    def request(self) -> dict[str, Any]:
        """What is to be trained; what was left out is left out, as that may mean something."""
        return self.model_dump(
            mode="json", include={*TrainRequest.model_fields}, exclude_unset=True
        )


class LimitsTold(BaseModel):
    """What the job may take."""

    seconds: float
    memory: int
    attempts: int


class QueuePlace(BaseModel):
    """Where a job waits."""

    position: int = Field(description="1 for the next one")
    why: str = Field(description="why it waits, in words")


class MetricsRow(BaseModel):
    """One epoch of a training."""

    epoch: int
    train_loss: float | None
    test_loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    seconds: float | None = Field(default=None, description="since the training began")


class MetricsRows(BaseModel):
    """The epochs of a training, in order."""

    data: list[MetricsRow]


class MetricsSummary(BaseModel):
    """How a training goes."""

    last: MetricsRow | None


class JobDocument(BaseModel):
    """A job: what was asked for, where it is, and what came of it. Times are in UTC."""

    id: str
    kind: KindOfJob
    state: State
    reason: str = Field(description="why it is in this state")
    owner: str
    name: str
    labels: list[str]
    priority: int
    attempt: int = Field(description="how often a host has taken it up")
    created: datetime
    updated: datetime
    started: datetime | None
    ended: datetime | None
    last_event: int = Field(description="the number of the last thing that happened to it")
    queue: QueuePlace | None = Field(description="null where it does not wait")
    progress: dict[str, Any] = Field(
        description="stage, fraction, epoch, epochs, losses and eta_seconds, as far as known"
    )
    metrics: MetricsSummary
    result: dict[str, Any] | None = Field(description="of a job that succeeded")
    problem: dict[str, Any] | None = Field(description="the problem of a job that failed")
    limits: LimitsTold
    request: dict[str, Any]
    links: dict[str, str]


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    data: list[JobDocument]
    has_more: bool
    next: str | None = Field(description="the cursor of the next page")


class EventDocument(BaseModel):
    """Something that happened to a job."""

    seq: int
    at: datetime
    type: str
    data: dict[str, Any]


class EventPage(BaseModel):
    """Some events of a job, in order."""

    data: list[EventDocument]
    has_more: bool
    next: int = Field(description="the number of the last of them: ask for those `after` it")
    ended: bool = Field(description="whether the job has ended, and these are all")


def document(
    job: Job,
    *,
    waits: tuple[int, str] | None = None,
    last: Mapping[str, Any] | None = None,
    in_list: bool = False,
) -> JobDocument:
    """The document of a job, with its place in the queue and the last row of its metrics.

    In a list the config of a saved model is left out: it may be long, and there are many.
    """
    return JobDocument(
        id=job.id,
        kind=job.kind,
        state=job.state,
        reason=job.reason,
        owner=job.owner,
        name=job.name,
        labels=list(job.labels),
        priority=job.priority,
        attempt=job.attempt,
        created=instant(job.created),
        updated=instant(job.updated),
        started=None if job.started is None else instant(job.started),
        ended=None if job.ended is None else instant(job.ended),
        last_event=job.last_event,
        queue=None if waits is None else QueuePlace(position=waits[0], why=waits[1]),
        progress=dict(job.progress),
        metrics=MetricsSummary(last=None if last is None else MetricsRow(**last)),
        result=None if job.result is None else dict(job.result),
        problem=None if job.problem is None else dict(job.problem),
        limits=LimitsTold(
            seconds=job.limits.seconds, memory=job.limits.memory, attempts=job.limits.attempts
        ),
        request=_without_config(job.request) if in_list else dict(job.request),
        links=_links(job),
    )


def _without_config(request: Mapping[str, Any]) -> dict[str, Any]:
    model = request.get("model")
    if not isinstance(model, Mapping) or "config" not in model:
        return dict(request)
    return {**request, "model": {k: v for k, v in model.items() if k != "config"}}


def instant(at: float) -> datetime:
    """A time of the database as a date."""
    return datetime.fromtimestamp(at, UTC)


def _links(job: Job) -> dict[str, str]:
    here = f"/v1/jobs/{job.id}"
    links = {name: f"{here}/{name}" for name in ("events", "metrics", "logs")}
    links = {"self": here, **links, "cancel": f"{here}:cancel", "retry": f"{here}:retry"}
    if job.kind == "solve" and job.subject:
        links["basis"] = f"/v1/bases/{job.subject}"
    result = job.result or {}
    if "model" in result and "version" in result:
        links["model"] = f"/v1/models/{result['model']}/versions/{result['version']}"
    return links
