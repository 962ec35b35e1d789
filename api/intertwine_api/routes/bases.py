"""Bases: asked for, waited for, and listed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from intertwine_api.access import BasesReader, Caller
from intertwine_api.asking import Asked
from intertwine_api.jobs.job import Job
from intertwine_api.problems import READING, SOLVING, Problem, ProblemError, documented
from intertwine_api.schemas import (
    BasisManifest,
    BasisPage,
    BasisRequest,
    Digest,
    Pending,
    Progress,
)
from intertwine_api.service import Service, TheService
from intertwine_api.solves import Solve

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
    asked_for: BasisRequest,
    service: TheService,
    caller: BasesReader,
    prefer: Annotated[str | None, Header(description="wait=N: for how many seconds")] = None,
) -> Any:
    """Answer at once where the basis is known; else solve, waiting as long as `Prefer: wait` says.

    Equal requests in flight share one solve, and a caller who leaves does not stop it. A long one
    is a job, which outlives the service; its address is the same. To solve takes `bases:solve`.
    """
    asked = await service.ask(asked_for.model_dump(exclude_none=True))
    found = await run_in_threadpool(service.find, asked.key, asked)
    if found is not None:
        return found
    held = service.solves.unkept(asked.key)
    if held is not None:
        return await run_in_threadpool(service.unkept_manifest, asked, held[1], cached=True)
    caller.require("bases:solve")
    wait = _wait(prefer, service)
    applied = {"Preference-Applied": f"wait={wait:g}"} if prefer else {}
    solve = service.solves.running(asked.key)
    if solve is None:
        if await run_in_threadpool(service.intake.place, asked) == "job":
            return await _solved_by_job(asked, caller, wait, applied, service)
        solve = service.solves.start(asked)
    if not await solve.wait(wait):
        return _pending(solve, applied)
    return await run_in_threadpool(_ended, solve, asked, service)


async def _solved_by_job(
    asked: Asked, caller: Caller, wait: float, applied: Mapping[str, str], service: Service
) -> Any:
    job = await run_in_threadpool(service.intake.solve_once, asked, caller)
    await service.streams.ended(job.id, wait)
    job = await run_in_threadpool(service.queue.get, job.id)
    if not job.has_ended:
        return _pending_job(asked.key, job, caller, applied)
    found = await run_in_threadpool(service.find, asked.key, asked)
    if found is not None:
        return found
    raise ProblemError(_problem_of(job))


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
    for read, document in enumerate(service.manifests(after=after or "")):
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
    solve = service.solves.running(key)  # before the look into the store: it may end meanwhile
    found = await run_in_threadpool(service.find, key)
    if found is not None:
        return found
    if solve is not None and not solve.done.is_set():
        return _pending(solve)
    if solve is not None:
        return await run_in_threadpool(_ended, solve, solve.asked, service)
    held = service.solves.unkept(key)
    if held is not None:
        return await run_in_threadpool(service.unkept_manifest, *held, cached=True)
    problem = service.solves.failure(key)
    if problem is not None:
        raise ProblemError(problem)
    job = await run_in_threadpool(service.queue.latest, key)
    if job is None:
        raise ProblemError(Problem.of("not-found", f"no basis is known under {key}"))
    if not job.has_ended:
        return _pending_job(key, job, caller)
    found = await run_in_threadpool(service.read, key, cached=True)  # it may just have ended
    if found is not None:
        return found
    raise ProblemError(_problem_of(job))


def _wait(prefer: str | None, service: Service) -> float:
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", prefer or "")
    wanted = float(match[1]) if match else service.settings.wait_seconds
    return min(wanted, service.settings.wait_most)


def _pending(solve: Solve, more: Mapping[str, str] | None = None) -> JSONResponse:
    progress = _progress(solve.stage, solve.fraction)
    document = Pending(key=solve.asked.key, state=solve.state, progress=progress)
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


def _problem_of(job: Job) -> Problem:
    """Why there is no basis although its job has ended. What it printed is its owner's to see."""
    if job.problem is not None:
        return Problem(**{name: value for name, value in job.problem.items() if name != "log"})
    why = "was cancelled" if job.state == "cancelled" else "succeeded, and the store has it no more"
    return Problem.of("not-found", f"the job that solved for it {why}: ask for the basis again")


def _ended(solve: Solve, asked: Asked, service: Service) -> BasisManifest:
    if solve.problem is not None:
        raise ProblemError(solve.problem)
    found = service.read(solve.asked.key, cached=solve.cached, asked=asked)
    if found is not None:
        return found
    held = service.solves.unkept(solve.asked.key)
    if held is not None:
        return service.unkept_manifest(asked, held[1], cached=solve.cached)
    raise ProblemError(
        Problem.of(
            "not-kept",
            f"the basis of {asked.canonical} was found, but {service.store.layout.root} could not "
            f"keep it, and it is too large for this service's memory: see that the store can be "
            f"written to, and has room",
        )
    )
