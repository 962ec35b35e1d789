"""Datasets: sent once, checked, and trained on by the digest of their samples."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from intertwine.training.recipe.description import Digest, Generators
from pydantic import ValidationError

from intertwine_api.server.access import JobsWriter
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.datasets import DatasetDocument, DatasetPage, builtin, document_of
from intertwine_api.wire.jobs import Line
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.wire.safetensors_body import SAFETENSORS

router = APIRouter(prefix="/v1", tags=["datasets"])

_NPZ = ("application/zip", "application/x-npz", "application/octet-stream")
_FILE = {"schema": {"type": "string", "format": "binary"}}
Whose = Annotated[
    Line | None, Query(description="whose, for an admin; the caller's own if left out")
]
RepText = Annotated[Line, Query(max_length=1000)]
Name = Annotated[Digest, Path(description="the digest of the samples")]


@router.post(
    "/datasets",
    status_code=201,
    summary="Send samples to train on",
    operation_id="upload_dataset",
    response_model=DatasetDocument,
    responses=documented(
        "format", "syntax", "invalid-group", "invalid-rep", "not-concrete", "too-large",
        "invalid-request", "unsupported-media-type", "body-too-large", "disk-full", "malformed",
    ),
    openapi_extra={
        "requestBody": {"required": True, "content": dict.fromkeys((SAFETENSORS, *_NPZ), _FILE)}
    },
)  # fmt: skip
async def upload_dataset(
    request: Request,
    service: TheService,
    caller: JobsWriter,
    name: Annotated[Line, Query(description="for people")] = "",
    rep_in: Annotated[RepText | None, Query(description="the rep of an input")] = None,
    rep_out: Annotated[RepText | None, Query(description="the rep of a target")] = None,
    group: Annotated[
        str | None, Query(description="the reps' group: a text, or generators as JSON")
    ] = None,
) -> Response:
    """A file of two arrays X and Y with a row for each sample: safetensors, or npz without pickle.

    Shapes and numbers are checked, and the reps' sizes against them. The same samples are the same
    dataset, in whatever file they come.
    """
    generators = _read_group(group)
    async with service.receive(request) as file:
        stored = await service.take_in(
            service.datasets.add, caller.owner, file, name, rep_in, rep_out, generators
        )
    told = document_of(stored)
    answer = told.model_dump(mode="json")
    return JSONResponse(answer, 201, headers={"Location": told.links["self"]})


@router.get(
    "/datasets",
    summary="List datasets",
    operation_id="list_datasets",
    response_model=DatasetPage,
    responses=documented("invalid-request"),
)
def list_datasets(
    service: TheService,
    caller: JobsWriter,
    limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 50,
    after: Annotated[Line | None, Query(description="the cursor, from `next`")] = None,
) -> DatasetPage:
    """The caller's datasets, the newest first; and, by name, those that the service can make."""
    owner = None if caller.is_admin else caller.owner
    found, following = service.datasets.page(owner, after, limit)
    return DatasetPage(
        data=list(map(document_of, found)),
        builtin=builtin(),
        has_more=following is not None,
        next=following,
    )


@router.get(
    "/datasets/{dataset}",
    summary="A dataset: its shapes and its reps",
    operation_id="get_dataset",
    response_model=DatasetDocument,
    responses=documented("not-found", "invalid-request", "forbidden"),
)
def get_dataset(
    dataset: Name, service: TheService, caller: JobsWriter, owner: Whose = None
) -> DatasetDocument:
    """What is known of it; its samples are a blob."""
    return document_of(service.datasets.get(dataset, _whose(dataset, owner, service, caller)))


@router.delete(
    "/datasets/{dataset}",
    status_code=204,
    summary="Delete a dataset",
    operation_id="delete_dataset",
    response_class=Response,
    responses=documented("not-found", "invalid-request", "forbidden"),
)
def delete_dataset(
    dataset: Name, service: TheService, caller: JobsWriter, owner: Whose = None
) -> Response:
    """Its samples go with the last who has them; jobs that wait or run still find them."""
    service.datasets.delete(dataset, _whose(dataset, owner, service, caller))
    return Response(status_code=204)


def _whose(dataset: str, owner: str | None, service: Service, caller: Caller) -> str:
    """Whose dataset is meant: the one that is named, the caller's own, or, for an admin who has
    none, that of the only one who has it.
    """
    if owner is not None:
        if not caller.owns(owner):
            raise ProblemError(Problem.of("forbidden", f"the data of {owner} are not yours"))
        return owner
    owners = service.datasets.owners(dataset) if caller.is_admin else []
    if not owners or caller.owner in owners:
        return caller.owner
    if len(owners) > 1:
        detail = f"{len(owners)} have this dataset: say whose, as owner={owners[0]}"
        raise ProblemError(Problem.of("invalid-request", detail))
    return owners[0]


def _read_group(text: str | None) -> str | dict[str, Any] | None:
    """A group's text as it is, and generators as their document."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return Generators.model_validate_json(text).model_dump(exclude_none=True)
    except ValidationError as error:
        detail = f"query/group: {error.errors()[0]['msg']}"
        raise ProblemError(Problem.of("invalid-request", detail)) from error
