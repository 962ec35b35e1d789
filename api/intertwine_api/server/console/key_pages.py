"""The pages of keys, for admins: the list, a key that was just created, and one to revoke."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from intertwine.errors import InvalidSetting
from pydantic import StringConstraints
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import Admin
from intertwine_api.server.console.forms import TOKEN
from intertwine_api.server.console.shell import base_of, render, render_problem
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import MOST_DAYS, Caller, Key, expiry, new_id
from intertwine_api.wire.jobs import instant
from intertwine_api.wire.names import Line
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import ALLOWED_BY, MOST_PRIORITY, USER_SCOPES
from intertwine_api.work.key_changes import create_key, revoke_key

router = APIRouter(include_in_schema=False)

_PAGE = 100  # keys
_MOST_SKIPPED = 100_000
_LAST_SECOND = 253_402_300_799.0  # of the year 9999, the last of a `datetime`
KeyId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{16}$"), Path(description="the id of a key")
]


@dataclass(frozen=True)
class _Row:
    """A key as a page shows it: its state now, and its times."""

    key: Key
    state: str
    is_own: bool
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    revoked: datetime | None

    @classmethod
    def of(cls, key: Key, caller: Caller) -> _Row:
        """Return the row of a key for a caller."""
        ends = (_instant(at) for at in (key.expires, key.last_used, key.revoked))
        return cls(
            key, key.state(time.time()), key.id == caller.key_id, instant(key.created), *ends
        )


def _instant(at: float | None) -> datetime | None:
    return None if at is None else instant(min(at, _LAST_SECOND))


@router.get("/keys", response_class=HTMLResponse)
def show_keys(
    request: Request,
    service: TheService,
    caller: Admin,
    owner: Annotated[Line, Query(description="only the keys of this owner")] = "",
    skip: Annotated[int, Query(ge=0, le=_MOST_SKIPPED)] = 0,
) -> HTMLResponse:
    """Return a page of keys, those that are active first, and the form of a new one."""
    return render(request, "keys.html", _list(service, caller, owner=owner, skip=skip))


def _list(
    service: Service,
    caller: Caller,
    fields: Mapping[str, Any] | None = None,
    *,
    owner: str = "",
    skip: int = 0,
) -> dict[str, Any]:
    """Return the values of the page of keys, with the fields of a form that was refused."""
    found = service.keys.page(owner=owner or None, skip=skip, limit=_PAGE + 1)
    has_keys = service.keys.any()
    key_id = new_id()
    filters = {"owner": owner} if owner else {}
    scopes = USER_SCOPES if has_keys else ("admin",)  # without it, nobody could use this page again
    return {
        "rows": [_Row.of(key, caller) for key in found[:_PAGE]],
        "owner": owner,
        "following": urlencode({**filters, "skip": skip + _PAGE}) if len(found) > _PAGE else "",
        "first": urlencode(filters) if skip else None,
        "has_keys": has_keys,
        "may_create": has_keys or service.settings.on_loopback,
        "scopes": ALLOWED_BY,
        "fields": fields or {"owner": "", "scopes": scopes, "days": "", "priority": "0"},
        "most_days": MOST_DAYS,
        "most_priority": MOST_PRIORITY,
        "problem": None,
        "new_id": key_id,
        "token_field": TOKEN,
        "token": service.form_tokens.token(caller.key_id, _creating(key_id)),
    }


@router.post("/keys/{key_id}", response_class=HTMLResponse)
async def create(
    request: Request, key_id: KeyId, service: TheService, caller: Admin
) -> HTMLResponse:
    """Create the key that a form of the list describes, and show it this once.

    The form has the id of the new key, so that the same form creates one key however often it is
    sent, on every host and after restarts.
    """
    form = await service.form_tokens.read(request, caller.key_id, _creating(key_id))
    fields = {
        "owner": form.text("owner").strip(),
        "scopes": form.get("scope", []),
        "days": form.text("days").strip(),
        "priority": form.text("priority").strip(),
    }
    await run_in_threadpool(_require_current, service, caller)
    try:
        return await run_in_threadpool(_create, request, service, caller, key_id, fields)
    except (InvalidSetting, ProblemError) as error:
        values = await run_in_threadpool(_list, service, caller, fields)
        return render_problem(request, "keys.html", values, error)


def _create(
    request: Request, service: Service, caller: Caller, key_id: str, fields: Mapping[str, Any]
) -> HTMLResponse:
    if not (service.settings.on_loopback or service.keys.any()):
        raise ProblemError.of(
            "forbidden",
            "everybody on the network can open this page, so it does not create the first key: use "
            "`intertwine keys create OWNER --scope admin` on the service's machine",
        )
    days = _days(fields["days"])
    expires = None if days is None else expiry(days)
    priority = _priority(fields["priority"])
    made = create_key(
        service.keys, caller, fields["owner"], fields["scopes"], expires, priority, key_id
    )
    service.access.forget()  # from the first key on, one is required at once
    values = {"created": made, "row": _Row.of(made.key, caller)}
    return render(request, "key_created.html", values, status=201)


def _days(text: str) -> float | None:
    """Return the days of a field; None if it is empty. Raises `InvalidSetting`."""
    try:
        return float(text) if text else None
    except ValueError as error:
        raise InvalidSetting(
            f"the days until a key expires cannot be {text[:100]!r}: give a number, or none for a "
            f"key that does not expire"
        ) from error


def _priority(text: str) -> int:
    try:
        return int(text or "0")
    except ValueError as error:
        raise InvalidSetting(
            f"the highest priority of a key cannot be {text[:100]!r}: give a whole number from "
            f"{-MOST_PRIORITY} to {MOST_PRIORITY}"
        ) from error


@router.get("/keys/{key_id}", response_class=HTMLResponse)
def show_key(request: Request, key_id: KeyId, service: TheService, caller: Admin) -> HTMLResponse:
    """Return the page of a key: what it allows, and the form that revokes it."""
    key = service.keys.get(key_id)
    if key is None:
        raise ProblemError.of("not-found", f"there is no key {key_id}: the list has all keys")
    values = {
        "row": _Row.of(key, caller),
        "scopes": ALLOWED_BY,
        "is_last_admin": "admin" in key.scopes and not service.keys.has_other_admin(key_id),
        "token_field": TOKEN,
        "token": service.form_tokens.token(caller.key_id, _revoking(key_id)),
    }
    return render(request, "key.html", values)


@router.post("/keys/{key_id}/revoke", response_class=Response)
async def revoke(request: Request, key_id: KeyId, service: TheService, caller: Admin) -> Response:
    """Revoke a key permanently, for the form of its page. Redirects to the page."""
    await service.form_tokens.read(request, caller.key_id, _revoking(key_id))
    await run_in_threadpool(_require_current, service, caller)
    if not await run_in_threadpool(partial(revoke_key, service.keys, caller, key_id)):
        detail = f"there is no active key {key_id}: the list shows which keys are active"
        raise ProblemError.of("not-found", detail)
    service.access.forget()
    address = f"{base_of(request.scope)}keys/{key_id}"
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})


def _require_current(service: Service, caller: Caller) -> None:
    """Raise `ProblemError` with ``unauthorized`` if the service has a key since a moment ago.

    Callers without a key are served for some seconds more, and may not change keys meanwhile.
    """
    if caller.key_id is None and service.keys.any():
        raise ProblemError.of("unauthorized", "the service requires a key now: log in with it")


def _creating(key_id: str) -> str:
    return f"create key {key_id}"


def _revoking(key_id: str) -> str:
    return f"revoke key {key_id}"
