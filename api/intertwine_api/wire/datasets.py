"""Datasets as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.description import BuiltInName, Digest
from pydantic import BaseModel, Field

from intertwine_api.wire.jobs import instant


class DatasetDocument(BaseModel):
    """An uploaded dataset. Times are in UTC."""

    id: Digest
    owner: str
    name: str
    rep_in: str | None
    rep_out: str | None
    group: str | dict[str, Any] | None
    samples: int
    inputs: dict[str, Any] = Field(description="the shape and dtype of the inputs")
    targets: dict[str, Any] = Field(
        description="the shape and dtype of the targets, and the range of labels"
    )
    bytes: int
    created: datetime
    links: dict[str, str]


class DatasetPage(BaseModel):
    """A page of datasets, the newest first."""

    data: list[DatasetDocument]
    builtin: list[str] = Field(description="the names of datasets that the service generates")
    has_more: bool
    next: str | None = Field(description="the cursor of the next page")


def document_of(info: DatasetInfo) -> DatasetDocument:
    """Return the document of a dataset."""
    address = f"/v1/datasets/{info.id}"
    links = {"self": address, "blob": f"/v1/blobs/{info.id}"}
    return DatasetDocument(**{**vars(info), "created": instant(info.created), "links": links})


def builtin() -> list[str]:
    """Return the names of the datasets that the service generates."""
    return list(get_args(BuiltInName))
