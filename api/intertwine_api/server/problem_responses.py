"""Problems as FastAPI responses: exception handlers and documentation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from intertwine.errors import IntertwineError
from intertwine.whole_files import is_full_disk
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path

from intertwine_api.server.disconnects import ClientDisconnected
from intertwine_api.storage.bucket import BucketError, BucketUnavailable
from intertwine_api.storage.outages import is_outage
from intertwine_api.wire.problems import (
    CODES,
    MEDIA_TYPE,
    Problem,
    ProblemError,
    from_error,
    printable,
)
from intertwine_api.work.logs import REQUEST_ID

_LOG = logging.getLogger("intertwine.service")
_FAULTS = 20  # the most faults listed for a request, each cut to `_LONGEST` characters
_LONGEST = 200


def database_problem(error: Exception) -> Problem:
    """Return the problem of a database error."""
    if "disk is full" in str(error):
        return Problem.of("disk-full", "the disk of the database is full: free some space")
    return Problem.of("not-ready", "the database is unavailable: see the service's log")


def bucket_problem(error: BucketError) -> Problem:
    """Return the problem of an error of the bucket. The address of its server is only logged."""
    if isinstance(error, BucketUnavailable):
        what = "the bucket of datasets and weights is unavailable"
    else:
        what = "the bucket of datasets and weights refuses the service's credentials or address"
    return Problem.of("not-ready", f"{what}: see the service's log")


def respond(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the response of a problem, with the id of the request."""
    document = printable(problem.model_dump())
    request_id = REQUEST_ID.get()
    if request_id is not None:
        document["request_id"] = request_id
    return JSONResponse(
        document, problem.status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


#: The problems of parsing a request, and of solving it.
PARSE_PROBLEMS = (
    "syntax", "invalid-group", "invalid-rep", "not-concrete", "unknown-method", "unavailable",
    "too-large", "invalid-request", "malformed", "body-too-large", "unsupported-media-type",
)  # fmt: skip
SOLVE_PROBLEMS = (
    "method-not-applicable", "no-irreps", "too-costly", "ambiguous-rank", "rounded-generators",
    "not-converged", "solve",
    "out-of-time", "out-of-memory", "worker-died", "not-kept", "queue-full", "not-ready",
    "internal",
)  # fmt: skip


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route for these problem codes."""
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


def validation_problem(errors: Sequence[Any]) -> Problem:
    """Return the problem of pydantic's errors, with the first faults."""
    faults = [
        {"where": "/".join(map(str, fault["loc"]))[:_LONGEST], "what": fault["msg"][:_LONGEST]}
        for fault in errors[:_FAULTS]
    ]
    malformed = any(fault["type"] == "json_invalid" for fault in errors)
    detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
    code = "malformed" if malformed else "invalid-request"
    return Problem.of(code, detail, faults=faults)


def _allowed(app: FastAPI, path: str, known: str) -> list[str]:
    """Return the methods of all routes at a path, from the OpenAPI document.

    A page is not in it: then return `known`, the methods of its route.
    """
    paths = app.openapi()["paths"]
    fitting = [template for template in paths if compile_path(template)[0].match(path)]
    closest = max(fitting, key=len, default=None)  # {key}:project fits {key} too
    allowed = {method.upper() for method in paths.get(closest, ())} or {*known.split(", ")}
    return sorted(allowed | ({"HEAD"} if "GET" in allowed else set()))


def install_problem_handlers(app: FastAPI) -> None:
    """Respond to every error of the app with a problem document."""

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> JSONResponse:
        return respond(error.problem, error.headers)

    @app.exception_handler(IntertwineError)
    async def _library(request: Request, error: IntertwineError) -> JSONResponse:
        return respond(from_error(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return respond(validation_problem(error.errors()))

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
            known = headers.get("Allow", headers.get("allow", ""))
            headers["Allow"] = ", ".join(_allowed(app, request.url.path, known))
        return respond(Problem.of(code, str(error.detail)), headers)

    @app.exception_handler(DBAPIError)
    @app.exception_handler(NoConnection)
    async def _database(request: Request, error: Exception) -> JSONResponse:
        if not is_outage(error):
            raise error
        _LOG.error("the database is unavailable: %s", error)
        return respond(database_problem(error), {"Retry-After": "5"})

    @app.exception_handler(OSError)
    async def _disk(request: Request, error: OSError) -> JSONResponse:
        if isinstance(error, BucketError):
            _LOG.error("the bucket cannot be used: %s", error)
            return respond(bucket_problem(error), {"Retry-After": "5"})
        if not is_full_disk(error):
            raise error
        return respond(Problem.of("disk-full", "the disk of the service is full: free some space"))

    @app.exception_handler(ClientDisconnect)
    async def _left(request: Request, error: ClientDisconnect) -> JSONResponse:
        return respond(Problem.of("malformed", "the body is incomplete"))  # the client is gone

    @app.exception_handler(ClientDisconnected)
    async def _gone(request: Request, error: ClientDisconnected) -> Response:
        return Response(status_code=499)  # for the metrics: the client has disconnected

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        problem = Problem.of("internal", "an unexpected error occurred: see the service's log")
        return respond(problem, {"Connection": "close"})
