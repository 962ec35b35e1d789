"""Solves and uploads in flight as JSON, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

#: The id of a solve or an upload in an address.
InFlightId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class SolveInFlight(BaseModel):
    """A queued or running solve, decomposition or search for polynomials, or the check of a basis
    that was sent.
    """

    id: InFlightId
    kind: Literal["solve", "decomposition", "polynomials", "check"]
    owner: str = Field(description="the owner of the first request for it")
    state: str = Field(description="queued or running")
    stage: str
    fraction: float = Field(description="the completed fraction of the stage")
    since: datetime
    seconds: float = Field(description="its time limit in seconds")
    callers: int = Field(description="the requests that wait for it")
    rep: str
    key: str | None = Field(
        description="the key of the basis; null for a decomposition and for polynomials"
    )
    operations: float = Field(description="the estimated operations")


class SolvesInFlight(BaseModel):
    """The solves of the service's process, oldest first. Solves that are jobs are not included."""

    data: list[SolveInFlight]


class UploadInFlight(BaseModel):
    """An upload that is being received or checked."""

    id: InFlightId
    owner: str
    state: Literal["receiving", "checking"]
    since: datetime
    bytes: int = Field(description="the bytes that have arrived")
    declared: int = Field(description="the declared size of the body in bytes; 0 if unknown")


class UploadsInFlight(BaseModel):
    """The uploads to the service's process, oldest first."""

    data: list[UploadInFlight]
