"""The pages to log in with an API key, and to log out."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.console.forms import TOKEN, read_form
from intertwine_api.server.console.shell import LOG_OUT, base_of, render, render_problem
from intertwine_api.server.service import Service, TheService
from intertwine_api.server.sessions import SESSION_SECONDS
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.logs import audit

router = APIRouter(include_in_schema=False)

_FORM_COOKIE = "intertwine_form"


@router.get("/login", response_class=HTMLResponse)
async def show_login(
    request: Request,
    service: TheService,
    after: Annotated[str, Query(description="the page to open after the login")] = "/",
) -> HTMLResponse:
    """Return the form for a key."""
    return await _form(request, service, after)


@router.post("/login", response_class=HTMLResponse)
async def log_in(request: Request, service: TheService) -> Response:
    """Check a key, and begin a session: a cookie that scripts cannot read."""
    fields = await read_form(request)
    after, key = fields.text("after", "/"), fields.text("key").strip()
    sent = request.cookies.get(_FORM_COOKIE, "")
    try:
        if not sent or not _equal(sent, fields.text(TOKEN)):
            detail = (
                "the form has expired, or the browser blocks cookies: allow them, and try again"
            )
            raise ProblemError.of("forbidden", detail)
        service.logins.require("all")
        caller = await service.access.caller(f"Bearer {key}")
    except ProblemError as error:
        return await _form(request, service, after, error)
    if caller.key_id is None:  # the service asks for no key
        return RedirectResponse(_address(request, after), 303)
    await run_in_threadpool(audit, "console login", caller)
    answer = RedirectResponse(_address(request, after), 303)
    _set_cookie(answer, request, service.sessions.cookie, service.sessions.encrypt(key))
    answer.delete_cookie(_FORM_COOKIE, path=_path(request))
    return answer


@router.post("/logout", response_class=HTMLResponse)
async def log_out(request: Request, service: TheService) -> Response:
    """End the session of the browser."""
    key_id = service.sessions.key_id_of(request.cookies)
    if key_id is not None:
        await service.form_tokens.read(request, key_id, LOG_OUT)
    answer = RedirectResponse(_address(request, "/system"), 303)
    answer.delete_cookie(service.sessions.cookie, path=_path(request))
    return answer


async def _form(
    request: Request, service: Service, after: str, error: ProblemError | None = None
) -> HTMLResponse:
    token = secrets.token_urlsafe(16)
    is_plain = request.url.scheme == "http" and request.url.hostname not in ("127.0.0.1", "::1")
    values = {
        "after": after,
        "token": token,
        "problem": None,
        "is_open": await service.access.is_open(),
        "is_plain": is_plain and request.url.hostname != "localhost",
    }
    if error is None:
        page = render(request, "login.html", values)
    else:
        page = render_problem(request, "login.html", values, error)
    _set_cookie(page, request, _FORM_COOKIE, token)
    return page


def _equal(a: str, b: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(a.encode(), b.encode())


def _set_cookie(answer: Response, request: Request, name: str, value: str) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=SESSION_SECONDS,
        path=_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _path(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/") or "/"


def _address(request: Request, after: str) -> str:
    """Return the address of a page of this service; that of the front page for anything else."""
    return f"{base_of(request.scope)}{after.lstrip('/') if _is_own(after) else ''}"


def _is_own(after: str) -> bool:
    """Whether an address is a path of this service."""
    if not after.startswith("/") or after.startswith("//") or "\\" in after:
        return False
    try:
        parts = urlsplit(after)
    except ValueError:  # brackets without an IPv6 address, after tabs that browsers drop
        return False
    return not (parts.scheme or parts.netloc)
