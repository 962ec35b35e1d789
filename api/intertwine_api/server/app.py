"""The application: routes, error handlers and middleware around one `Service`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import intertwine
from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from intertwine_api.server.access import AUTH_PROBLEMS, Guard, requires
from intertwine_api.server.console import (
    basis_pictures,
    cache_pages,
    dataset_pages,
    explorer,
    group_pages,
    job_comparison,
    job_pages,
    key_pages,
    login_page,
    model_pages,
    shell,
    sweep_page,
    system_page,
    trial_page,
)
from intertwine_api.server.console.problem_pages import ProblemPages
from intertwine_api.server.limits import ByteBudget, ConcurrencyLimit, RateLimiter
from intertwine_api.server.middleware import (
    BodyLimit,
    ContentTypeCheck,
    HeadAsGet,
    ReplyLimit,
    SecurityHeaders,
)
from intertwine_api.server.origins import HostRules, OriginGuard
from intertwine_api.server.problem_responses import documented, install_problem_handlers
from intertwine_api.server.request_log import RequestLog
from intertwine_api.server.routes import (
    admin,
    bases,
    blobs,
    datasets,
    forward,
    jobs,
    matrices,
    models,
    pages,
    reps,
    store,
)
from intertwine_api.server.service import Service
from intertwine_api.server.system_state import SystemState
from intertwine_api.wire.problems import Problem
from intertwine_api.work.settings import Settings

_DESCRIPTION = """
Find all linear maps that commute with a group's action. `POST /v1/bases` with a rep and a group
returns a manifest: the evidence, and the URL of the basis as safetensors.

Errors are problem documents (RFC 9457) with a stable `code`; `/problems` lists them.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the service as an ASGI application. Its lifespan starts and stops the workers."""
    service = Service(settings or Settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.end()

    app = FastAPIOffline(  # serves the assets of its documentation itself
        title="Intertwine",
        version=intertwine.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        root_path=service.settings.root_path,
        redoc_url=None,  # its page loads an image from another host
        generate_unique_id_function=lambda route: route.name,
        # FastAPI's own spans would contain queries, and its records the messages of errors
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    app.state.system = SystemState(service)
    _include_routes(app)
    install_problem_handlers(app)
    _wrap(app, service)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


#: The routes under ``/v1``. A key needs one of the scopes; some routes require another too.
_GUARDED = (
    (bases, ("bases:read",)),
    (matrices, ("bases:read",)),
    (reps, ("bases:read",)),
    (store, ("bases:read",)),
    (blobs, ("bases:read", "jobs:write", "models:forward")),
    (datasets, ("jobs:write",)),
    (jobs, ("jobs:write",)),
    (models, ("models:forward", "jobs:write")),
    (admin, ("admin",)),
)

#: The headers that pages of allowed origins may send, and the headers that they may read.
_SENT_BY_PAGES = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID",
    "Prefer", "Range", "Traceparent", "Tracestate",
)  # fmt: skip
_READ_BY_PAGES = (
    "Content-Range", "ETag", "Intertwine-Model", "Location", "RateLimit", "RateLimit-Policy",
    "Retry-After", "X-Log-Offset", "X-Log-Size",
)  # fmt: skip


def _include_routes(app: FastAPI) -> None:
    app.router.routes.append(forward.route)  # the most frequent route is matched first
    app.include_router(forward.router)
    at_the_door = documented("origin-not-allowed", "host-not-allowed")
    app.include_router(pages.router, responses=at_the_door)
    system = documented("origin-not-allowed", "host-not-allowed", "rate-limited")
    app.include_router(system_page.router, responses=system)
    app.include_router(shell.router)
    app.include_router(login_page.router)
    basis_readers = (explorer, basis_pictures, group_pages, cache_pages)
    for router in (module.router for module in basis_readers):
        app.include_router(router, dependencies=[Depends(requires("bases:read"))])
    # /jobs/compare and /jobs/sweep before /jobs/{job}
    pages_of_jobs = (job_comparison.router, sweep_page.router, job_pages.router)
    for router in (*pages_of_jobs, dataset_pages.router):
        app.include_router(router, dependencies=[Depends(requires("jobs:write"))])
    readers = [Depends(requires("models:forward", "jobs:write"))]
    for router in (model_pages.router, trial_page.router):
        app.include_router(router, dependencies=readers)
    app.include_router(key_pages.router, dependencies=[Depends(requires("admin"))])
    for module, scopes in _GUARDED:
        app.include_router(
            module.router,
            dependencies=[Depends(requires(*scopes))],
            responses=documented(*AUTH_PROBLEMS, "not-ready"),
        )


def _wrap(app: FastAPI, service: Service) -> None:
    """Add the middleware. The last one added runs first."""
    settings = service.settings
    uploads = dict.fromkeys(
        ("/v1/datasets", "/datasets", "/v1/blobs", "/v1/store/blobs/"), settings.dataset_bytes
    )
    app.add_middleware(ContentTypeCheck, uploads=uploads)
    app.add_middleware(
        ReplyLimit,
        budget=ByteBudget(settings.replies_bytes, settings.key_replies_bytes, "responses"),
    )
    app.add_middleware(
        Guard,
        access=service.access,
        limiter=RateLimiter(settings.key_requests_per_second, settings.key_requests_burst),
        concurrency=ConcurrencyLimit(settings.key_requests_at_once, "requests of this key"),
        held=settings.connections // 4,
        session_key=lambda cookies: service.sessions.key_of(cookies),
    )
    app.add_middleware(
        BodyLimit,
        limit=settings.json_bytes,
        binary_limit=settings.body_bytes,
        budget=ByteBudget(settings.bodies_bytes, settings.key_bodies_bytes, "request bodies"),
        uploads=uploads,
    )
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=_SENT_BY_PAGES,
            expose_headers=_READ_BY_PAGES,
        )
    app.add_middleware(
        OriginGuard,
        rules=HostRules.of(settings),
        require_listed=bool(settings.allowed_hosts),
        origins=settings.allowed_origins,
        is_open=service.access.is_open,
    )
    app.add_middleware(
        RequestLog,
        metrics=service.metrics,
        errors=service.recent_errors,
        is_logged=settings.access_log,
    )
    app.add_middleware(ProblemPages)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(HeadAsGet)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the schema of problem documents."""
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
    """Remove FastAPI's own 422 document, which this service never sends."""
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"].get("422", {}).get("content", {})
            content.pop("application/json", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
