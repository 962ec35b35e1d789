"""Jobs: handed in, listed, looked at, cancelled, tried again, and deleted."""

from __future__ import annotations

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
from intertwine_api.server.problem_responses import READING, documented
from intertwine_api.server.service import Service, TheService
from intertwine_api.server.streams import EventStream
from intertwine_api.wire.jobs import (
    EventDocument,
    EventPage,
    IdempotencyKey,
    JobDocument,
    JobName,
    JobPage,
    JobRequest,
    Line,
    MetricsRow,
    MetricsRows,
    instant,
)
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.wire.vocabulary import Kind, State
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.job import Job, document_of
from intertwine_api.work.kinds import KINDS

router = APIRouter(prefix="/v1", tags=["jobs"])

if TYPE_CHECKING:
    JobBody = JobRequest
else:  # the union of the registered kinds' requests, which FastAPI reads
    JobBody = Annotated[
        reduce(or_, (kind.request for kind in KINDS.values())),
        Body(discriminator="kind", title="Asked For"),
    ]

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
    request: JobBody,
    service: TheService,
    caller: JobsWriter,
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(description="the same request under the same key is one job"),
    ] = None,
) -> Response:
    """The job waits in the queue, is run by a process of its own, and is found at `Location`."""
    job = await service.work(service.submission.submit, request, caller, idempotency_key)
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
    kind: Annotated[Kind | None, Query(description="only of this kind")] = None,
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
    rows = service.job_metrics.rows(job.id, after, points)
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
    here, waits = service.capacity, None
    if job.state == "queued":
        waits = service.queue.waiting(job, host=here.host, slots=here.slots)
    last = service.job_metrics.last(job.id)
    if waits is not None and not waits[0]:  # it has been taken since it was read
        return _document(service.queue.get(job.id), service, in_list=in_list)
    return document_of(job, KINDS[job.kind].links(job), waits=waits, last=last, in_list=in_list)


def _documents(jobs: Sequence[Job], service: Service) -> list[JobDocument]:
    return [_document(job, service, in_list=True) for job in jobs]


_LAST = 2**31 - 1
_STREAM = "text/event-stream"
_EVENT = {  # of each event in the stream
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "the event's number; the last one has none"},
        "event": {"enum": ["state", "progress", "metrics", "end"]},
        "data": {"type": "string", "description": "an object, as JSON"},
    },
    "required": ["event", "data"],
}


@router.get(
    "/jobs/{job}/events",
    summary="Follow what happens to a job",
    operation_id="follow_job",
    response_class=Response,
    responses={
        200: {
            "model": EventPage,
            "content": {_STREAM: {"schema": _EVENT}},
            "description": "Server-sent events until the job ends; or, for `Accept: "
            "application/json`, a page of those that there are.",
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
        int | None, Header(ge=0, le=_LAST, description="the id of the last event that came")
    ] = None,
    after: Annotated[int, Query(ge=0, le=_LAST, description="the same, for whom headers fail")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many at most, on a page")] = 500,
) -> Any:
    """Each event has an `id`, a type and data as JSON; those behind `Last-Event-ID` are sent.

    The types are `state` (state, reason, attempt), `progress`, `metrics` (rows, one for each epoch
    that was evaluated) and, last and without an id, `end` (state, reason). In silence a comment
    comes now and then. A stream whose key counts no more ends without `end`.
    """
    behind = after if last_event_id is None else last_event_id
    if _wants_page(request.headers.get("accept", "")):
        page = await run_in_threadpool(_page, job.id, behind, limit, service)
        return Response(page.model_dump_json(), media_type="application/json")
    if is_head(request.scope):
        return Response(media_type=_STREAM)
    authorization = request.headers.get("authorization")

    async def may_follow() -> bool:  # a key that is revoked ends the streams that it began
        try:
            return (await service.access.caller(authorization)).owns(job.owner)
        except ProblemError:
            return False
        except SQLAlchemyError:  # the look that follows tells that the database is away
            return True

    return EventStream(service.streams, job.id, behind, caller.owner, may_follow)


def _page(job: str, after: int, limit: int, service: Service) -> EventPage:
    now = service.queue.get(job)  # first, so that its last event is among those that follow
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
    """Whether JSON is what the caller takes; whoever takes anything gets the stream."""
    kinds = {kind.partition(";")[0].strip().lower() for kind in accept.split(",")}
    return "application/json" in kinds and _STREAM not in kinds
