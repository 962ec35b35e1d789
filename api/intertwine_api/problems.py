"""Errors over HTTP: RFC 9457 problem documents, each with a stable code."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from intertwine.errors import IntertwineError, ParseError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path

_LOG = logging.getLogger("intertwine.service")
_FAULTS = 20  # how many faults of a request are told, each in so many characters
_TOLD = 200
MEDIA_TYPE = "application/problem+json"
SAFETENSORS = "application/vnd.safetensors"

#: Every code, its HTTP status and its title. The library's own errors keep their codes.
CODES: dict[str, tuple[int, str]] = {
    "syntax": (422, "A text could not be read"),
    "invalid-group": (422, "The generators of a group cannot be used"),
    "invalid-rep": (422, "The rep cannot be built"),
    "not-concrete": (422, "The rep has no group"),
    "unknown-method": (422, "There is no such method or backend"),
    "unavailable": (422, "The backend or device is not available here"),
    "method-not-applicable": (422, "The method cannot solve this rep"),
    "too-large": (422, "The request is larger than what is solved"),
    "too-costly": (422, "The solve would cost more than this service spends"),
    "ambiguous-rank": (422, "The rank is ambiguous"),
    "no-irreps": (422, "The rep is not seen to be a sum of irreps"),
    "rounded-generators": (422, "The generators were rounded"),
    "not-converged": (422, "The iteration did not converge"),
    "solve": (500, "The result failed its check"),
    "format": (422, "The data are not in the documented format"),
    "invalid-request": (422, "The request does not have the documented form"),
    "malformed": (400, "The request body could not be read"),
    "unauthorized": (401, "The request names no key that is known here"),
    "forbidden": (403, "The key does not allow this"),
    "not-found": (404, "There is no such thing here"),
    "method-not-allowed": (405, "The address does not take this method"),
    "wrong-state": (409, "It is not in a state for this"),
    "name-taken": (409, "The name belongs to somebody else"),
    "unsupported-media-type": (415, "The body is of a type that is not read here"),
    "idempotency-conflict": (422, "The idempotency key belongs to another request"),
    "body-too-large": (413, "The request body is too large"),
    "range-not-satisfiable": (416, "The range lies outside of the data"),
    "out-of-time": (422, "The work took longer than it may"),
    "out-of-memory": (422, "The work took more memory than it may"),
    "non-finite-loss": (422, "The training left the finite numbers"),
    "not-equivariant": (422, "The map is not equivariant"),
    "invalid-setting": (422, "A setting cannot be used"),
    "worker-died": (500, "The process that did the work died"),
    "disk-full": (507, "There is no room on the disk"),
    "rate-limited": (429, "Too many requests"),
    "too-many-jobs": (429, "Too many of the owner's jobs are unfinished"),
    "busy": (429, "More waits already than can be done soon"),
    "not-kept": (507, "The basis was found, and the store could not keep it"),
    "queue-full": (503, "Too many solves are waiting"),
    "not-ready": (503, "The service is not ready"),
    "internal": (500, "Something went wrong here"),
}


class Problem(BaseModel):
    """A problem document (RFC 9457). `code` is stable; `detail` is for people."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="the address of the code's documentation")
    title: str
    status: int
    code: str
    detail: str

    @classmethod
    def of(cls, code: str, detail: str, **extensions: Any) -> Problem:
        """The problem of a code, with its status and title."""
        status, title = CODES[code]
        return cls(
            type=f"/problems#{code}",
            title=title,
            status=status,
            code=code,
            detail=detail,
            **extensions,
        )


class ProblemError(Exception):
    """Raised where a request ends in a problem."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.detail)
        self.problem, self.headers = problem, dict(headers or {})


def from_error(error: IntertwineError) -> Problem:
    """The problem of one of the library's errors; a syntax error also says where."""
    notes = " ".join(getattr(error, "__notes__", ()))
    detail = f"{error} {notes}".strip()
    code = error.code if error.code in CODES else "internal"
    if isinstance(error, ParseError):
        return Problem.of(
            code, detail, offset=error.offset, expected=error.expected, caret=error.caret
        )
    return Problem.of(code, detail)


def of_database(error: Exception) -> Problem:
    """The problem of a database that cannot be used just now."""
    if "disk is full" in str(error):
        return Problem.of("disk-full", "the disk of the database is full: make room there")
    return Problem.of("not-ready", "the database cannot be used just now; the log says why")


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response of a problem."""
    document = printable(problem.model_dump())
    return JSONResponse(
        document, problem.status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def printable(value: Any) -> Any:
    """The document without lone surrogates, which JSON can say and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {printable(key): printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    return value


#: What may be wrong with a request, and what may end the work that it asks for.
READING = (
    "syntax", "invalid-group", "invalid-rep", "not-concrete", "unknown-method", "unavailable",
    "too-large", "invalid-request", "malformed", "body-too-large",
)  # fmt: skip
SOLVING = (
    "method-not-applicable", "no-irreps", "too-costly", "ambiguous-rank", "rounded-generators",
    "not-converged", "solve",
    "out-of-time", "out-of-memory", "worker-died", "not-kept", "queue-full", "not-ready",
    "internal",
)  # fmt: skip


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may end in these problems."""
    by_status: dict[int | str, list[str]] = {}
    for code in codes:
        by_status.setdefault(CODES[code][0], []).append(code)
    return {
        status: {
            "description": ", ".join(f"`{code}`" for code in listed),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, listed in by_status.items()
    }


def _allowed(app: FastAPI, path: str) -> list[str]:
    """The methods of an address: of all its routes, of which the one that refused knows its own."""
    paths = app.openapi()["paths"]
    fitting = [template for template in paths if compile_path(template)[0].match(path)]
    closest = max(fitting, key=len, default=None)  # {key}:project fits {key} too
    allowed = {method.upper() for method in paths.get(closest, ())}
    return sorted(allowed | ({"HEAD"} if "GET" in allowed else set()))


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem document."""
    # here, because a process that solves has problems, and no database
    from sqlalchemy.exc import InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as NoConnection

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> JSONResponse:
        return respond(error.problem, error.headers)

    @app.exception_handler(IntertwineError)
    async def _library(request: Request, error: IntertwineError) -> JSONResponse:
        return respond(from_error(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = error.errors()
        faults = [
            {"where": "/".join(map(str, fault["loc"]))[:_TOLD], "what": fault["msg"][:_TOLD]}
            for fault in errors[:_FAULTS]
        ]
        malformed = any(fault["type"] == "json_invalid" for fault in errors)
        detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
        code = "malformed" if malformed else "invalid-request"
        return respond(Problem.of(code, detail, faults=faults))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        codes = {
            404: "not-found",
            405: "method-not-allowed",
            400: "malformed",
            416: "range-not-satisfiable",
        }
        code = codes.get(error.status_code, "internal")
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(app, request.url.path))
        return respond(Problem.of(code, str(error.detail)), headers)

    @app.exception_handler(InterfaceError)
    @app.exception_handler(OperationalError)
    @app.exception_handler(NoConnection)
    async def _database(request: Request, error: Exception) -> JSONResponse:
        _LOG.error("the database cannot be used: %s", error)
        return respond(of_database(error), {"Retry-After": "5"})

    @app.exception_handler(OSError)
    async def _disk(request: Request, error: OSError) -> JSONResponse:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        return respond(Problem.of("disk-full", "the disk of the service is full: make room there"))

    @app.exception_handler(ClientDisconnect)
    async def _left(request: Request, error: ClientDisconnect) -> JSONResponse:
        return respond(Problem.of("malformed", "the body ended too soon"))  # nobody hears it

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        problem = Problem.of("internal", "an unexpected error; the log of the service has it")
        return respond(problem, {"Connection": "close"})
