"""Jobs: handed in, listed, looked at, cancelled, tried again, and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from intertwine_api.access import JobsWriter
from intertwine_api.job_documents import (
    IdempotencyKey,
    JobDocument,
    JobName,
    JobPage,
    KindOfJob,
    Line,
    MetricsRow,
    MetricsRows,
    SolveJob,
    State,
    TrainJob,
    document,
)
from intertwine_api.jobs.folder import JobFolder
from intertwine_api.jobs.job import Job
from intertwine_api.problems import READING, Problem, ProblemError, documented
from intertwine_api.service import Service, TheService

router = APIRouter(prefix="/v1", tags=["jobs"])

_LOG_MOST = 2**20  # bytes of a log in one answer
_EPOCHS = 2**31 - 1
_BAD_ID = ("not-found", "invalid-request")


def _job(
    job: Annotated[JobName, Path(description="the id of a job")],
    service: TheService,
    caller: JobsWriter,
) -> Job:
    """The caller's job of this id; another's is not found, unless an admin asks."""
    found = service.queue.get(job)
    if not caller.owns(found.owner):
        raise ProblemError(Problem.of("not-found", f"there is no job {job}"))
    return found


#: The caller's job that an address names, as a route's argument.
TheJob = Annotated[Job, Depends(_job)]


@router.post(
    "/jobs",
    status_code=202,
    summary="Hand in a job",
    operation_id="submit_job",
    response_model=JobDocument,
    responses=documented(
        *READING, "not-found", "name-taken", "too-costly", "invalid-setting",
        "idempotency-conflict", "too-many-jobs",
    ),
)  # fmt: skip
async def submit_job(
    asked_for: Annotated[TrainJob | SolveJob, Body(discriminator="kind")],
    service: TheService,
    caller: JobsWriter,
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(description="the same request under the same key is one job"),
    ] = None,
) -> Response:
    """The job waits in the queue, is run by a process of its own, and is found at `Location`."""
    job = await service.work(service.intake.hand_in, asked_for, caller, idempotency_key)
    answer = (await run_in_threadpool(_document, job, service)).model_dump(mode="json")
    return JSONResponse(answer, 202, headers={"Location": f"/v1/jobs/{job.id}"})


@router.get(
    "/jobs",
    summary="List jobs",
    operation_id="list_jobs",
    response_model=JobPage,
    responses=documented("invalid-request", "forbidden"),
)
def list_jobs(
    service: TheService,
    caller: JobsWriter,
    limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 50,
    after: Annotated[Line | None, Query(description="the cursor, from `next`")] = None,
    state: Annotated[State | None, Query(description="only those in this state")] = None,
    kind: Annotated[KindOfJob | None, Query(description="only of this kind")] = None,
    label: Annotated[Line | None, Query(description="only those with this label")] = None,
    owner: Annotated[
        Line | None, Query(description="only this owner's; an admin sees everybody's")
    ] = None,
) -> JobPage:
    """The caller's jobs, the newest first; a saved model in a request is without its config."""
    if not caller.is_admin:
        if owner not in (None, caller.owner):
            raise ProblemError(Problem.of("forbidden", f"the jobs of {owner} are not yours to see"))
        owner = caller.owner
    found, following = service.queue.page(
        owner=owner, state=state, kind=kind, label=label, after=after, limit=limit
    )
    return JobPage(data=_documents(found, service), has_more=following is not None, next=following)


@router.get(
    "/jobs/{job}",
    summary="A job: where it is, and what came of it",
    operation_id="get_job",
    response_model=JobDocument,
    responses=documented(*_BAD_ID),
)
def get_job(job: TheJob, service: TheService) -> JobDocument:
    """Its state and why it is in it, its place in the queue, how far it is, and its result."""
    return _document(job, service)


@router.post(
    "/jobs/{job}:cancel",
    summary="Cancel a job",
    operation_id="cancel_job",
    response_model=JobDocument,
    responses=documented(*_BAD_ID),
)
def cancel_job(job: TheJob, service: TheService, caller: JobsWriter) -> JobDocument:
    """One that waits is cancelled at once, one that runs is ended; to one that ended, nothing."""
    job = service.queue.cancel(job.id, f"cancelled by {caller.owner}")
    service.controller.wake()
    return _document(job, service)


@router.post(
    "/jobs/{job}:retry",
    summary="Try a job again",
    operation_id="retry_job",
    response_model=JobDocument,
    responses=documented(*_BAD_ID, "wrong-state", "too-many-jobs"),
)
def retry_job(job: TheJob, service: TheService) -> JobDocument:
    """One that failed or was cancelled waits again, and goes on from its last checkpoint."""
    job = service.queue.retry(job.id, service.settings.key_jobs)
    service.controller.wake()
    return _document(job, service)


@router.delete(
    "/jobs/{job}",
    status_code=204,
    summary="Delete a job that has ended",
    operation_id="delete_job",
    response_class=Response,
    responses=documented(*_BAD_ID, "wrong-state"),
)
def delete_job(job: TheJob, service: TheService) -> Response:
    """Its events, metrics, log and checkpoints go with it; a model that it made stays."""
    service.queue.delete(job.id)
    _folder(job, service).remove()
    return Response(status_code=204)


@router.get(
    "/jobs/{job}/metrics",
    summary="The losses of a training",
    operation_id="get_job_metrics",
    response_model=MetricsRows,
    responses=documented(*_BAD_ID),
)
def get_metrics(
    job: TheJob,
    service: TheService,
    after: Annotated[int, Query(ge=0, le=_EPOCHS, description="only epochs past this")] = 0,
    points: Annotated[
        int, Query(ge=2, le=10_000, description="how many at most, spread evenly")
    ] = 2000,
) -> MetricsRows:
    """One row for each epoch that was evaluated; of more than `points`, so many of them, with the
    first and the last.
    """
    rows = service.metrics_of_jobs.rows(job.id, after, points)
    return MetricsRows(data=[MetricsRow(**row) for row in rows])


@router.get(
    "/jobs/{job}/logs",
    summary="What a job's process printed",
    operation_id="get_job_logs",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "A part of the log."},
        **documented(*_BAD_ID),
    },
)
def get_logs(
    job: TheJob,
    service: TheService,
    offset: Annotated[
        int | None, Query(ge=0, lt=2**63, description="the byte to begin with")
    ] = None,
    tail: Annotated[
        int | None, Query(ge=0, le=_LOG_MOST, description="only the last bytes, so many")
    ] = None,
) -> Response:
    """At most a MiB, as UTF-8; the headers say where it lies in the log, and how long that is.

    Whoever follows a log asks next for `offset` = X-Log-Offset + the length of this answer.
    """
    size, start, content = _read_log(_folder(job, service), offset, tail)
    headers = {
        "X-Log-Size": str(size),
        "X-Log-Offset": str(start),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


def _read_log(folder: JobFolder, offset: int | None, tail: int | None) -> tuple[int, int, bytes]:
    """The size of a log, where the part that is asked for begins, and the part."""
    try:
        log = folder.log.open("rb")
    except FileNotFoundError:  # it has not begun, or its process is on another host
        return 0, 0, b""
    with log:
        size = log.seek(0, 2)
        start = min(size, offset or 0)
        if tail is not None:
            start = max(start, size - tail)
        log.seek(start)
        return size, start, log.read(_LOG_MOST)


def _folder(job: Job, service: Service) -> JobFolder:
    return JobFolder.of(service.settings.home, job.id)


def _document(job: Job, service: Service, *, in_list: bool = False) -> JobDocument:
    here, waits = service.places, None
    if job.state == "queued":
        waits = service.queue.waiting(job, host=here.host, slots=here.slots)
    last = service.metrics_of_jobs.last(job.id) if job.kind == "train" else None
    if waits is not None and not waits[0]:  # it has been taken since it was read
        return _document(service.queue.get(job.id), service, in_list=in_list)
    return document(job, waits=waits, last=last, in_list=in_list)


def _documents(jobs: Sequence[Job], service: Service) -> list[JobDocument]:
    return [_document(job, service, in_list=True) for job in jobs]
