"""Errors over HTTP: RFC 9457 problem documents, each with a stable code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intertwine.errors import IntertwineError, ParseError
from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"

#: The HTTP status and title of each code. The library's own errors keep their codes.
CODES: dict[str, tuple[int, str]] = {
    "syntax": (422, "The text has a syntax error"),
    "invalid-group": (422, "The generators of a group cannot be used"),
    "invalid-rep": (422, "The rep cannot be built"),
    "not-concrete": (422, "The rep has no group"),
    "unknown-method": (422, "Unknown method or backend"),
    "unavailable": (422, "The backend or device is not available"),
    "method-not-applicable": (422, "The method cannot solve this rep"),
    "too-large": (422, "The problem is too large to solve"),
    "too-costly": (422, "The solve is too costly for this service"),
    "ambiguous-rank": (422, "The rank is ambiguous"),
    "no-irreps": (422, "The rep could not be decomposed into irreps"),
    "rounded-generators": (422, "The generators look rounded"),
    "unproven": (422, "The invariants cannot be counted"),
    "not-converged": (422, "The iteration did not converge"),
    "solve": (500, "The result failed its check"),
    "not-sound": (422, "The basis is not that of its key"),
    "format": (422, "The data are not in the documented format"),
    "invalid-request": (422, "The request does not have the documented form"),
    "malformed": (400, "The request body could not be read"),
    "unauthorized": (401, "The request has no valid key"),
    "forbidden": (403, "The key does not allow this"),
    "origin-not-allowed": (403, "Web pages of this origin may not call the service"),
    "host-not-allowed": (421, "The service does not answer to this host"),
    "not-found": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "wrong-state": (409, "The resource is in the wrong state"),
    "ended-by-admin": (409, "An admin has ended the request"),
    "gone": (410, "The service has lost the data"),
    "name-taken": (409, "The name belongs to another owner"),
    "unsupported-media-type": (415, "Unsupported media type"),
    "idempotency-conflict": (422, "The idempotency key was used for another request"),
    "body-too-large": (413, "The request body is too large"),
    "range-not-satisfiable": (416, "The range is outside the data"),
    "out-of-time": (422, "The time limit was exceeded"),
    "out-of-memory": (422, "The memory limit was exceeded"),
    "non-finite-loss": (422, "The loss is not finite"),
    "not-equivariant": (422, "The map is not equivariant"),
    "invalid-setting": (422, "Invalid setting"),
    "worker-died": (500, "The worker process died"),
    "quota-exceeded": (507, "The owner's storage quota is exceeded"),
    "disk-full": (507, "The disk is full"),
    "rate-limited": (429, "Too many requests"),
    "too-many-jobs": (429, "The owner has too many unfinished jobs"),
    "busy": (429, "The service is busy"),
    "not-kept": (507, "The basis was found but could not be stored"),
    "queue-full": (503, "Too many solves are waiting"),
    "not-ready": (503, "The service is not ready"),
    "internal": (500, "Internal error"),
}


_REQUEST_ID = {
    "type": "string",
    "description": "the id of the request, as in the service's log; only in responses",
}


def _with_request_id(schema: dict[str, Any]) -> None:
    schema["properties"]["request_id"] = _REQUEST_ID


class Problem(BaseModel):
    """A problem document (RFC 9457). `code` is stable; `detail` is for people."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_with_request_id)

    type: str = Field(description="the URL of the code's documentation")
    title: str
    status: int
    code: str
    detail: str

    @classmethod
    def of(cls, code: str, detail: str, **extensions: Any) -> Problem:
        """Return the problem of a code, with its status and title."""
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
    """Raised if the answer to a request is a problem."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.detail)
        self.problem, self.headers = problem, dict(headers or {})

    @classmethod
    def of(
        cls, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: Any
    ) -> ProblemError:
        """Return the error of `Problem.of`; `headers` are added to the answer."""
        return cls(Problem.of(code, detail, **extensions), headers)


def from_error(error: IntertwineError) -> Problem:
    """Return the problem of a library error. That of a `ParseError` has the error's position."""
    notes = " ".join(getattr(error, "__notes__", ()))
    detail = f"{error} {notes}".strip()
    code = error.code if error.code in CODES else "internal"
    if isinstance(error, ParseError):
        return Problem.of(
            code, detail, offset=error.offset, expected=error.expected, caret=error.caret
        )
    return Problem.of(code, detail)


def printable(value: Any) -> Any:
    """Return the document with lone surrogates escaped: JSON allows them, UTF-8 does not."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {printable(key): printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    return value
