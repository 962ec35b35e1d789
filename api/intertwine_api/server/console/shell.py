"""The shell of all pages: templates, navigation, stylesheet and script, and relative addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import intertwine
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from intertwine.errors import IntertwineError
from intertwine.scanner import superscript
from intertwine.training.recipe.framework import framework_named
from intertwine_cache.manifest import is_digest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.types import Scope

from intertwine_api.server.middleware import path_of
from intertwine_api.wire.problems import ProblemError, from_error

router = APIRouter(include_in_schema=False)

_HERE = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_A_YEAR = "public, max-age=31536000, immutable"

#: The action of the form that ends a session.
LOG_OUT = "log out"

#: The pages of the navigation: the address without its leading slash, and the name.
NAVIGATION = (
    ("", "Explorer"),
    ("groups", "Groups"),
    ("jobs", "Jobs"),
    ("models", "Models"),
    ("datasets", "Datasets"),
    ("cache", "Cache"),
    ("keys", "Keys"),
    ("system", "System"),
    ("docs", "API"),
)


@lru_cache
def _assets() -> dict[str, tuple[str, bytes]]:
    """Return the static files by the name in their address, with media type and content.

    The name has a hash of the content: browsers may cache a file permanently, because a new version
    has a new address.
    """
    found = {}
    for path in sorted((_HERE / "static").iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:12]
        found[f"{path.stem}.{digest}{path.suffix}"] = (_TYPES[path.suffix], content)
    return found


@lru_cache
def _asset_names() -> dict[str, str]:
    """Return the name in its address of each static file, by the file's own name."""
    parts = (name.split(".") for name in _assets())
    return {f"{stem}.{suffix}": f"{stem}.{digest}.{suffix}" for stem, digest, suffix in parts}


@router.get("/static/{name}")
async def get_asset(name: str) -> Response:
    """Return a static file of the pages."""
    if name not in _assets():
        raise ProblemError.of("not-found", f"there is no static file {name}: reload the page")
    media_type, content = _assets()[name]
    return Response(content, media_type=media_type, headers={"Cache-Control": _FOR_A_YEAR})


def _number(value: float) -> str:
    return f"{value:,}"


def _bytes(size: float) -> str:
    """Return a size as 12 kB or 3.4 MB."""
    for unit in ("byte" if size == 1 else "bytes", "kB", "MB", "GB"):
        digits = float(f"{size:.3g}")
        if digits < 1000:
            return f"{digits:g} {unit}"
        size /= 1000
    return f"{float(f'{size:.3g}'):,.12g} TB"


def about(value: float) -> str:
    """Return a large number to two digits, in words: 630,000, 1.2 million, 5 × 10¹⁵."""
    digits = float(f"{value:.2g}")
    if digits < 1e6:
        return f"{digits:,.0f}"
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if size <= digits < 1000 * size:
            return f"{digits / size:.3g} {name}"
    mantissa, _, exponent = f"{digits:.1e}".partition("e+")
    power = f"10{superscript(int(exponent))}"
    return power if mantissa == "1.0" else f"{mantissa.removesuffix('.0')} × {power}"


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"number": _number, "bytes": _bytes, "about": about}
    environment.filters["framework"] = lambda name: framework_named(name).title
    environment.tests["digest"] = is_digest
    environment.globals["version"] = intertwine.__version__
    environment.globals["navigation"] = NAVIGATION
    environment.globals["assets"] = _asset_names()
    return environment


def base_of(scope: Scope) -> str:
    """Return the address of the service's root, as a page links to it.

    It is relative to the page, so that pages work under any path of a proxy, also one that the
    service does not know; with `INTERTWINE_ROOT_PATH` it is that path.
    """
    root = scope.get("root_path", "").rstrip("/")
    if root:
        return f"{root}/"
    return "../" * (path_of(scope).count("/") - 1) or "./"


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a page. All values are escaped; browsers may not store it."""
    path = path_of(request.scope).strip("/")
    page = _environment().get_template(template)
    content = page.render(
        base=base_of(request.scope), current=path, logout=_logout_token(request), **values
    )
    body = content.encode("utf-8", "backslashreplace")  # a name may have a lone surrogate
    return HTMLResponse(body, status, headers={"Cache-Control": "no-store", **(headers or {})})


def _logout_token(request: Request) -> str:
    """Return the token of the form that ends the session; empty without a session."""
    service = request.app.state.service if "app" in request.scope else None
    if service is None or not hasattr(service, "sessions"):  # the service has not started
        return ""
    key_id = service.sessions.key_id_of(request.cookies)
    return "" if key_id is None else service.form_tokens.token(key_id, LOG_OUT)


def render_problem(
    request: Request, template: str, values: Mapping[str, Any], error: Exception
) -> HTMLResponse:
    """Return a page with an error of the library or of the service as its `problem`.

    The status is that of the problem.
    """
    if isinstance(error, ProblemError):
        problem, headers = error.problem, error.headers
    else:
        assert isinstance(error, IntertwineError)
        problem, headers = from_error(error), {}
    request.state.problem_code = problem.code  # for the log of failed requests
    shown = {**values, "problem": problem.model_dump()}
    return render(request, template, shown, status=problem.status, headers=headers)


def may_start_work(request: Request) -> bool:
    """Whether the user asked for the page: by a click in the console, a bookmark or the address.

    A link from another site opens the page, which solves only after a click. Browsers that prefetch
    a page start no solve either.
    """
    site = request.headers.get("sec-fetch-site")
    is_prefetch = "prefetch" in request.headers.get("sec-purpose", "")
    return not is_prefetch and site in (None, "same-origin", "none")
