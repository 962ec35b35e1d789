"""Routes for admins: list and end the solves and uploads in flight."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from intertwine_api.server.access import Admin
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import TheService
from intertwine_api.storage.uploads import Upload
from intertwine_api.wire.in_flight import (
    InFlightId,
    SolveInFlight,
    SolvesInFlight,
    UploadInFlight,
    UploadsInFlight,
)
from intertwine_api.wire.jobs import instant
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.logs import audit
from intertwine_api.work.solves import Solve

router = APIRouter(prefix="/v1/admin", tags=["admin"])


def _solve(
    id: Annotated[InFlightId, Path(description="the id of a solve in flight")], service: TheService
) -> Solve:
    for solve in service.solves.in_flight():
        if solve.id == id:
            return solve
    raise ProblemError.of("not-found", f"there is no solve {id} in flight: it may have ended")


def _upload(
    id: Annotated[InFlightId, Path(description="the id of an upload in flight")],
    service: TheService,
) -> Upload:
    for upload in service.uploads.in_flight():
        if upload.id == id:
            return upload
    raise ProblemError.of("not-found", f"there is no upload {id} in flight: it may have ended")


@router.get("/solves", summary="List solves in flight")
async def list_solves(service: TheService) -> SolvesInFlight:
    """Return the queued and running solves and decompositions of this process, oldest first."""
    return SolvesInFlight(data=list(map(_solve_document, service.solves.in_flight())))


@router.delete(
    "/solves/{id}",
    status_code=204,
    summary="End a solve",
    responses=documented("not-found", "invalid-request"),
)
async def end_solve(
    solve: Annotated[Solve, Depends(_solve)], service: TheService, caller: Admin
) -> None:
    """End a solve. Requests that wait for it get `ended-by-admin`."""
    if service.solves.cancel(solve, f"an admin ({caller.owner}) has ended the solve"):
        audit("solve ended", caller, id=solve.id, owner=solve.owner)


@router.get("/uploads", summary="List uploads in flight")
async def list_uploads(service: TheService) -> UploadsInFlight:
    """Return the uploads that this process receives or checks, oldest first."""
    documents = [
        UploadInFlight(
            id=upload.id,
            owner=upload.owner,
            state=upload.state,
            since=instant(upload.since),
            bytes=upload.received,
            declared=upload.declared,
        )
        for upload in service.uploads.in_flight()
    ]
    return UploadsInFlight(data=documents)


@router.delete(
    "/uploads/{id}",
    status_code=204,
    summary="End an upload",
    responses=documented("not-found", "invalid-request", "wrong-state"),
)
async def end_upload(
    upload: Annotated[Upload, Depends(_upload)], service: TheService, caller: Admin
) -> None:
    """End an upload and delete its file. An upload that is being checked cannot be ended."""
    if not upload.end(f"an admin ({caller.owner}) has ended the upload"):
        detail = f"upload {upload.id} has arrived and is being checked, which ends within a minute"
        raise ProblemError.of("wrong-state", detail, state=upload.state)
    audit("upload ended", caller, id=upload.id, owner=upload.owner, bytes=upload.received)


def _solve_document(solve: Solve) -> SolveInFlight:
    return SolveInFlight(
        id=solve.id,
        kind=solve.request.kind,
        owner=solve.owner,
        state=solve.state,
        stage=solve.stage,
        fraction=solve.fraction,
        since=instant(solve.since),
        seconds=solve.seconds,
        callers=solve.callers,
        rep=str(solve.request.canonical),
        key=solve.request.basis,
        operations=solve.operations,
    )
