"""Routes of bases: find, get, list."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import JSONResponse
from intertwine.training.recipe.description import Digest
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import BasesReader
from intertwine_api.server.disconnects import CancelOnDisconnect
from intertwine_api.server.problem_responses import PARSE_PROBLEMS, SOLVE_PROBLEMS, documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.bases import (
    BasisManifest,
    BasisPage,
    BasisRequest,
    Pending,
    Progress,
)
from intertwine_api.wire.basis_request import ParsedRequest
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.basis_states import BasisState, Failed, InJob, Known, Solving
from intertwine_api.work.job import Job
from intertwine_api.work.solves import Solve

router = APIRouter(prefix="/v1", tags=["bases"])

PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": Pending, "description": "The solve is running. Poll the URL in `Location`."}
}
_SCAN_LIMIT = 2000  # the most manifests read for one page, whether or not they match
Key = Annotated[Digest, Path(description="the key of a basis")]


@router.post(
    "/bases",
    summary="Find a basis of a rep's invariants",
    response_model=BasisManifest,
    responses={**PENDING, **documented(*PARSE_PROBLEMS, *SOLVE_PROBLEMS, "too-many-jobs")},
)
async def find_basis(
    asked: BasisRequest,
    service: TheService,
    caller: BasesReader,
    request: Request,
    prefer: Annotated[
        str | None, Header(description="`wait=N` waits N seconds for the solve")
    ] = None,
) -> Any:
    """Return a known basis immediately; else solve, and wait as long as `Prefer: wait` says.

    Equal concurrent requests share one solve. It continues after a response with status 202, and
    for some seconds after all callers have disconnected. A long solve is a job, which survives
    restarts of the service. Solving requires `bases:solve`.
    """
    parsed = await service.parse(asked.model_dump(exclude_none=True), caller)
    state = await run_in_threadpool(service.bases.here, parsed.key, parsed)
    if isinstance(state, Known):
        return state.document
    wait = _wait(prefer, service)
    applied = {"Preference-Applied": f"wait={wait:g}"} if prefer else {}
    return await solved(parsed, state, service, caller, request, wait, applied)


async def solved(
    parsed: ParsedRequest,
    state: BasisState | None,
    service: Service,
    caller: Caller,
    request: Request,
    wait: float,
    applied: Mapping[str, str] | None = None,
) -> BasisManifest | JSONResponse:
    """Solve for a basis that is not known here, or wait for its solve, as `find_basis` does."""
    state = await solve_within(parsed, state, service, caller, request, wait)
    return _answer(state, parsed.key, caller, applied)


async def solve_within(
    parsed: ParsedRequest,
    state: BasisState | None,
    service: Service,
    caller: Caller,
    request: Request,
    wait: float,
) -> BasisState:
    """Return the state of a basis after a solve, or after waiting for one for `wait` seconds.

    `state` is its state here. A solve that has not ended continues without the caller. Raises
    `ProblemError` without the scope ``bases:solve``, or if the solve is refused.
    """
    caller.require("bases:solve")
    if isinstance(state, Solving):
        solve = state.solve
    elif service.submission.is_job(
        cost := await service.work(caller, service.submission.cost, parsed)
    ):
        job = await run_in_threadpool(service.submission.solve_once, parsed, caller)
        await service.streams.wait_for_end(job.id, wait)
        job = await run_in_threadpool(service.queue.get, job.id)
        return await run_in_threadpool(service.bases.after_job, job, parsed.key, parsed)
    else:
        solve = service.solves.start(parsed, caller, cost.operations)
    with service.solves.wanted(solve, caller):
        async with CancelOnDisconnect(request):
            if not await solve.wait(wait):
                solve.promise(caller)
                return Solving(solve)
    return await run_in_threadpool(service.bases.after_solve, solve, parsed)


@router.get("/bases", summary="List bases", responses=documented("invalid-request"))
async def list_bases(
    service: TheService,
    caller: BasesReader,
    limit: Annotated[int, Query(ge=1, le=200, description="the size of a page")] = 50,
    after: Annotated[Digest | None, Query(description="the `next` of the previous page")] = None,
    group: Annotated[str | None, Query(description="only bases of this group, as printed")] = None,
    method: Annotated[str | None, Query(description="only bases found by this method")] = None,
) -> BasisPage:
    """Return the bases in the store, sorted by key.

    With a filter, a page can be short or empty without being the last: check `has_more`.
    """
    return await service.work(caller, _page, service, limit, after, group, method)


def _page(
    service: Service, limit: int, after: str | None, group: str | None, method: str | None
) -> BasisPage:
    page: list[BasisManifest] = []
    last = None
    for read, document in enumerate(service.bases.documents(after or "")):
        if len(page) == limit or read == _SCAN_LIMIT:
            return BasisPage(data=page, has_more=True, next=last)
        last = document.key
        if group in (None, document.group) and method in (None, document.method):
            page.append(document)
    return BasisPage(data=page, has_more=False, next=None)


@router.get(
    "/bases/{key}",
    summary="Get a basis, or the progress of its solve",
    response_model=BasisManifest,
    responses={**PENDING, **documented("not-found", "invalid-request", *SOLVE_PROBLEMS)},
)
async def get_basis(key: Key, service: TheService, caller: BasesReader) -> Any:
    """Return the manifest of a basis, the progress of its solve, or the problem that ended it."""
    state = await run_in_threadpool(service.bases.of, key)
    return _answer(state, key, caller)


def _answer(
    state: BasisState | None, key: str, caller: Caller, more: Mapping[str, str] | None = None
) -> BasisManifest | JSONResponse:
    """Return the response for a state. Raises `ProblemError` for a failure or an unknown key."""
    match state:
        case Known(document):
            return document
        case Solving(solve):
            return _pending(solve, more)
        case InJob(job):
            return _pending_job(key, job, caller, more)
        case Failed(problem):
            raise ProblemError(problem)
        case None:
            raise ProblemError.of("not-found", f"there is no basis with the key {key}")


def _wait(prefer: str | None, service: Service) -> float:
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", prefer or "")
    wanted = float(match[1]) if match else service.settings.wait_seconds
    return min(wanted, service.settings.wait_most)


def _pending(solve: Solve, more: Mapping[str, str] | None = None) -> JSONResponse:
    progress = _progress(solve.stage, solve.fraction)
    document = Pending(key=solve.request.key, state=solve.state, progress=progress)
    return _accepted(document, more)


def _pending_job(
    key: str, job: Job, caller: Caller, more: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the response for a solve in a job, with the job's URL if the caller may see it."""
    stage = job.progress.get("stage", "waiting" if job.state == "queued" else "starting")
    document = Pending(
        key=key,
        state="queued" if job.state == "queued" else "running",
        progress=_progress(str(stage), float(job.progress.get("fraction", 0.0))),
        job=f"/v1/jobs/{job.id}" if caller.may("jobs:write") and caller.owns(job.owner) else None,
    )
    return _accepted(document, more)


def _progress(stage: str, fraction: float) -> Progress:
    known = fraction if math.isfinite(fraction) else 0.0
    return Progress(stage=stage, fraction=min(1.0, max(0.0, known)))


def _accepted(document: Pending, more: Mapping[str, str] | None) -> JSONResponse:
    headers = {"Location": f"/v1/bases/{document.key}", "Retry-After": "1", **(more or {})}
    if document.job is not None:
        headers["Link"] = f'<{document.job}>; rel="related"; title="job"'
    return JSONResponse(document.model_dump(exclude_none=True), 202, headers=headers)
