"""Jobs as JSON: requests, documents, events and metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from intertwine_api.wire.names import Line
from intertwine_api.wire.vocabulary import MOST_PRIORITY, Kind, State

#: The key under which a request is idempotent.
IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=255)]
#: A job's name in an address.
JobName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,32}$")]


class LimitsAsked(BaseModel):
    """The requested limits of a job. The defaults are the service's maxima."""

    model_config = ConfigDict(extra="forbid")

    seconds: float | None = Field(default=None, gt=0, description="of wall time")
    memory: int | None = Field(default=None, gt=0, description="in bytes")
    attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="attempts that may be lost in succession without a new checkpoint",
    )


class JobRequest(BaseModel):
    """The fields common to all job requests."""

    if TYPE_CHECKING:  # the subclass of each kind declares these fields
        kind: Kind
        name: str | None

    labels: list[Line] = Field(default=[], max_length=16, description="labels for filtering")
    priority: int = Field(
        default=0,
        ge=-MOST_PRIORITY,
        le=MOST_PRIORITY,
        description="higher priorities start first; keys limit it",
    )
    limits: LimitsAsked = LimitsAsked()


class LimitsTold(BaseModel):
    """The limits of a job: wall time in seconds, memory in bytes, and attempts."""

    seconds: float
    memory: int
    attempts: int


class QueuePlace(BaseModel):
    """The position of a job in the queue."""

    position: int = Field(description="1 for the next job")
    why: str = Field(description="why the job is queued, in words")


class MetricsRow(BaseModel):
    """The metrics of one epoch of a training."""

    epoch: int
    train_loss: float | None
    test_loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    seconds: float | None = Field(default=None, description="since the start of the training")


class MetricsRows(BaseModel):
    """The metrics of a training by epoch, in order."""

    data: list[MetricsRow]


class MetricsSummary(BaseModel):
    """The latest metrics of a training."""

    last: MetricsRow | None


def matches(model: type[BaseModel]) -> AfterValidator:
    """Require that a dictionary matches a model. Return it unchanged."""

    def require(document: dict[str, Any]) -> dict[str, Any]:
        model.model_validate(document)
        return document

    return AfterValidator(require)


class JobProgress(BaseModel):
    """The progress of a job, as far as known, and the data of its `progress` events."""

    model_config = ConfigDict(extra="allow")

    stage: str | None = None
    fraction: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    checkpoint: int | None = Field(
        default=None,
        description="the epoch of the last checkpoint, of this attempt or an earlier one",
    )
    train_loss: float | None = None
    test_loss: float | None = None
    validation_loss: float | None = None
    eta_seconds: float | None = None
    warnings: list[str] = []


class JobResult(BaseModel):
    """The part of a result that all jobs have. The rest depends on the job's kind."""

    model_config = ConfigDict(extra="allow")

    equivariance_error: float | None = None
    warnings: list[str] = []


class StateEvent(BaseModel):
    """The data of a job's `state` events."""

    state: State
    reason: str


class MetricsEvent(BaseModel):
    """The data of a job's `metrics` events: one row per evaluated epoch."""

    rows: list[MetricsRow]


class TrainingResult(JobResult):
    """The result of a successful training: its model and measurements."""

    model: str
    version: int
    test_loss: float | None
    equivariance_error: float
    is_equivariant: bool


class JobDocument(BaseModel):
    """A job: its request, state and result. Times are in UTC."""

    id: str
    kind: Kind
    state: State
    reason: str = Field(description="why the job is in this state")
    owner: str
    name: str
    labels: list[str]
    priority: int
    attempt: int = Field(description="how often a host has leased the job")
    created: datetime
    updated: datetime
    started: datetime | None
    ended: datetime | None
    last_event: int = Field(description="the number of the job's last event")
    queue: QueuePlace | None = Field(description="null if the job is not queued")
    progress: Annotated[dict[str, Any], matches(JobProgress)] = Field(
        description="stage, fraction, epoch, epochs, losses and eta_seconds, as far as known"
    )
    metrics: MetricsSummary
    result: Annotated[dict[str, Any], matches(JobResult)] | None = Field(
        description="the result of a successful job"
    )
    problem: dict[str, Any] | None = Field(description="the problem of a failed job")
    limits: LimitsTold
    request: dict[str, Any]
    links: dict[str, str]


class JobPage(BaseModel):
    """A page of jobs, the newest first."""

    data: list[JobDocument]
    has_more: bool
    next: str | None = Field(description="the cursor of the next page")


class EventDocument(BaseModel):
    """An event of a job."""

    seq: int
    at: datetime
    type: str
    data: dict[str, Any]


class EventPage(BaseModel):
    """A page of a job's events, in order."""

    data: list[EventDocument]
    has_more: bool
    next: int = Field(description="the number of the last event: the next page is `after` it")
    ended: bool = Field(description="whether the job has ended and this page is the last")


def instant(at: float) -> datetime:
    """Return a time in seconds since 1970 as a datetime in UTC."""
    return datetime.fromtimestamp(at, UTC)
