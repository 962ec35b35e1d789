"""Datasets as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from pydantic import BaseModel, Field

from intertwine_api.job_documents import instant
from intertwine_api.schemas import Digest
from intertwine_api.training.description import BuiltInName
from intertwine_api.training.stored import Stored


class DatasetDocument(BaseModel):
    """Samples that were sent: what they are of, and where they are. Times are in UTC."""

    id: Digest
    owner: str
    name: str
    rep_in: str | None
    rep_out: str | None
    group: str | dict[str, Any] | None
    samples: int
    inputs: dict[str, Any] = Field(description="the shape and dtype of the inputs")
    targets: dict[str, Any] = Field(description="those of the targets; of labels their range too")
    bytes: int
    created: datetime
    links: dict[str, str]


class DatasetPage(BaseModel):
    """Some datasets, the newest first."""

    data: list[DatasetDocument]
    builtin: list[str] = Field(description="the names of those that need not be sent")
    has_more: bool
    next: str | None = Field(description="the cursor of the next page")


def document(stored: Stored) -> DatasetDocument:
    """The document of a dataset."""
    here = f"/v1/datasets/{stored.id}"
    return DatasetDocument(
        id=stored.id,
        owner=stored.owner,
        name=stored.name,
        rep_in=stored.rep_in,
        rep_out=stored.rep_out,
        group=dict(stored.group) if isinstance(stored.group, Mapping) else stored.group,
        samples=stored.samples,
        inputs=dict(stored.inputs),
        targets=dict(stored.targets),
        bytes=stored.bytes,
        created=instant(stored.created),
        links={"self": here, "blob": f"/v1/blobs/{stored.id}"},
    )


def builtin() -> list[str]:
    """The names of the datasets that the service can make."""
    return list(get_args(BuiltInName))
