"""A job, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["solve", "train"]
State = Literal["queued", "leased", "running", "cancelling", "succeeded", "failed", "cancelled"]

KINDS: tuple[Kind, ...] = ("solve", "train")
#: In these a job is on some host, or is being taken there.
HELD: tuple[State, ...] = ("leased", "running", "cancelling")
#: In these it has ended; only a retry leads out of the last two.
ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Limits:
    """What a job may take: wall time in seconds, memory in bytes, and how many attempts."""

    seconds: float
    memory: int
    attempts: int = 3


@dataclass(frozen=True)
class NewJob:
    """What is handed in.

    `said` is what was asked for where `request` is more than that by now: it tells one request
    from another under the same idempotency key.
    """

    kind: Kind
    owner: str
    request: Mapping[str, Any]
    limits: Limits
    name: str = ""
    labels: tuple[str, ...] = ()
    priority: int = 0
    subject: str | None = None
    idempotency_key: str | None = None
    said: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """A job as the database has it.

    `attempt` counts its claims and is the fencing token: what an earlier attempt still says is
    refused. `progress` is {"stage", "fraction", "epoch", "epochs", "train_loss", "test_loss",
    "eta_seconds"}, as far as known; `problem` the RFC 9457 document of its failure.
    """

    id: str
    kind: Kind
    state: State
    reason: str
    owner: str
    name: str
    labels: tuple[str, ...]
    priority: int
    request: Mapping[str, Any]
    subject: str | None
    attempt: int
    limits: Limits
    not_before: float
    host: str | None
    external_id: str | None
    lease_expires: float | None
    created: float
    updated: float
    started: float | None
    ended: float | None
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    problem: Mapping[str, Any] | None = None
    last_event: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ENDED
