"""Models as JSON: their documents, and requests for forward passes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from intertwine.training.recipe.description import MODEL_NAME, Digest
from intertwine.training.recipe.framework import DEFAULT, FrameworkName
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from intertwine_api.wire.jobs import matches
from intertwine_api.wire.problems import ProblemError

#: A model's name in an address.
ModelName = Annotated[str, StringConstraints(pattern=MODEL_NAME)]


def require_model_name(name: str) -> None:
    """Raise `ProblemError` with ``invalid-request`` for an invalid name of a model."""
    if re.fullmatch(MODEL_NAME.strip("^$"), name) is None:
        raise ProblemError.of(
            "invalid-request",
            f"{name[:200]!r} is not a model name: use up to 128 ASCII letters, digits and . _ -, "
            f"with a letter or digit first",
        )


class ModelMetrics(BaseModel):
    """The part of a model's metrics that all models have."""

    model_config = ConfigDict(extra="allow")

    test_loss: float | None = None
    warnings: list[str] = []


class VersionSummary(BaseModel):
    """A version of a model, without its config and provenance. Times are in UTC."""

    name: str
    version: int
    owner: str
    created: datetime
    job: str | None = Field(description="the job that trained it")
    framework: FrameworkName = Field(
        default=DEFAULT, description="the framework that trained it, and that computes it here"
    )
    metrics: Annotated[dict[str, Any], matches(ModelMetrics)] = Field(
        description="losses, epochs and seconds of its training"
    )
    equivariance_error: float | None = Field(description="null if it was not measured")
    is_equivariant: bool = Field(description="whether the equivariance error is within rounding")
    weights: Digest = Field(description="the digest of the blob of its weights")
    has_weights: bool = Field(default=True, description="false if the service has lost the blob")
    bytes: int
    links: dict[str, str]


class VersionDocument(VersionSummary):
    """A version of a model. `intertwine.nn` and `intertwine.torch` build the model from its config
    and weights.
    """

    config: dict[str, Any]
    provenance: dict[str, Any] = Field(
        description="code versions, seeds, the digest of the data, and the device"
    )


class VersionPage(BaseModel):
    """A page of a model's versions, the newest first."""

    data: list[VersionSummary]
    has_more: bool
    next: int | None = Field(description="the cursor of the next page")


class ModelDocument(BaseModel):
    """A model and its newest version."""

    name: str
    owner: str
    created: datetime
    versions: int = Field(description="the number of versions")
    newest: VersionSummary | None = Field(description="null if all versions were deleted")
    links: dict[str, str]


class ModelPage(BaseModel):
    """A page of models, sorted by name."""

    data: list[ModelDocument]
    has_more: bool
    next: str | None = Field(description="the cursor of the next page")


class ForwardRequest(BaseModel):
    """One or several vectors of the model's input rep."""

    model_config = ConfigDict(extra="forbid")

    inputs: list[list[float]] | list[float] = Field(description="the vectors, or one vector")
    imaginary: list[list[float]] | list[float] = Field(
        [], description="the imaginary parts, of the same shape; omitted for real vectors"
    )


class Forwarded(BaseModel):
    """The model's outputs: one or several vectors, like the request's inputs."""

    outputs: list[list[float]] | list[float]
    imaginary: list[list[float]] | list[float] | None = Field(
        None, description="omitted for real outputs"
    )
