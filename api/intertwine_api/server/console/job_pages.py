"""The pages of jobs: the list, and a job with its progress, losses, settings and log."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import JobsWriter
from intertwine_api.server.console.forms import TOKEN
from intertwine_api.server.console.job_settings import settings_of, text_of
from intertwine_api.server.console.loss_curves import (
    TheCurveOptions,
    has_pictures,
    picture_address,
)
from intertwine_api.server.console.question import explorer_address
from intertwine_api.server.console.shell import base_of, render
from intertwine_api.server.routes.jobs import (
    TheJob,
    cancel_job,
    get_job,
    list_jobs,
    read_log,
    retry_job,
)
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.bucket import BucketError
from intertwine_api.wire.jobs import JobDocument
from intertwine_api.wire.names import Line
from intertwine_api.wire.vocabulary import ENDED, KINDS, STATES, Kind, State, duration
from intertwine_api.work.job import Job

router = APIRouter(include_in_schema=False)

_LOG = logging.getLogger("intertwine.service")
_PAGE = 50  # jobs
_LOG_TAIL = 2**13  # bytes
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_OF_SWEEPS = ("label", "owner")  # filters that the table of a sweep has too
_REFRESH_LIST = 5  # seconds
#: The quantities that pages show, by their name in the metrics.
MEASURED = {
    "train_loss": "Training loss",
    "validation_loss": "Validation loss",
    "test_loss": "Test loss",
    "learning_rate": "Learning rate",
}


@dataclass(frozen=True)
class Filters:
    """The filters of the list, as the form sends them: empty ones do not filter."""

    state: State | Literal[""]
    kind: Kind | Literal[""]
    label: str
    owner: str

    @property
    def query(self) -> str:
        """The filters as the query of an address."""
        return urlencode({name: text for name, text in vars(self).items() if text})


def _filters(
    state: State | Literal[""] = "",
    kind: Kind | Literal[""] = "",
    label: Annotated[Line, Query()] = "",
    owner: Annotated[Line, Query()] = "",
) -> Filters:
    return Filters(state, kind, label, owner)


@router.get("/jobs", response_class=HTMLResponse)
def show_jobs(
    request: Request,
    service: TheService,
    caller: JobsWriter,
    filters: Annotated[Filters, Depends(_filters)],
    after: Annotated[Line, Query(description="the cursor of the page")] = "",
) -> HTMLResponse:
    """Return a page of jobs, the newest first, with the place of those that wait."""
    page = list_jobs(
        service,
        caller,
        limit=_PAGE,
        after=after or None,
        state=filters.state or None,
        kind=filters.kind or None,
        label=filters.label or None,
        owner=filters.owner or None,
    )
    query = filters.query
    following = urlencode({"after": page.next}) if page.next is not None else ""
    values = {
        "jobs": page.data,
        "summaries": {job.id: summary_of(job) for job in page.data},
        "filters": filters,
        "states": STATES,
        "kinds": KINDS,
        "sees_all": caller.is_admin,
        "is_first": not after,
        "sweep": urlencode({n: v for n, v in vars(filters).items() if v and n in _OF_SWEEPS}),
        "first": query,
        "following": "&".join(filter(None, (query, following))) if following else "",
        "refresh": _REFRESH_LIST if any(job.state not in ENDED for job in page.data) else 0,
    }
    return render(request, "jobs.html", values)


@dataclass(frozen=True)
class Summary:
    """What a page says of a job's state and progress. `fraction` is None while unknown."""

    state: str
    why: str
    fraction: float | None
    epochs: str
    left: str


def summary_of(job: JobDocument) -> Summary:
    """Return a job's state in words: why it waits, its stage and losses, or why it ended."""
    progress, why, left = job.progress, job.reason, ""
    fraction: float | None = progress.get("fraction")
    if job.queue is not None:
        why = f"number {job.queue.position} in the queue: {job.queue.why}"
    elif job.state == "running":
        why = str(progress.get("stage") or "starting")
        if progress.get("eta_seconds") is not None:
            left = duration(progress["eta_seconds"])
    elif job.state == "failed" and job.problem is not None:
        why = str(job.problem["detail"]).partition("\n")[0]
    epoch, epochs = progress.get("epoch"), progress.get("epochs")
    if job.state == "succeeded":
        fraction = 1.0
    elif job.state in ("queued", "leased"):
        fraction = None
    elif epochs:
        fraction = (epoch or 0) / epochs
    of = f"{epoch or 0:,} of {epochs:,}" if epochs else ""
    return Summary(job.state, why, fraction, of, left)


@router.get("/jobs/{job}", response_class=HTMLResponse)
def show_job(
    request: Request,
    job: TheJob,
    service: TheService,
    caller: JobsWriter,
    curves: TheCurveOptions,
) -> HTMLResponse:
    """Return a job's page: state, progress, losses, result, settings and the end of its log."""
    document = get_job(job, service)
    settings, more_settings = settings_of(document.request)
    latest = service.job_metrics.latest(job.id)
    has_losses = document.metrics.last is not None
    values = {
        "job": document,
        "summary": summary_of(document),
        "ran": _ran(document),
        "token_field": TOKEN,
        "token": service.form_tokens.token(caller.key_id, job.id),
        "losses": [(label, *latest[name]) for name, label in MEASURED.items() if name in latest],
        "picture": picture_address([document], curves) if has_losses and has_pictures() else "",
        "curves": curves,
        "has_pictures": has_pictures(),
        "result": _result(document),
        "explorer": explorer_address(document.request) if document.kind == "solve" else "",
        "settings": settings,
        "more_settings": more_settings,
        "log": _log_tail(job, service),
        "warnings": _warnings(document),
    }
    return render(request, "job.html", values)


def _ran(job: JobDocument) -> str:
    """Return how long a job has run, in words; empty if it has not started."""
    if job.started is None:
        return ""
    until = job.ended if job.ended is not None else datetime.now(UTC)
    return duration(max(0.0, (until - job.started).total_seconds()))


def _warnings(job: JobDocument) -> list[str]:
    found = [*job.progress.get("warnings", ()), *(job.result or {}).get("warnings", ())]
    return list(dict.fromkeys(map(str, found)))


def _result(job: JobDocument) -> dict[str, str]:
    """Return the values of a result by their names, in words."""
    if job.result is None:
        return {}
    shown = {name: value for name, value in job.result.items() if value is not None}
    return {
        name.replace("_", " "): _words(value) for name, value in shown.items() if name != "warnings"
    }


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else text_of(value)


@dataclass(frozen=True)
class _LogTail:
    """The end of a log: its text, the size of the whole log, and why it is missing, if it is."""

    text: str = ""
    size: int = 0
    is_cut: bool = False
    why_missing: str = ""


def _log_tail(job: Job, service: Service) -> _LogTail:
    try:
        size, start, content = read_log(job, service, None, _LOG_TAIL)
    except BucketError as error:
        _LOG.warning("the log of job %s cannot be read: %s", job.id, error)
        return _LogTail(why_missing="The log cannot be read now, because the bucket fails.")
    text = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    if start:  # the first line is not whole
        text = text.partition("\n")[2]
    return _LogTail(_CONTROL.sub("", text), size, start > 0)


@router.post("/jobs/{job}/{action}", response_class=Response)
async def act_on_job(
    request: Request,
    job: TheJob,
    action: Literal["cancel", "retry"],
    service: TheService,
    caller: JobsWriter,
) -> Response:
    """Cancel a job, or queue it again, for a form of its page. Redirects to the page."""
    await service.form_tokens.read(request, caller.key_id, job.id)
    act = cancel_job if action == "cancel" else retry_job
    await run_in_threadpool(act, job, service, caller)
    address = f"{base_of(request.scope)}jobs/{job.id}"
    return Response(status_code=303, headers={"Location": address, "Cache-Control": "no-store"})
