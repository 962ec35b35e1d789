"""Models: listed, described, and deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import JobsWriter, ModelsReader
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.storage.models import (
    model_document_of,
    summary_of,
    version_document_of,
)
from intertwine_api.wire.models import (
    ModelDocument,
    ModelName,
    ModelPage,
    VersionDocument,
    VersionPage,
)
from intertwine_api.wire.problems import Problem, ProblemError

router = APIRouter(prefix="/v1", tags=["models"])

_NUMBER = 2**31 - 1
Name = Annotated[ModelName, Path(description="the name of a model")]
Number = Annotated[int, Path(ge=1, le=_NUMBER, description="the number of a version")]
Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]


@router.get(
    "/models",
    summary="List the models",
    operation_id="list_models",
    response_model=ModelPage,
    responses=documented("invalid-request"),
)
def list_models(
    service: TheService,
    caller: ModelsReader,
    limit: Limit = 50,
    after: Annotated[ModelName | None, Query(description="the cursor, from `next`")] = None,
) -> ModelPage:
    """Everybody's models, in the order of their names, each with its newest version."""
    found, following = service.models.page(after or "", limit)
    return ModelPage(
        data=list(map(model_document_of, found)), has_more=following is not None, next=following
    )


@router.get(
    "/models/{name}",
    summary="A model by its name",
    operation_id="get_model",
    response_model=ModelDocument,
    responses=documented("not-found", "invalid-request"),
)
def get_model(name: Name, service: TheService, caller: ModelsReader) -> ModelDocument:
    """Whose it is, and its newest version."""
    return model_document_of(service.models.model(name))


@router.get(
    "/models/{name}/versions",
    summary="List the versions of a model",
    operation_id="list_model_versions",
    response_model=VersionPage,
    responses=documented("not-found", "invalid-request"),
)
def list_versions(
    name: Name,
    service: TheService,
    caller: ModelsReader,
    limit: Limit = 50,
    before: Annotated[
        int | None, Query(ge=1, le=_NUMBER, description="the cursor, from `next`")
    ] = None,
) -> VersionPage:
    """The newest first."""
    found, following = service.models.versions(name, before, limit)
    return VersionPage(
        data=list(map(summary_of, found)), has_more=following is not None, next=following
    )


@router.get(
    "/models/{name}/versions/{number}",
    summary="A version of a model",
    operation_id="get_model_version",
    response_model=VersionDocument,
    responses=documented("not-found", "invalid-request"),
)
def get_version(
    name: Name, number: Number, service: TheService, caller: ModelsReader
) -> VersionDocument:
    """All that is known of it: its config, the blob of its weights, and where it comes from."""
    return version_document_of(service.models.get(name, number))


@router.delete(
    "/models/{name}",
    status_code=204,
    summary="Delete a model",
    operation_id="delete_model",
    response_class=Response,
    responses=documented("not-found", "invalid-request"),
)
async def delete_model(name: Name, service: TheService, caller: JobsWriter) -> Response:
    """All of its versions go, and its name is free again. Its owner may do so."""
    return await _delete(name, None, service, caller)


@router.delete(
    "/models/{name}/versions/{number}",
    status_code=204,
    summary="Delete a version of a model",
    operation_id="delete_model_version",
    response_class=Response,
    responses=documented("not-found", "invalid-request"),
)
async def delete_version(
    name: Name, number: Number, service: TheService, caller: JobsWriter
) -> Response:
    """Its number is not given again. Its owner may do so."""
    return await _delete(name, number, service, caller)


async def _delete(name: str, number: int | None, service: Service, caller: Caller) -> Response:
    model = await run_in_threadpool(service.models.model, name)
    if not caller.owns(model.owner):
        raise ProblemError(Problem.of("forbidden", f"the model {name} is {model.owner}'s"))
    await run_in_threadpool(service.models.delete, name, number)
    service.inference.forget(name)
    return Response(status_code=204)
