"""Bases: asked for, waited for, and listed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import JSONResponse
from intertwine.training.recipe.description import Digest
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import BasesReader
from intertwine_api.server.problem_responses import READING, SOLVING, documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.bases import (
    BasisManifest,
    BasisPage,
    BasisRequest,
    Pending,
    Progress,
)
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work.basis_states import BasisState, Failed, InJob, Known, Solving
from intertwine_api.work.job import Job
from intertwine_api.work.solves import Solve

router = APIRouter(prefix="/v1", tags=["bases"])

_PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": Pending, "description": "The solve goes on; ask again at `Location`."}
}
_READ_MOST = 2000  # manifests that are read for one page, however few of them pass the filter
Key = Annotated[Digest, Path(description="the key of a basis")]


@router.post(
    "/bases",
    summary="Find the basis of a rep's invariants",
    operation_id="find_basis",
    response_model=BasisManifest,
    responses={**_PENDING, **documented(*READING, *SOLVING, "too-many-jobs")},
)
async def find_basis(
    request: BasisRequest,
    service: TheService,
    caller: BasesReader,
    prefer: Annotated[str | None, Header(description="wait=N: for how many seconds")] = None,
) -> Any:
    """Answer at once where the basis is known; else solve, waiting as long as `Prefer: wait` says.

    Equal requests in flight share one solve, and a caller who leaves does not stop it. A long one
    is a job, which outlives the service; its address is the same. To solve takes `bases:solve`.
    """
    parsed = await service.parse(request.model_dump(exclude_none=True))
    state = await run_in_threadpool(service.bases.here, parsed.key, parsed)
    if isinstance(state, Known):
        return state.document
    caller.require("bases:solve")
    wait = _wait(prefer, service)
    applied = {"Preference-Applied": f"wait={wait:g}"} if prefer else {}
    if isinstance(state, Solving):
        solve = state.solve
    elif await run_in_threadpool(service.submission.place, parsed) == "job":
        job = await run_in_threadpool(service.submission.solve_once, parsed, caller)
        await service.streams.ended(job.id, wait)
        job = await run_in_threadpool(service.queue.get, job.id)
        ended = await run_in_threadpool(service.bases.after_job, job, parsed.key, parsed)
        return _answer(ended, parsed.key, caller, applied)
    else:
        solve = service.solves.start(parsed)
    if not await solve.wait(wait):
        return _pending(solve, applied)
    solved = await run_in_threadpool(service.bases.after_solve, solve, parsed)
    return _answer(solved, parsed.key, caller)


@router.get(
    "/bases",
    summary="List the bases that are known",
    operation_id="list_bases",
    response_model=BasisPage,
    responses=documented("invalid-request"),
)
def list_bases(
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 50,
    after: Annotated[Digest | None, Query(description="the cursor, from `next`")] = None,
    group: Annotated[str | None, Query(description="only of this group, as printed")] = None,
    method: Annotated[str | None, Query(description="only found by this method")] = None,
) -> BasisPage:
    """The bases in the store, in the order of their keys.

    A page with a filter may be short, or empty, and yet not the last: `has_more` says.
    """
    page: list[BasisManifest] = []
    last = None
    for read, document in enumerate(service.bases.documents(after or "")):
        if len(page) == limit or read == _READ_MOST:
            return BasisPage(data=page, has_more=True, next=last)
        last = document.key
        if group in (None, document.group) and method in (None, document.method):
            page.append(document)
    return BasisPage(data=page, has_more=False, next=None)


@router.get(
    "/bases/{key}",
    summary="A basis by its key, or how far its solve is",
    operation_id="get_basis",
    response_model=BasisManifest,
    responses={**_PENDING, **documented("not-found", "invalid-request", *SOLVING)},
)
async def get_basis(key: Key, service: TheService, caller: BasesReader) -> Any:
    """The manifest; while it is being solved, its progress; or the problem that ended it."""
    state = await run_in_threadpool(service.bases.of, key)
    return _answer(state, key, caller)


def _answer(
    state: BasisState | None, key: str, caller: Caller, more: Mapping[str, str] | None = None
) -> BasisManifest | JSONResponse:
    """Return the response for a state. Raises `ProblemError` if it is a failure, or unknown."""
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
            raise ProblemError(Problem.of("not-found", f"no basis is known under {key}"))


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
    """A solve that is a job, whose address is told to those who may see it."""
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
