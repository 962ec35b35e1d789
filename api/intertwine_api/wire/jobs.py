"""Jobs as JSON: requests for them, and their documents, events and metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from intertwine_api.wire.vocabulary import Kind, State

#: A line of text: what a database and a terminal can show.
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=128)]
#: What names a request, so that it may be sent twice.
IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=255)]
#: A job's name in an address.
JobName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,32}$")]


class LimitsAsked(BaseModel):
    """What a job may take; what is left out is as much as the service allows."""

    model_config = ConfigDict(extra="forbid")

    seconds: float | None = Field(default=None, gt=0, description="of wall time")
    memory: int | None = Field(default=None, gt=0, description="in bytes")
    attempts: int = Field(
        default=3, ge=1, le=10, description="how often a job is tried whose host fails"
    )


class JobRequest(BaseModel):
    """The fields that every request for a job may have."""

    if TYPE_CHECKING:  # each kind has these as fields of its own
        kind: Kind
        name: str | None

    labels: list[Line] = Field(default=[], max_length=16, description="to find it by")
    priority: int = Field(default=0, ge=-100, le=100, description="the larger, the sooner")
    limits: LimitsAsked = LimitsAsked()


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
    kind: Kind
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


def instant(at: float) -> datetime:
    """Return a time of the database, in seconds since 1970, as a date in UTC."""
    return datetime.fromtimestamp(at, UTC)
