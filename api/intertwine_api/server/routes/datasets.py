"""Routes of datasets: upload, list, describe, delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.description import Digest, Generators
from intertwine.training.recipe.task_symmetry import GroupDocument
from pydantic import ValidationError

from intertwine_api.server.access import JobsWriter
from intertwine_api.server.middleware import FILE_TYPES
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.datasets import DatasetDocument, DatasetPage, builtin, document_of
from intertwine_api.wire.names import Line, LongLine
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.logs import audit

router = APIRouter(prefix="/v1", tags=["datasets"])

_FILE = {"schema": {"type": "string", "format": "binary"}}
Owner = Annotated[Line | None, Query(description="the owner of the dataset; by default the caller")]
Name = Annotated[Digest, Path(description="the digest of the samples")]


@router.post(
    "/datasets",
    status_code=201,
    summary="Upload a dataset",
    response_model=DatasetDocument,
    responses=documented(
        "format", "syntax", "invalid-group", "invalid-rep", "not-concrete", "too-large",
        "invalid-request", "unsupported-media-type", "body-too-large", "disk-full", "malformed",
        "quota-exceeded", "out-of-time",
    ),
    openapi_extra={
        "requestBody": {"required": True, "content": dict.fromkeys(FILE_TYPES, _FILE)}
    },
)  # fmt: skip
async def upload_dataset(
    request: Request,
    service: TheService,
    caller: JobsWriter,
    name: Annotated[Line, Query(description="a display name")] = "",
    rep_in: Annotated[LongLine | None, Query(description="the rep of an input")] = None,
    rep_out: Annotated[LongLine | None, Query(description="the rep of a target")] = None,
    group: Annotated[
        str | None, Query(description="the reps' group: a text, or generators as JSON")
    ] = None,
) -> Response:
    """Store a file of two arrays X and Y with a row per sample: safetensors, or npz without pickle.

    The service checks the shapes, the numbers, and the sizes of the reps. The digest of the samples
    identifies the dataset, whatever the format of the file.
    """
    stored = await store_dataset(
        request, service, caller, name, rep_in, rep_out, _read_group(group)
    )
    document = document_of(stored)
    headers = {"Location": document.links["self"]}
    return JSONResponse(document.model_dump(mode="json"), 201, headers=headers)


async def store_dataset(
    request: Request,
    service: Service,
    caller: Caller,
    name: str,
    rep_in: str | None,
    rep_out: str | None,
    group: GroupDocument | None,
) -> DatasetInfo:
    """Receive the body of a request as a file of samples, and keep it as the caller's dataset.

    Raises the errors of `Service.receive` and of `Datasets.add`.
    """
    async with service.receive(request, caller.owner) as file:
        stored = await service.store_upload(
            caller, service.datasets.add, caller.owner, file, name, rep_in, rep_out, group
        )
    audit("dataset created", caller, id=stored.id, name=stored.name, bytes=stored.bytes)
    return stored


@router.get("/datasets", summary="List datasets", responses=documented("invalid-request"))
def list_datasets(
    service: TheService,
    caller: JobsWriter,
    limit: Annotated[int, Query(ge=1, le=200, description="the size of a page")] = 50,
    after: Annotated[LongLine | None, Query(description="the `next` of the previous page")] = None,
) -> DatasetPage:
    """Return the caller's datasets, newest first, and the names of the built-in datasets."""
    found, following = visible_datasets(service, caller, after, limit)
    return DatasetPage(
        data=list(map(document_of, found)),
        builtin=builtin(),
        has_more=following is not None,
        next=following,
    )


def visible_datasets(
    service: Service, caller: Caller, after: str | None, limit: int
) -> tuple[list[DatasetInfo], str | None]:
    """Return a page of the caller's datasets, or for admins of all, and the next cursor.

    Raises `ProblemError` with ``invalid-request`` for an invalid cursor.
    """
    return service.datasets.page(None if caller.is_admin else caller.owner, after, limit)


@router.get(
    "/datasets/{dataset}",
    summary="Get a dataset",
    responses=documented("not-found", "invalid-request", "forbidden"),
)
def get_dataset(
    dataset: Name, service: TheService, caller: JobsWriter, owner: Owner = None
) -> DatasetDocument:
    """Return the shapes and reps of a dataset. Its samples are a blob."""
    return document_of(find_dataset(dataset, owner, service, caller))


def find_dataset(dataset: str, owner: str | None, service: Service, caller: Caller) -> DatasetInfo:
    """Return a dataset of the named owner, else of the caller or, for admins, of its only owner.

    Raises `ProblemError` with ``not-found``, if the caller may not read it, or if several owners
    have it.
    """
    return service.datasets.get(dataset, _owner_of(dataset, owner, service, caller))


@router.delete(
    "/datasets/{dataset}",
    status_code=204,
    summary="Delete a dataset",
    responses=documented("not-found", "invalid-request", "forbidden"),
)
def delete_dataset(
    dataset: Name, service: TheService, caller: JobsWriter, owner: Owner = None
) -> None:
    """Delete a dataset. Its samples are deleted with their last reference.

    Queued and running jobs keep the samples.
    """
    owner = _owner_of(dataset, owner, service, caller)
    service.datasets.delete(dataset, owner)
    audit("dataset deleted", caller, id=dataset, owner=owner)


def _owner_of(dataset: str, owner: str | None, service: Service, caller: Caller) -> str:
    """Return the named owner, else the caller or, for admins without the dataset, its only owner.

    Raises `ProblemError` if the caller may not read it, or if several owners have it.
    """
    if owner is not None:
        caller.require_owner(owner, f"the datasets of {owner} are private")
        return owner
    owners = service.datasets.owners(dataset) if caller.is_admin else []
    if not owners or caller.owner in owners:
        return caller.owner
    if len(owners) > 1:
        detail = f"{len(owners)} owners have this dataset: choose one, as in owner={owners[0]}"
        raise ProblemError.of("invalid-request", detail)
    return owners[0]


def _read_group(text: str | None) -> str | dict[str, Any] | None:
    """Return a group's text unchanged, and JSON generators as a document."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return Generators.model_validate_json(text).model_dump(exclude_none=True)
    except ValidationError as error:
        detail = f"query/group: {error.errors()[0]['msg']}"
        raise ProblemError.of("invalid-request", detail) from error
