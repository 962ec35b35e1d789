"""The system page, the problem codes, health checks and metrics."""

from __future__ import annotations

import intertwine
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import AUTH_PROBLEMS, requires
from intertwine_api.server.console.shell import render
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.wire.problems import CODES, ProblemError

router = APIRouter(tags=["service"])

#: Documents of the service, by their addresses under the root.
_LINKS = (
    ("docs", "API documentation"),
    ("v1/bases", "Bases"),
    ("v1/groups", "Groups"),
    ("v1/jobs", "Jobs"),
    ("v1/models", "Models"),
    ("problems", "Problem codes"),
    ("metrics", "Metrics"),
    ("readyz", "Readiness"),
)


@router.get("/system", summary="Show the state of the service", response_class=HTMLResponse)
async def show_system(request: Request, service: TheService) -> HTMLResponse:
    """Return a page with the state of the service and links to its documents."""
    statistics = await service.store_statistics()
    facts = {
        "Version": intertwine.__version__,
        "Bases known": f"{statistics['entries']:,}",
        "Store": f"{statistics['bytes'] / 1e6:,.1f} MB in {statistics['place']}",
        "Datasets and weights": service.objects.address,
        "Workers": str(service.settings.workers),
        "Access": await run_in_threadpool(_access, service),
    }
    return render(request, "system.html", {"facts": facts, "links": _LINKS})


def _access(service: Service) -> str:
    try:
        return service.access_policy().summary
    except SQLAlchemyError:  # the page is shown in an outage too
        return "unknown: the database cannot be reached"


@router.get(
    "/problems",
    summary="List the problem codes",
    operation_id="problems",
    response_class=HTMLResponse,
)
async def list_problems(request: Request) -> HTMLResponse:
    """Return a page of all problem codes, each with its HTTP status and meaning."""
    return render(request, "problems.html", {"codes": CODES})


@router.get("/healthz", summary="Check liveness")
async def healthz() -> dict[str, str]:
    """Return `ok` while the process runs."""
    return {"status": "ok"}


@router.get("/readyz", summary="Check readiness", responses=documented("not-ready"))
async def readyz(service: TheService) -> dict[str, str]:
    """Return `ready` if the workers run, database and bucket answer, and the disks have room."""
    if not service.ready:
        raise ProblemError.of("not-ready", "the workers are starting")
    await run_in_threadpool(service.require_database)
    await run_in_threadpool(service.require_disk)
    await run_in_threadpool(service.objects.check)
    return {"status": "ready"}


@router.get(
    "/metrics",
    summary="Export Prometheus metrics",
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {}},
            "description": "The metrics in the Prometheus text format.",
        },
        **documented(*AUTH_PROBLEMS, "not-ready"),
    },
    dependencies=[Depends(requires("metrics:read"))],
)
async def metrics(service: TheService) -> Response:
    """Return metrics of requests, solves, jobs, the store, queues, disks, GPUs and owners."""
    await service.update_metrics()
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
