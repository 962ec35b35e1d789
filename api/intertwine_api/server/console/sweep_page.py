"""A sweep as a table: the trainings with one label, their different settings, and their losses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from intertwine_api.server.access import JobsWriter
from intertwine_api.server.console.job_pages import MEASURED, summary_of
from intertwine_api.server.console.job_settings import different_settings, text_of
from intertwine_api.server.console.shell import render
from intertwine_api.server.routes.jobs import list_jobs
from intertwine_api.server.service import Service, TheService
from intertwine_api.wire.jobs import JobDocument
from intertwine_api.wire.names import Line
from intertwine_api.wire.vocabulary import ENDED, duration

router = APIRouter(include_in_schema=False)

_MOST_JOBS = 200
_MOST_SETTINGS = 10
_REFRESH = 10  # seconds
_NAME, _STATE, _SECONDS, _ERROR = "name", "state", "seconds", "equivariance_error"
#: The columns of results, by their name in addresses. The best is the lowest, but of a rate.
_RESULTS = {**MEASURED, _ERROR: "Equivariance error", _SECONDS: "Time"}
_UNMARKED = ("learning_rate", _SECONDS)
#: By which a table is sorted if its address does not say: the first that was measured.
_PREFERRED = ("validation_loss", "test_loss", "train_loss")


@dataclass(frozen=True)
class Column:
    """A column: its name in addresses, its title, and whether it has numbers."""

    name: str
    title: str
    is_number: bool = False
    is_setting: bool = False


@dataclass(frozen=True)
class Row:
    """A training: its values by column, as text, and the columns in which it is the best."""

    job: JobDocument
    texts: dict[str, str]
    best: frozenset[str]


@dataclass(frozen=True)
class _Table:
    columns: list[Column]
    rows: list[Row]
    more_settings: int
    sorted_by: str


@router.get("/jobs/sweep", response_class=HTMLResponse)
def show_sweep(
    request: Request,
    service: TheService,
    caller: JobsWriter,
    label: Annotated[Line, Query(description="the label of the trainings")] = "",
    owner: Annotated[Line, Query(description="their owner; admins only")] = "",
    sort: Annotated[str, Query(max_length=500, description="a column")] = "",
    descending: Annotated[bool, Query(description="the largest first")] = False,
) -> HTMLResponse:
    """Return a page with the newest trainings that have a label, sorted by a column."""
    page = list_jobs(
        service, caller, limit=_MOST_JOBS, kind="train", label=label or None, owner=owner or None
    )
    table = _table(page.data, service, sort, descending)
    query = {"label": label, **({"owner": owner} if owner else {})}
    values = {
        "label": label,
        "owner": owner,
        "table": table,
        "descending": descending,
        "sees_all": caller.is_admin,
        "is_cut": page.has_more,
        "most": _MOST_JOBS,
        "addresses": {
            column.name: _address(query, column.name, table.sorted_by, descending)
            for column in table.columns
        },
        "refresh": _REFRESH if any(job.state not in ENDED for job in page.data) else 0,
    }
    return render(request, "sweep.html", values)


def _address(query: dict[str, str], name: str, sorted_by: str, descending: bool) -> str:
    """Return the address of the table sorted by a column; a second click turns the order."""
    turned = {"descending": "true"} if name == sorted_by and not descending else {}
    return f"jobs/sweep?{urlencode({**query, 'sort': name, **turned})}"


def _table(jobs: list[JobDocument], service: Service, sort: str, descending: bool) -> _Table:
    """Return the table of jobs. An unknown column sorts as none does."""
    requests = [{n: v for n, v in job.request.items() if n != "name"} for job in jobs]
    settings = different_settings(requests)
    measured = service.job_metrics.latest_values([job.id for job in jobs])
    results = [_results(job, measured.get(job.id, {})) for job in jobs]
    columns = [Column(_NAME, "Job"), Column(_STATE, "State")]
    shown = list(settings.items())[:_MOST_SETTINGS]
    columns += [
        Column(name, name.rpartition(".")[2], _are_numbers(values), is_setting=True)
        for name, values in shown
    ]
    columns += [
        Column(name, title, True)
        for name, title in _RESULTS.items()
        if any(name in found for found in results)
    ]
    exact: list[dict[str, Any]] = [
        {
            _NAME: job.name or job.id,
            _STATE: job.state,
            **{name: values[i] for name, values in shown if values[i] is not None},
            **results[i],
        }
        for i, job in enumerate(jobs)
    ]
    lowest = {
        name: min(found[name] for found in results if name in found)
        for name in _RESULTS
        if name not in _UNMARKED and sum(name in found for found in results) > 1
    }
    rows = [
        Row(job, _texts(job, values), _best(values, lowest))
        for job, values in zip(jobs, exact, strict=True)
    ]
    known = {column.name for column in columns}
    by = next((name for name in (sort, *_PREFERRED) if name in known), "")
    order = _order(exact, by, descending)
    return _Table(columns, [rows[i] for i in order], len(settings) - len(shown), by)


def _results(job: JobDocument, measured: dict[str, float]) -> dict[str, float]:
    found = {name: measured[name] for name in _RESULTS if name in measured}
    error = (job.result or {}).get(_ERROR)
    return found if error is None else {**found, _ERROR: error}


def _are_numbers(values: tuple[Any, ...]) -> bool:
    given = [value for value in values if value is not None]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)


def _texts(job: JobDocument, values: dict[str, Any]) -> dict[str, str]:
    """Return the values of a row as they are shown."""
    texts = {name: _text(name, value) for name, value in values.items()}
    summary = summary_of(job)
    return {**texts, _STATE: f"{job.state}, {summary.epochs}" if summary.epochs else job.state}


def _text(name: str, value: Any) -> str:
    if name == _SECONDS:
        return duration(value)
    return f"{value:.4g}" if isinstance(value, float) else text_of(value)


def _best(values: dict[str, Any], lowest: dict[str, float]) -> frozenset[str]:
    return frozenset(name for name, least in lowest.items() if values.get(name) == least)


def _order(rows: list[dict[str, Any]], by: str, descending: bool) -> list[int]:
    """Return the places of the rows in the order of a column: numbers before texts, and rows
    without a value last. Rows that are equal there keep their order.
    """
    if not by:
        return list(range(len(rows)))

    def key(i: int) -> tuple[bool, float, str]:
        value = rows[i][by]
        if isinstance(value, int | float):
            return False, value, ""
        return True, 0.0, value if isinstance(value, str) else json.dumps(value)

    known = [i for i, row in enumerate(rows) if by in row]
    missing = [i for i, row in enumerate(rows) if by not in row]
    return [*sorted(known, key=key, reverse=descending), *missing]
