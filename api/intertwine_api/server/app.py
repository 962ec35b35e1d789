"""The application: routes, errors and bounds around one `Service`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import intertwine
from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from intertwine_api.server.access import ASKED, Guard, requires
from intertwine_api.server.limits import ConcurrencyLimit, Rates
from intertwine_api.server.middleware import BoundedBody, Counted, HeadAsGet
from intertwine_api.server.problem_responses import documented, install_problem_handlers
from intertwine_api.server.routes import (
    bases,
    blobs,
    datasets,
    forward,
    jobs,
    matrices,
    models,
    pages,
    reps,
)
from intertwine_api.server.service import Service
from intertwine_api.wire.problems import Problem
from intertwine_api.work.settings import Settings

_DESCRIPTION = """
Find all linear maps that commute with a group's action. `POST /v1/bases` with a rep and a group
answers with a manifest: the evidence, and the address of the basis, as safetensors.

Errors are problem documents (RFC 9457) with a stable `code`; `/problems` lists them.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service as an ASGI application. Its workers start and end with it."""
    service = Service(settings or Settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.end()

    app = FastAPIOffline(  # its documentation needs no other host
        title="Intertwine",
        version=intertwine.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        root_path=service.settings.root_path,
    )
    app.state.service = service
    _include_routes(app)
    install_problem_handlers(app)
    _wrap(app, service)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


#: The routes under ``/v1``, and the scopes of which a key must have one. (Some ask for more.)
_GUARDED = (
    (bases, ("bases:read",)),
    (matrices, ("bases:read",)),
    (reps, ("bases:read",)),
    (blobs, ("bases:read", "jobs:write", "models:forward")),
    (datasets, ("jobs:write",)),
    (jobs, ("jobs:write",)),
    (models, ("models:forward", "jobs:write")),
)


def _include_routes(app: FastAPI) -> None:
    app.router.routes.append(forward.route)  # called most, and so tried first
    app.include_router(forward.router)
    app.include_router(pages.router)
    for module, scopes in _GUARDED:
        app.include_router(
            module.router,
            dependencies=[Depends(requires(*scopes))],
            responses=documented(*ASKED, "not-ready"),
        )


def _wrap(app: FastAPI, service: Service) -> None:
    """Put around the routes what happens to every request; what comes last here comes first."""
    settings = service.settings
    app.add_middleware(
        Guard,
        access=service.access,
        rates=Rates(settings.key_requests_per_second, settings.key_requests_burst),
        at_once=ConcurrencyLimit(settings.key_requests_at_once, "requests of this key"),
    )
    app.add_middleware(Counted, metrics=service.metrics)
    uploads = dict.fromkeys(("/v1/datasets", "/v1/blobs"), settings.dataset_bytes)
    app.add_middleware(
        BoundedBody, limit=settings.json_bytes, binary_limit=settings.body_bytes, uploads=uploads
    )
    app.add_middleware(HeadAsGet)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the problem document among its schemas."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schema = Problem.model_json_schema()
        document["components"]["schemas"]["Problem"] = schema
        _replace_default_errors(document)
        app.openapi_schema = document
    return app.openapi_schema


def _replace_default_errors(document: dict[str, Any]) -> None:
    """FastAPI documents its own form of a 422, which this service never sends."""
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"].get("422", {}).get("content", {})
            content.pop("application/json", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
