"""Datasets as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.description import BuiltInName, Digest
from pydantic import BaseModel, Field

from intertwine_api.wire.jobs import instant


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


def document_of(info: DatasetInfo) -> DatasetDocument:
    """Return the document of a dataset."""
    here = f"/v1/datasets/{info.id}"
    return DatasetDocument(
        id=info.id,
        owner=info.owner,
        name=info.name,
        rep_in=info.rep_in,
        rep_out=info.rep_out,
        group=dict(info.group) if isinstance(info.group, Mapping) else info.group,
        samples=info.samples,
        inputs=dict(info.inputs),
        targets=dict(info.targets),
        bytes=info.bytes,
        created=instant(info.created),
        links={"self": here, "blob": f"/v1/blobs/{info.id}"},
    )


def builtin() -> list[str]:
    """The names of the datasets that the service can make."""
    return list(get_args(BuiltInName))
