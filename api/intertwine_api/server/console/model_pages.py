"""The pages of models: the list, a model, a version, and the forms that delete them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import JobsWriter, ModelsReader
from intertwine_api.server.console.forms import TOKEN
from intertwine_api.server.console.job_settings import settings_of
from intertwine_api.server.console.loss_curves import has_pictures, picture_address
from intertwine_api.server.console.model_summary import (
    equivariance,
    group_of,
    measurements,
    network_facts,
    snippets,
    weights_file,
)
from intertwine_api.server.console.shell import base_of, render, render_problem
from intertwine_api.server.routes.jobs import find_job, get_job
from intertwine_api.server.routes.models import (
    Name,
    Number,
    delete_model,
    delete_model_version,
    get_model,
    get_model_version,
    list_model_versions,
    list_models,
)
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.jobs import JobDocument
from intertwine_api.wire.models import ModelName
from intertwine_api.wire.problems import ProblemError

router = APIRouter(include_in_schema=False)

_PAGE = 50  # models, or versions
_CONFIRMATION = "confirmation"  # the field in which the name is typed again


@router.get("/models", response_class=HTMLResponse)
def show_models(
    request: Request,
    service: TheService,
    caller: ModelsReader,
    after: Annotated[ModelName | None, Query(description="the cursor of the page")] = None,
) -> HTMLResponse:
    """Return a page of the models of all owners, in the order of their names."""
    page = list_models(service, caller, _PAGE, after)
    values = {"models": page.data, "following": page.next or "", "is_first": after is None}
    return render(request, "models.html", values)


@router.get("/models/{name}", response_class=HTMLResponse)
def show_model(
    request: Request,
    name: Name,
    service: TheService,
    caller: ModelsReader,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="the cursor")] = None,
) -> HTMLResponse:
    """Return the page of a model: its versions, the newest first."""
    return render(request, "model.html", _model_values(name, service, caller, before))


def _model_values(
    name: str, service: Service, caller: Caller, before: int | None = None
) -> dict[str, Any]:
    model = get_model(name, service, caller)
    page = list_model_versions(name, service, caller, _PAGE, before)
    return {
        "model": model,
        "versions": page.data,
        "following": page.next or "",
        "is_first": before is None,
        "problem": None,
        **_deletion(name, model.owner, service, caller),
    }


def _deletion(what: str, owner: str, service: Service, caller: Caller) -> dict[str, Any]:
    """Return the values of the form that deletes a model or a version of the caller."""
    return {
        "may_delete": caller.may("jobs:write") and caller.owns(owner),
        "deleted": what,
        "confirmation_field": _CONFIRMATION,
        "token_field": TOKEN,
        "token": service.form_tokens.token(caller.key_id, _action(what)),
    }


def _action(what: str) -> str:
    return f"delete the model {what}"


@router.get("/models/{name}/versions/{number}", response_class=HTMLResponse)
def show_version(
    request: Request, name: Name, number: Number, service: TheService, caller: ModelsReader
) -> HTMLResponse:
    """Return the page of a version: network, losses, equivariance, provenance, downloads, code."""
    values = _version_values(name, number, request, service, caller)
    return render(request, "model_version.html", values)


def _version_values(
    name: str, number: int, request: Request, service: Service, caller: Caller
) -> dict[str, Any]:
    version = get_model_version(name, number, service, caller)
    job = _training_job(version.job, service, caller)
    has_losses = job is not None and job.metrics.last is not None
    record = {**version.provenance, "written_with": version.config.get("written_with", {})}
    provenance, more = settings_of(record)
    return {
        "model": version,
        "network": network_facts(version, service.objects),
        "group": group_of(version),
        "measurements": measurements(version.metrics),
        "equivariance": equivariance(version.equivariance_error, version.is_equivariant),
        "warnings": version.metrics.get("warnings", ()),
        "job": job,
        "picture": picture_address([job]) if job and has_losses and has_pictures() else "",
        "provenance": provenance,
        "more_provenance": more,
        "weights_file": weights_file(version),
        "snippets": snippets(version, str(request.base_url), caller.key_id is not None),
        "may_try": caller.may("models:forward"),
        "problem": None,
        **_deletion(f"{name}/{number}", version.owner, service, caller),
    }


def _training_job(name: str | None, service: Service, caller: Caller) -> JobDocument | None:
    """Return the job that trained a version, if it still exists and the caller may see it."""
    if name is None or not caller.may("jobs:write"):
        return None
    try:
        return get_job(find_job(name, service, caller), service)
    except ProblemError as error:
        if error.problem.code != "not-found":
            raise
        return None


@router.get("/models/{name}/versions/{number}/config.json")
def get_config(name: Name, number: Number, service: TheService, caller: ModelsReader) -> Response:
    """Return the config of a version as a file, which `load` of both frameworks reads."""
    content = json.dumps(get_model_version(name, number, service, caller).config, indent=1)
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.post("/models/{name}/delete", response_class=Response)
async def delete_whole_model(
    request: Request, name: Name, service: TheService, caller: JobsWriter
) -> Response:
    """Delete a model, for the form of its page, in which its name is typed again."""
    problem = await _confirmed(request, name, service, caller)
    if problem is not None:
        values = await run_in_threadpool(_model_values, name, service, caller)
        return render_problem(request, "model.html", values, problem)
    await delete_model(name, service, caller)
    return _see(request, "models")


@router.post("/models/{name}/versions/{number}/delete", response_class=Response)
async def delete_version(
    request: Request, name: Name, number: Number, service: TheService, caller: JobsWriter
) -> Response:
    """Delete a version, for the form of its page, in which its name and number are typed again."""
    problem = await _confirmed(request, f"{name}/{number}", service, caller)
    if problem is not None:
        values = await run_in_threadpool(_version_values, name, number, request, service, caller)
        return render_problem(request, "model_version.html", values, problem)
    await delete_model_version(name, number, service, caller)
    return _see(request, f"models/{name}")


async def _confirmed(
    request: Request, what: str, service: Service, caller: Caller
) -> ProblemError | None:
    """Return the problem of a form that is not confirmed; None if the name was typed.

    Raises `ProblemError` for a form without the token of the page.
    """
    fields = await service.form_tokens.read(request, caller.key_id, _action(what))
    typed = fields.text(_CONFIRMATION).strip()
    if typed == what:
        return None
    detail = f"nothing was deleted, because {typed[:200]!r} was typed: type {what} to delete it"
    return ProblemError.of("invalid-request", detail)


def _see(request: Request, path: str) -> Response:
    address = f"{base_of(request.scope)}{path}"
    return Response(status_code=303, headers={"Location": address, "Cache-Control": "no-store"})
