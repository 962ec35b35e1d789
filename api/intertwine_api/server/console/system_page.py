"""The page of the system: its health for everyone; hosts, queue, limits and errors for admins."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import intertwine
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from intertwine_api.server.access import MaybeCaller
from intertwine_api.server.console.job_settings import text_of
from intertwine_api.server.console.shell import render
from intertwine_api.server.routes.admin import list_solves, list_uploads
from intertwine_api.server.service import Service, TheService
from intertwine_api.server.system_state import QueueState, Reading, SystemState, TheSystem
from intertwine_api.wire.jobs import instant
from intertwine_api.wire.vocabulary import KINDS, STATES, duration
from intertwine_api.work.lookup import HostUse
from intertwine_api.work.settings import Settings

router = APIRouter(tags=["service"])

#: Documents of the service, by their addresses under the root.
_LINKS = (
    ("docs", "API documentation"),
    ("v1/bases", "Bases"),
    ("v1/groups", "Groups"),
    ("v1/jobs", "Jobs"),
    ("v1/models", "Models"),
    ("problems", "Problem codes"),
    ("metrics", "Metrics"),
    ("readyz", "Readiness"),
)
_LIBRARIES = ("jax", "torch", "numpy", "scipy", "sqlalchemy", "fastapi", "uvicorn")
_PARTS = ("queue", "hosts", "disks", "gpus", "store")
_ADDRESSES = ("data", "database", "objects")  # shown elsewhere; the database's has a password
_MOST = 50  # solves, or uploads


@router.get("/system", summary="Show the state of the service", response_class=HTMLResponse)
async def show_system(
    request: Request, service: TheService, system: TheSystem, caller: MaybeCaller
) -> HTMLResponse:
    """Return a page with the health of the service; for admins also with its hosts and errors.

    It is shown in an outage too: for each part that cannot be read, it shows the reason.
    """
    health, access = await asyncio.gather(system.health(), system.read("access"))
    policy = access.value
    values: dict[str, Any] = {
        "links": _LINKS,
        "health": health,
        "access": access.why_missing if policy is None else policy.summary,
        "is_admin": caller is not None and caller.is_admin,
        "has_caller": caller is not None,
    }
    if values["is_admin"]:
        values |= await _for_admins(service, system)
        values["access"] = access.why_missing if policy is None else policy.description
    return render(request, "system.html", values)


async def _for_admins(service: Service, system: SystemState) -> dict[str, Any]:
    readings = await asyncio.gather(*map(system.read, _PARTS))
    parts = dict(zip(_PARTS, readings, strict=True))
    solves, uploads = (await list_solves(service)).data, (await list_uploads(service)).data
    return {
        "parts": parts,
        "places": {
            "Database": str(service.database),
            "Datasets and weights": service.objects.address,
        },
        "kinds": KINDS,
        "states": STATES,
        "longest_wait": _longest_wait(parts["queue"]),
        "hosts": _hosts(service, parts["hosts"]),
        "executor": service.controller.executor,
        "slots": service.capacity.slots,
        "workers": service.settings.workers,
        "solves": solves[:_MOST],
        "uploads": uploads[:_MOST],
        "more_solves": max(0, len(solves) - _MOST),
        "more_uploads": max(0, len(uploads) - _MOST),
        "errors": [(instant(each.at), each) for each in service.recent_errors.newest()],
        "versions": _versions(),
        "settings": _settings(service.settings),
    }


def _longest_wait(reading: Reading) -> str:
    """Return the longest wait in the queue in words; empty if no job waits or it is unknown."""
    queue: QueueState | None = reading.value
    if queue is None or not any(queue.counts.get((kind, "queued")) for kind in KINDS):
        return ""
    return duration(queue.longest_wait)


@dataclass(frozen=True)
class _Host:
    """A row of the table of hosts. The capacity of other hosts is unknown here."""

    name: str
    is_this: bool
    held: int | None
    last: datetime | None


def _hosts(service: Service, reading: Reading) -> list[_Host]:
    """Return this host first, and then those whose jobs the database has."""
    this = service.capacity.host
    known: Mapping[str, HostUse] = {use.name: use for use in reading.value or ()}
    use = known.get(this)
    unknown = None if reading.value is None else 0
    first = _Host(this, True, use.held if use else unknown, instant(use.last) if use else None)
    others = (_Host(use.name, False, use.held, instant(use.last)) for use in known.values())
    return [first, *(host for host in others if host.name != this)]


@lru_cache
def _versions() -> dict[str, str]:
    """Return the versions of the service, of Python, of libraries, and the platform."""
    libraries = {name: version(name) for name in _LIBRARIES if find_spec(name) is not None}
    return {
        "intertwine": intertwine.__version__,
        "Python": platform.python_version(),
        **libraries,
        "platform": platform.platform(),
    }


def _settings(settings: Settings) -> list[tuple[str, str, str]]:
    """Return the variable, the value and the meaning of each setting, without addresses."""
    values = {**dict(settings), "port": str(settings.port)}  # without a separator of thousands
    return [
        (f"INTERTWINE_{name.upper()}", _value(values[name]), field.description or "")
        for name, field in Settings.model_fields.items()
        if name not in _ADDRESSES
    ]


def _value(value: Any) -> str:
    if value is None or value in ("", ()):
        return "–"
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, float):
        return f"{value:,.12g}"
    return f"{value:,}" if type(value) is int else text_of(value)
