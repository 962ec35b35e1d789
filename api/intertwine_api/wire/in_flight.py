"""Solves and uploads in flight as JSON, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

#: The id of a solve or an upload in an address.
InFlightId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class SolveInFlight(BaseModel):
    """A solve, or a decomposition, that waits for a worker or runs."""

    id: InFlightId
    kind: Literal["solve", "decomposition"]
    owner: str = Field(description="who asked for it first")
    state: str = Field(description="queued or running")
    stage: str
    fraction: float = Field(description="of the stage")
    since: datetime
    seconds: float = Field(description="the most seconds that it may take")
    callers: int = Field(description="the requests that wait for it")
    rep: str
    key: str | None = Field(description="of the basis; null for a decomposition")
    operations: float = Field(description="the estimated operations")


class SolvesInFlight(BaseModel):
    """The solves of the service's process, the oldest first. Solves of jobs are jobs."""

    data: list[SolveInFlight]


class UploadInFlight(BaseModel):
    """An upload that is received, or checked."""

    id: InFlightId
    owner: str
    state: Literal["receiving", "checking"]
    since: datetime
    bytes: int = Field(description="the bytes that have arrived")
    declared: int = Field(description="the bytes of the whole body; 0 if the client did not say")


class UploadsInFlight(BaseModel):
    """The uploads to the service's process, the oldest first."""

    data: list[UploadInFlight]
