"""The home page, the problem codes, health checks and metrics."""

from __future__ import annotations

from html import escape

import intertwine
from fastapi import APIRouter, Depends, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import AUTH_PROBLEMS, requires
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.wire.problems import CODES, ProblemError

router = APIRouter(tags=["service"])

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}
pre{{background:#8881;padding:.8rem;overflow-x:auto}}td,th{{text-align:left;padding-right:1.5rem}}
:root{{color-scheme:light dark}}</style></head><body>{body}</body></html>
"""


@router.get("/", summary="Show the home page", response_class=HTMLResponse)
async def home(service: TheService) -> HTMLResponse:
    """Return a page with the state of the service and links to the API documentation."""
    statistics = await service.store_statistics()
    rows = {
        "version": intertwine.__version__,
        "bases known": f"{statistics['entries']:,}",
        "store": f"{statistics['bytes'] / 1e6:,.1f} MB in {statistics['place']}",
        "datasets and weights": service.objects.address,
        "workers": str(service.settings.workers),
        "access": await run_in_threadpool(_access, service),
    }
    table = "".join(f"<tr><th>{escape(k)}<td>{escape(v)}" for k, v in rows.items())
    body = f"""<h1>Intertwine</h1>
<p>Every linear map that commutes with a group's action, found and proven.</p>
<table>{table}</table>
<pre>curl -s /v1/bases -H 'content-type: application/json' \\
     -d '{{"rep": "V**2*V.T+5V0", "group": "SO(3)"}}'</pre>
<p><a href="docs">API documentation</a> · <a href="v1/bases">bases</a> ·
<a href="v1/groups">groups</a> · <a href="v1/jobs">jobs</a> · <a href="v1/models">models</a> ·
<a href="problems">problem codes</a> · <a href="metrics">metrics</a> ·
<a href="readyz">ready?</a></p>"""
    return HTMLResponse(_PAGE.format(title="Intertwine", body=body))


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
async def list_problems() -> HTMLResponse:
    """Return a page of all problem codes, each with its HTTP status and meaning."""
    rows = "".join(
        f'<tr id="{code}"><th>{code}<td>{status}<td>{escape(title)}'
        for code, (status, title) in CODES.items()
    )
    body = f"<h1>Problem codes</h1><table><tr><th>code<th>status<th>meaning{rows}</table>"
    return HTMLResponse(_PAGE.format(title="Problem codes", body=body))


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
