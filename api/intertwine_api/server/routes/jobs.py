"""Routes of jobs: submit, list, describe, follow, cancel, retry, delete."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import JobsWriter
from intertwine_api.server.middleware import is_head
from intertwine_api.server.problem_responses import PARSE_PROBLEMS, documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.server.streams import EventStream
from intertwine_api.storage.bucket import BucketError
from intertwine_api.wire.jobs import (
    EventDocument,
    EventPage,
    IdempotencyKey,
    JobDocument,
    JobName,
    JobPage,
    JobRequest,
    MetricsRow,
    MetricsRows,
    instant,
)
from intertwine_api.wire.names import Line
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import Kind, State
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.job import Job, document_of
from intertwine_api.work.kinds import KINDS
from intertwine_api.work.logs import audit

router = APIRouter(prefix="/v1", tags=["jobs"])

if TYPE_CHECKING:
    JobBody = JobRequest
else:  # at run time: the union of the requests of all registered kinds
    JobBody = Annotated[
        reduce(or_, (kind.request for kind in KINDS.values())),
        Body(discriminator="kind", title="Asked For"),
    ]

_LOG = logging.getLogger("intertwine.service")
_LOG_BYTES = 2**20  # the most bytes of a log in one response
_LARGEST = 2**31 - 1  # of an epoch's or event's number
_BAD_ID = ("not-found", "invalid-request")


def find_job(
    job: Annotated[JobName, Path(description="the id of a job")],
    service: TheService,
    caller: JobsWriter,
) -> Job:
    """Return the caller's job of this id. Only admins see the jobs of other owners.

    Raises `ProblemError` with ``not-found`` if there is no such job.
    """
    found = service.queue.get(job)
    if not caller.owns(found.owner):
        raise ProblemError.of("not-found", f"there is no job {job}")
    return found


#: The caller's job named in the path, as a route's argument.
TheJob = Annotated[Job, Depends(find_job)]


@router.post(
    "/jobs",
    status_code=202,
    summary="Submit a job",
    response_model=JobDocument,
    responses=documented(
        *PARSE_PROBLEMS, "not-found", "name-taken", "too-costly", "invalid-setting",
        "idempotency-conflict", "too-many-jobs", "quota-exceeded",
    ),
)  # fmt: skip
async def submit_job(
    request: JobBody,
    service: TheService,
    caller: JobsWriter,
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(description="makes the submission safe to retry"),
    ] = None,
) -> Response:
    """Queue a job, which runs in its own process. `Location` is its URL.

    Submitting the same request again with the same `Idempotency-Key` returns the first job.
    """
    job = await service.work(caller, service.submission.submit, request, caller, idempotency_key)
    answer = (await run_in_threadpool(_document, job, service)).model_dump(mode="json")
    return JSONResponse(answer, 202, headers={"Location": f"/v1/jobs/{job.id}"})


@router.get("/jobs", summary="List jobs", responses=documented("invalid-request", "forbidden"))
def list_jobs(
    service: TheService,
    caller: JobsWriter,
    limit: Annotated[int, Query(ge=1, le=200, description="the size of a page")] = 50,
    after: Annotated[Line | None, Query(description="the `next` of the previous page")] = None,
    state: Annotated[State | None, Query(description="only jobs in this state")] = None,
    kind: Annotated[Kind | None, Query(description="only jobs of this kind")] = None,
    label: Annotated[Line | None, Query(description="only jobs with this label")] = None,
    owner: Annotated[
        Line | None, Query(description="only jobs of this owner; admins only, else your own")
    ] = None,
) -> JobPage:
    """Return the caller's jobs, newest first; for admins, the jobs of all owners.

    Saved models in the requests are listed without their config.
    """
    if owner is not None:
        caller.require_owner(owner, f"the jobs of {owner} are private")
    elif not caller.is_admin:
        owner = caller.owner
    found, following = service.queue.page(
        owner=owner, state=state, kind=kind, label=label, after=after, limit=limit
    )
    documents = describe_jobs(found, service, in_list=True)
    return JobPage(data=documents, has_more=following is not None, next=following)


@router.get("/jobs/{job}", summary="Get a job", responses=documented(*_BAD_ID))
def get_job(job: TheJob, service: TheService) -> JobDocument:
    """Return the state of a job and its reason, its queue position, progress and result."""
    return _document(job, service)


@router.post("/jobs/{job}:cancel", summary="Cancel a job", responses=documented(*_BAD_ID))
def cancel_job(job: TheJob, service: TheService, caller: JobsWriter) -> JobDocument:
    """Cancel a queued job immediately, and stop a running one. Ended jobs do not change."""
    job = service.queue.cancel(job.id, f"cancelled by {caller.owner}")
    audit("job cancelled", caller, id=job.id, owner=job.owner)
    service.controller.wake()
    return _document(job, service)


@router.post(
    "/jobs/{job}:retry",
    summary="Retry a job",
    responses=documented(*_BAD_ID, "wrong-state", "too-many-jobs"),
)
def retry_job(job: TheJob, service: TheService, caller: JobsWriter) -> JobDocument:
    """Queue a failed or cancelled job again. It resumes from its last checkpoint."""
    job = service.queue.retry(job.id, service.settings.key_jobs)
    audit("job retried", caller, id=job.id, owner=job.owner)
    service.controller.wake()
    return _document(job, service)


@router.delete(
    "/jobs/{job}",
    status_code=204,
    summary="Delete an ended job",
    responses=documented(*_BAD_ID, "wrong-state"),
)
def delete_job(job: TheJob, service: TheService, caller: JobsWriter) -> None:
    """Delete a job with its events, metrics, log and checkpoints. Its model is kept."""
    service.queue.delete(job.id)
    audit("job deleted", caller, id=job.id, owner=job.owner)
    _folder(job, service).remove()
    if service.shared_job_files is not None:
        try:
            service.shared_job_files.remove(job.id)
        except BucketError as error:  # the next garbage collection deletes them
            _LOG.warning("the files of the deleted job %s remain: %s", job.id, error)


@router.get(
    "/jobs/{job}/metrics", summary="Get the losses of a training", responses=documented(*_BAD_ID)
)
def get_job_metrics(
    job: TheJob,
    service: TheService,
    after: Annotated[int, Query(ge=0, le=_LARGEST, description="only epochs after this one")] = 0,
    points: Annotated[
        int, Query(ge=2, le=10_000, description="the most rows, evenly spaced")
    ] = 2000,
) -> MetricsRows:
    """Return one row per evaluated epoch.

    Longer series are thinned to `points` rows, which include the first and the last.
    """
    rows = service.job_metrics.rows(job.id, after, points)
    return MetricsRows(data=[MetricsRow(**row) for row in rows])


@router.get(
    "/jobs/{job}/logs",
    summary="Get the log of a job",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Part of the log."},
        **documented(*_BAD_ID),
    },
)
def get_job_logs(
    job: TheJob,
    service: TheService,
    offset: Annotated[
        int | None, Query(ge=0, lt=2**63, description="the first byte to return")
    ] = None,
    tail: Annotated[
        int | None, Query(ge=0, le=_LOG_BYTES, description="return only this many last bytes")
    ] = None,
) -> Response:
    """Return up to 1 MiB of the output of a job's process, as UTF-8.

    `X-Log-Offset` is the position of this part, and `X-Log-Size` the size of the log, in bytes. To
    follow a log, request `offset` = `X-Log-Offset` + the length of this part next. The log of
    another host comes from the bucket, some seconds later.
    """
    size, start, content = read_log(job, service, offset, tail)
    headers = {
        "X-Log-Size": str(size),
        "X-Log-Offset": str(start),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


def read_log(
    job: Job, service: Service, offset: int | None, tail: int | None
) -> tuple[int, int, bytes]:
    """Return the size of a job's log, and the offset and the bytes of the requested part.

    The log is read on this host if all attempts ran here, and otherwise in the bucket. If the
    bucket fails, the part of this host is returned; raises `BucketError` if there is none.
    """
    folder, shared = _folder(job, service), service.shared_job_files
    if shared is not None and not folder.logged_attempts().issuperset(range(1, job.attempt + 1)):
        try:
            log = shared.log(job.id)
            if not log.attempts <= folder.logged_attempts():
                return log.read(offset, tail, _LOG_BYTES)
        except BucketError as error:
            if not folder.log.exists():
                raise
            _LOG.warning("the log of job %s is that of this host only: %s", job.id, error)
    return _read_log(folder, offset, tail)


def _read_log(folder: JobFolder, offset: int | None, tail: int | None) -> tuple[int, int, bytes]:
    """Return the size of a log, and the offset and the bytes of the requested part."""
    try:
        log = folder.log.open("rb")
    except FileNotFoundError:  # the job has not started, or runs on another host
        return 0, 0, b""
    with log:
        size = log.seek(0, 2)
        start = min(size, offset or 0)
        if tail is not None:
            start = max(start, size - tail)
        log.seek(start)
        return size, start, log.read(_LOG_BYTES)


def _folder(job: Job, service: Service) -> JobFolder:
    return JobFolder.of(service.settings.home, job.id)


def _document(job: Job, service: Service) -> JobDocument:
    return describe_jobs([job], service)[0]


def describe_jobs(
    found: Sequence[Job], service: Service, *, in_list: bool = False
) -> list[JobDocument]:
    """Return the documents of jobs, with few queries for all of them."""
    here = service.capacity
    queued = [job for job in found if job.state == "queued"]
    waits = service.queue.waits(queued, host=here.host, slots=here.slots)
    last = service.job_metrics.last_rows([job.id for job in found])
    documents: list[JobDocument] = []
    for job in found:
        if job.state == "queued" and job.id not in waits:  # a worker has claimed it since the read
            documents += describe_jobs([service.queue.get(job.id)], service, in_list=in_list)
            continue
        place, row = waits.get(job.id), last.get(job.id)
        links = KINDS[job.kind].links(job)
        documents.append(document_of(job, links, waits=place, last=row, in_list=in_list))
    return documents


_STREAM = "text/event-stream"
_EVENT = {  # the schema of an event
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "the event's number; `end` has none"},
        "event": {"enum": ["state", "progress", "metrics", "end"]},
        "data": {"type": "string", "description": "a JSON object"},
    },
    "required": ["event", "data"],
}


@router.get(
    "/jobs/{job}/events",
    summary="Follow the events of a job",
    response_class=Response,
    responses={
        200: {
            "model": EventPage,
            "content": {_STREAM: {"schema": _EVENT}},
            "description": "Server-sent events until the job ends; or, for `Accept: "
            "application/json`, a page of the events so far.",
        },
        **documented("not-found", "invalid-request", "rate-limited"),
    },
)
async def follow_job(
    job: TheJob,
    service: TheService,
    caller: JobsWriter,
    request: Request,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=_LARGEST, description="the id of the last event received")
    ] = None,
    after: Annotated[int, Query(ge=0, le=_LARGEST, description="the same as `Last-Event-ID`")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="the size of a page")] = 500,
) -> Any:
    """Stream the events of a job after `Last-Event-ID`. Each has an `id`, a type and JSON data.

    The types are `state` (state, reason, attempt), `progress`, `metrics` (rows, one per evaluated
    epoch) and finally `end` (state, reason), without an id. Comments serve as heartbeats. A stream
    ends without `end` if its key is revoked or expires, or if the service stops.
    """
    start = after if last_event_id is None else last_event_id
    if _wants_page(request.headers.get("accept", "")):
        page = await run_in_threadpool(_page, job.id, start, limit, service)
        return Response(page.model_dump_json(), media_type="application/json")
    if is_head(request.scope):
        return Response(media_type=_STREAM)
    authorization = request.state.authorization  # of a header, or of a session

    async def may_follow() -> bool:  # revoking a key ends its streams
        try:
            return (await service.access.caller(authorization)).owns(job.owner)
        except ProblemError:
            return False
        except SQLAlchemyError:  # the next read reports the error
            return True

    return EventStream(service.streams, job.id, start, caller.owner, may_follow)


def _page(job: str, after: int, limit: int, service: Service) -> EventPage:
    now = service.queue.get(job)  # first, so that the events include its last one
    events = service.events.after(job, after, limit + 1)
    page = events[:limit]
    last = page[-1].seq if page else after
    return EventPage(
        data=[
            EventDocument(seq=e.seq, at=instant(e.at), type=e.type, data=dict(e.data)) for e in page
        ],
        has_more=len(events) > limit,
        next=last,
        ended=now.has_ended and last >= now.last_event,
    )


def _wants_page(accept: str) -> bool:
    """Return whether an Accept header asks for JSON, and not for a stream."""
    kinds = {kind.partition(";")[0].strip().lower() for kind in accept.split(",")}
    return "application/json" in kinds and _STREAM not in kinds
