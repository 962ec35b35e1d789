"""Routes of models: list, describe, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import JobsWriter, ModelsReader
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.storage.models import (
    model_document_of,
    model_documents_of,
    summaries_of,
    version_document_of,
)
from intertwine_api.wire.models import (
    ModelDocument,
    ModelName,
    ModelPage,
    VersionDocument,
    VersionPage,
)
from intertwine_api.work.logs import audit

router = APIRouter(prefix="/v1", tags=["models"])

_NUMBER = 2**31 - 1
Name = Annotated[ModelName, Path(description="the name of a model")]
Number = Annotated[int, Path(ge=1, le=_NUMBER, description="the version number")]
Limit = Annotated[int, Query(ge=1, le=200, description="the size of a page")]


@router.get("/models", summary="List models", responses=documented("invalid-request"))
def list_models(
    service: TheService,
    caller: ModelsReader,
    limit: Limit = 50,
    after: Annotated[ModelName | None, Query(description="the `next` of the previous page")] = None,
) -> ModelPage:
    """Return the models of all owners, sorted by name, each with its newest version."""
    found, following = service.models.page(after or "", limit)
    return ModelPage(
        data=model_documents_of(found, service.objects),
        has_more=following is not None,
        next=following,
    )


@router.get(
    "/models/{name}", summary="Get a model", responses=documented("not-found", "invalid-request")
)
def get_model(name: Name, service: TheService, caller: ModelsReader) -> ModelDocument:
    """Return the owner of a model and its newest version."""
    return model_document_of(service.models.model(name), service.objects)


@router.get(
    "/models/{name}/versions",
    summary="List the versions of a model",
    responses=documented("not-found", "invalid-request"),
)
def list_model_versions(
    name: Name,
    service: TheService,
    caller: ModelsReader,
    limit: Limit = 50,
    before: Annotated[
        int | None, Query(ge=1, le=_NUMBER, description="the `next` of the previous page")
    ] = None,
) -> VersionPage:
    """Return the versions of a model, newest first."""
    found, following = service.models.versions(name, before, limit)
    return VersionPage(
        data=summaries_of(found, service.objects),
        has_more=following is not None,
        next=following,
    )


@router.get(
    "/models/{name}/versions/{number}",
    summary="Get a version of a model",
    responses=documented("not-found", "invalid-request"),
)
def get_model_version(
    name: Name, number: Number, service: TheService, caller: ModelsReader
) -> VersionDocument:
    """Return the config of a version, the blob of its weights, its losses and its provenance."""
    return version_document_of(service.models.get(name, number), service.objects)


@router.delete(
    "/models/{name}",
    status_code=204,
    summary="Delete a model",
    responses=documented("not-found", "invalid-request"),
)
async def delete_model(name: Name, service: TheService, caller: JobsWriter) -> None:
    """Delete a model with all its versions, and free its name. Only its owner or an admin may."""
    await _delete(name, None, service, caller)


@router.delete(
    "/models/{name}/versions/{number}",
    status_code=204,
    summary="Delete a version of a model",
    responses=documented("not-found", "invalid-request"),
)
async def delete_model_version(
    name: Name, number: Number, service: TheService, caller: JobsWriter
) -> None:
    """Delete a version. Its number is not reused. Only the model's owner or an admin may."""
    await _delete(name, number, service, caller)


async def _delete(name: str, number: int | None, service: Service, caller: Caller) -> None:
    model = await run_in_threadpool(service.models.model, name)
    caller.require_owner(model.owner, f"the model {name} belongs to {model.owner}")
    await run_in_threadpool(service.models.delete, name, number)
    audit("model deleted", caller, name=name, version=number or "all", owner=model.owner)
    service.inference.invalidate(name)
