"""The problem codes, health checks and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import AUTH_PROBLEMS, requires
from intertwine_api.server.console.shell import render
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import TheService
from intertwine_api.server.system_state import TheSystem
from intertwine_api.wire.problems import CODES

router = APIRouter(tags=["service"])


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
async def readyz(system: TheSystem) -> dict[str, str]:
    """Return `ready` if the workers run, database and bucket answer, and the disks have room."""
    for check in system.checks.values():
        await run_in_threadpool(check)
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
