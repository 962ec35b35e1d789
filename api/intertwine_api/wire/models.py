"""Models as JSON: what is told of them, and what goes in and comes out of one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from intertwine.training.recipe.description import MODEL_NAME, Digest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

#: A model's name in an address.
ModelName = Annotated[str, StringConstraints(pattern=MODEL_NAME)]


class VersionSummary(BaseModel):
    """A version of a model, without what it consists of. Times are in UTC."""

    name: str
    version: int
    owner: str
    created: datetime
    job: str | None = Field(description="the job that made it")
    metrics: dict[str, Any] = Field(description="losses, epochs and seconds of its training")
    equivariance_error: float | None = Field(description="null where it was not measured")
    is_equivariant: bool = Field(description="whether that error is no more than rounding")
    weights: Digest = Field(description="the digest of the blob with its weights")
    bytes: int
    links: dict[str, str]


class VersionDocument(VersionSummary):
    """A version of a model: with its weights, `intertwine.nn` makes the model of it."""

    config: dict[str, Any]
    provenance: dict[str, Any] = Field(
        description="versions of code, seeds, the digest of the data, the device"
    )


class VersionPage(BaseModel):
    """Some versions of a model, the newest first."""

    data: list[VersionSummary]
    has_more: bool
    next: int | None = Field(description="the cursor of the next page")


class ModelDocument(BaseModel):
    """A model: its name, and the newest of its versions."""

    name: str
    owner: str
    created: datetime
    versions: int = Field(description="how many there are")
    newest: VersionSummary | None = Field(description="null where all were deleted")
    links: dict[str, str]


class ModelPage(BaseModel):
    """Some models, in the order of their names."""

    data: list[ModelDocument]
    has_more: bool
    next: str | None = Field(description="the cursor of the next page")


class ForwardRequest(BaseModel):
    """Vectors of the model's input rep, or one."""

    model_config = ConfigDict(extra="forbid")

    inputs: list[list[float]] | list[float] = Field(description="the vectors, or one vector")
    imaginary: list[list[float]] | list[float] = Field(
        [], description="their imaginary parts, shaped alike; left out for real vectors"
    )


class Forwarded(BaseModel):
    """The model's outputs: vectors, or one, as the request has them."""

    outputs: list[list[float]] | list[float]
    imaginary: list[list[float]] | list[float] | None = Field(
        None, description="left out where the outputs are real"
    )
