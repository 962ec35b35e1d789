"""Models as JSON: what is told of them, and what goes in and comes out of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from intertwine_api.models import NAME, Model, Version
from intertwine_api.schemas import Digest

#: A model's name in an address.
ModelName = Annotated[str, StringConstraints(pattern=NAME)]


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


def summary(version: Version) -> VersionSummary:
    """The short document of a version."""
    return VersionSummary(**_told(version))


def version_document(version: Version) -> VersionDocument:
    """The whole document of a version."""
    return VersionDocument(
        **_told(version), config=dict(version.config), provenance=dict(version.provenance)
    )


def model_document(model: Model) -> ModelDocument:
    """The document of a model."""
    here = f"/v1/models/{model.name}"
    return ModelDocument(
        name=model.name,
        owner=model.owner,
        created=datetime.fromtimestamp(model.created, UTC),
        versions=model.versions,
        newest=None if model.newest is None else summary(model.newest),
        links={"self": here, "versions": f"{here}/versions", "forward": f"{here}:forward"},
    )


def _told(version: Version) -> dict[str, Any]:
    model = f"/v1/models/{version.name}"
    return {
        "name": version.name,
        "version": version.version,
        "owner": version.owner,
        "created": datetime.fromtimestamp(version.created, UTC),
        "job": version.job,
        "metrics": dict(version.metrics),
        "equivariance_error": version.equivariance_error,
        "is_equivariant": version.is_equivariant,
        "weights": version.weights,
        "bytes": version.bytes,
        "links": {
            "self": f"{model}/versions/{version.version}",
            "model": model,
            "weights": f"/v1/blobs/{version.weights}",
            "forward": f"{model}:forward?version={version.version}",
        },
    }
