"""What happens to a job, as it happens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from intertwine_api.access import JobsWriter
from intertwine_api.job_documents import EventDocument, EventPage, instant
from intertwine_api.middleware import is_head
from intertwine_api.problems import ProblemError, documented
from intertwine_api.routes.jobs import TheJob
from intertwine_api.service import Service, TheService
from intertwine_api.streams import EventStream

router = APIRouter(prefix="/v1", tags=["jobs"])

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
