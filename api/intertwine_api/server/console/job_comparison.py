"""Jobs side by side: the curves of their losses in one picture, their results and settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from intertwine.training.history import Epoch, History, plot_histories

from intertwine_api.server.access import JobsWriter
from intertwine_api.server.console.job_pages import MEASURED, summary_of
from intertwine_api.server.console.job_settings import compare_settings
from intertwine_api.server.console.loss_curves import (
    CurveOptions,
    TheCurveOptions,
    has_pictures,
    picture_address,
)
from intertwine_api.server.console.pictures import picture_response, svg_of
from intertwine_api.server.console.shell import render
from intertwine_api.server.routes.jobs import describe_jobs, find_job
from intertwine_api.server.service import Service, TheService
from intertwine_api.wire.jobs import JobDocument, JobName
from intertwine_api.wire.vocabulary import ENDED, duration
from intertwine_api.work.job import Job

router = APIRouter(include_in_schema=False)

_MOST_JOBS = 8
_POINTS = 300  # of a curve: the picture has some 500 pixels
_REFRESH = 5  # seconds
_LONGEST_LABEL = 40  # characters


def _jobs(
    service: TheService,
    caller: JobsWriter,
    job: Annotated[list[JobName], Query(max_length=_MOST_JOBS)] = [],  # noqa: B006  FastAPI copies
) -> list[Job]:
    """Return the jobs that the address names, each once. Raises `ProblemError` as `find_job`."""
    return [find_job(name, service, caller) for name in dict.fromkeys(job)]


#: The jobs of the query.
TheJobs = Annotated[list[Job], Depends(_jobs)]


@dataclass(frozen=True)
class Row:
    """A row of the results: a value for each job, and which of them are the lowest."""

    name: str
    values: tuple[str, ...]
    lowest: tuple[bool, ...]


@router.get("/jobs/compare", response_class=HTMLResponse)
def compare_jobs(
    request: Request, jobs: TheJobs, service: TheService, curves: TheCurveOptions
) -> HTMLResponse:
    """Return a page that compares up to eight jobs: curves, results and settings."""
    found = describe_jobs(jobs, service)
    settings, more_settings = compare_settings([_compared(job) for job in found])
    has_losses = any(job.metrics.last is not None for job in found)
    values = {
        "jobs": found,
        "labels": _labels(found),
        "results": _results(found, service),
        "picture": picture_address(found, curves) if has_losses and has_pictures() else "",
        "curves": curves,
        "has_pictures": has_pictures(),
        "settings": settings,
        "more_settings": more_settings,
        "refresh": _REFRESH if any(job.state not in ENDED for job in found) else 0,
        "most": _MOST_JOBS,
    }
    return render(request, "comparison.html", values)


@router.get("/jobs/losses.svg")
def get_losses(jobs: TheJobs, service: TheService, curves: TheCurveOptions) -> Response:
    """Return a picture of the losses of the query's jobs, as `plot_histories` draws them."""
    labels = _labels(describe_jobs(jobs, service)) if len(jobs) > 1 else [""] * len(jobs)
    histories = tuple(_history(job, service) for job in jobs)
    return picture_response(_draw(tuple(labels), histories, curves))


def _history(job: Job, service: Service) -> tuple[Epoch, ...]:
    return History.from_json(service.job_metrics.rows(job.id, 0, _POINTS)).rows


@lru_cache(32)
def _draw(
    labels: tuple[str, ...], histories: tuple[tuple[Epoch, ...], ...], curves: CurveOptions
) -> bytes:
    """Return a picture as SVG. The last ones are kept, for everyone who watches a job."""
    named = dict(zip(labels, map(History, histories), strict=True))
    return svg_of(lambda: plot_histories(named, smooth=curves.smooth, scale=curves.scale))


def _labels(jobs: list[JobDocument]) -> list[str]:
    """Return a numbered name of each job."""
    names = (job.name or job.id for job in jobs)
    cut = (name if len(name) <= _LONGEST_LABEL else f"{name[:_LONGEST_LABEL]}…" for name in names)
    return [f"{number}. {name}" for number, name in enumerate(cut, 1)]


def _compared(job: JobDocument) -> dict[str, object]:
    """Return the settings that are compared: the request without the job's own name."""
    return {name: value for name, value in job.request.items() if name != "name"}


def _results(jobs: list[JobDocument], service: Service) -> list[Row]:
    measured = service.job_metrics.latest_values([job.id for job in jobs])
    latest = [measured.get(job.id, {}) for job in jobs]
    rows = [_words("Epoch", [summary_of(job).epochs for job in jobs])]
    times = [found.get("seconds") for found in latest]
    rows.append(_words("Time", ["" if time is None else duration(time) for time in times]))
    for name, label in MEASURED.items():
        values = [found.get(name) for found in latest]
        rows.append(_numbers(label, values, marks=name != "learning_rate"))
    errors = [(job.result or {}).get("equivariance_error") for job in jobs]
    rows.append(_numbers("Equivariance error", errors))
    return [row for row in rows if any(row.values)]


def _words(name: str, values: list[str]) -> Row:
    return Row(name, tuple(values), (False,) * len(values))


def _numbers(name: str, values: list[float | None], *, marks: bool = True) -> Row:
    known = [value for value in values if value is not None]
    lowest = tuple(marks and len(known) > 1 and value == min(known) for value in values)
    shown = tuple("" if value is None else f"{value:.4g}" for value in values)
    return Row(name, shown, lowest)
