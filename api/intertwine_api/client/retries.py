"""Deadlines, retries with backoff, and pagination."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from intertwine.errors import IntertwineError

from intertwine_api.client.errors import ConnectionFailed, WaitedTooLong, error_of
from intertwine_api.client.messages import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from intertwine_api.client.connection import Session

_MIN_TIMEOUT = 1.0  # seconds for one answer, even if timeout=0 polls the current state


class Deadline:
    """A deadline `timeout` seconds from now; without a timeout it never expires."""

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = math.inf if timeout is None else timeout
        self._end = time.monotonic() + self._timeout

    @property
    def left(self) -> float:
        """Return the seconds left; 0 after the deadline."""
        return max(0.0, self._end - time.monotonic())

    @property
    def answer_timeout(self) -> float | None:
        """Return the timeout of one answer in seconds, at least 1; None without a deadline."""
        return None if math.isinf(self._timeout) else max(_MIN_TIMEOUT, self.left)

    def __str__(self) -> str:
        return f"{self._timeout:g} seconds"


#: The status codes of transient errors, after which a retry may succeed.
TRANSIENT = (429, 502, 503, 504)
_DOUBLINGS = 60
_SHOWN = 300  # characters quoted from an answer that is not a problem document


@dataclass(frozen=True)
class Retries:
    """A retry policy: up to `most` retries with exponential backoff, from `first` to `longest`.

    All times are in seconds. Jitter shortens each pause by up to half. A Retry-After header of up
    to `max_retry_after` is obeyed; after a longer one the request fails. Attempts continue for at
    least `min_duration`, which `through_outages` sets to `outage`. No attempt starts after the
    deadline.
    """

    most: int = 4
    first: float = 0.25
    longest: float = 8.0
    max_retry_after: float = 60.0
    outage: float = 300.0
    min_duration: float = 0.0
    deadline: Deadline = field(default_factory=Deadline)

    def pause(self, attempt: int) -> float:
        """Return the pause in seconds after an attempt, counted from 0."""
        pause = self.first * 2.0 ** min(attempt, _DOUBLINGS)
        return min(self.longest, pause) * random.uniform(0.5, 1.0)

    @property
    def through_outages(self) -> Retries:
        """Return a policy that retries for `outage` seconds, for example during a restart."""
        return replace(self, min_duration=self.outage)

    def within(self, timeout: float | None) -> Retries:
        """Return this policy with a deadline `timeout` seconds from now."""
        return replace(self, deadline=Deadline(timeout))


class Attempts:
    """Counts the failed attempts of one request and decides whether and when to retry."""

    def __init__(self, retries: Retries) -> None:
        self._retries, self._failed = retries, 0
        self._end = 0.0  # until which attempts continue regardless of their number

    @property
    def is_first(self) -> bool:
        """Return whether no attempt has failed yet."""
        return self._failed == 0

    def pause(self, response: HttpResponse | None = None) -> float | None:
        """Count a failed attempt and return the pause before the next one, in seconds.

        `response` is the error response, or None if the connection failed. Returns None if a
        retry would not help, or the retries or the time are used up.
        """
        retries, now, wanted = self._retries, time.monotonic(), 0.0
        if response is not None:
            wanted = _retry_after(response) or 0.0
            if response.status not in TRANSIENT or wanted > retries.max_retry_after:
                return None
        if self.is_first:
            self._end = now + retries.min_duration
        longest = retries.deadline.left
        if self._failed >= retries.most:
            longest = min(longest, self._end - now)
        if longest <= 0:
            return None
        wanted = max(wanted, retries.pause(self._failed))
        self._failed += 1
        return min(wanted, longest)


async def send(
    session: Session, request: HttpRequest, *, through_outages: bool = False
) -> HttpResponse:
    """Send a request, retry transient errors if it is idempotent, and return the response.

    `through_outages` is for a service that has answered before: see `Retries.through_outages`.

    Raises `ConnectionFailed`, `ServiceError`, the library's error of the response's problem, or
    `WaitedTooLong` if the deadline expires during an outage.
    """
    retries = session.retries
    if not request.is_retryable:
        retries = replace(retries, most=0)
    elif through_outages:
        retries = retries.through_outages
    attempts = Attempts(retries)
    while True:
        failure: IntertwineError
        try:
            limited = replace(request, max_seconds=retries.deadline.answer_timeout)
            response = await session.request(limited)
        except ConnectionFailed as error:
            pause, failure = attempts.pause(), error
        else:
            if response.status == 404 and request.method == "DELETE" and not attempts.is_first:
                return response  # an earlier attempt deleted it, but its response was lost
            if response.status < 300:
                return response
            if response.status not in TRANSIENT:
                raise error_from(response)
            pause, failure = attempts.pause(response), error_from(response)
        if pause is not None:
            await session.sleep(pause)
        elif retries.deadline.left:
            raise failure
        else:
            raise WaitedTooLong(
                f"no answer in {retries.deadline}: the service is unavailable or busy: {failure}"
            ) from failure


def error_from(response: HttpResponse) -> IntertwineError:
    """Return the exception of an error response."""
    return error_of(_problem(response), _retry_after(response))


def _problem(response: HttpResponse) -> dict[str, Any]:
    try:
        document = response.document
    except ValueError:
        document = None
    if isinstance(document, dict) and isinstance(document.get("code"), str):
        return {"status": response.status, **document}
    if "location" in response.headers:
        detail = f"the service has moved: give the address {response.headers['location']}"
        return {"status": response.status, "code": "elsewhere", "detail": detail}
    # the response is from a proxy or another program
    start = response.content[: 10 * _SHOWN].decode("utf-8", "replace")
    text = re.sub(r"(<[^>]*>|\s)+", " ", start).strip()[:_SHOWN]
    detail = f"the answer, of status {response.status}, is not from Intertwine: {text!r}"
    return {"status": response.status, "code": "strange-answer", "detail": detail}


def _retry_after(response: HttpResponse) -> float | None:
    """Return the seconds of the Retry-After header; None if it is missing or a date."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if re.fullmatch(r"\d{1,9}", text) else None


Document = dict[str, Any]

_PAGE = 200


async def fetch(
    session: Session, request: HttpRequest, *, through_outages: bool = False
) -> Document:
    """Send a request as `send` does, and return the JSON object of the response."""
    response = await send(session, request, through_outages=through_outages)
    document: Document = response.document
    return document


async def list_all(
    session: Session,
    path: str,
    filters: Mapping[str, str | None] | None = None,
    limit: int | None = None,
    cursor_name: str = "after",
) -> list[Document]:
    """Return up to `limit` documents of a paginated list that match the filters."""
    query = {name: value for name, value in (filters or {}).items() if value is not None}
    found: list[Document] = []
    cursor: str | None = ""
    while cursor is not None and (limit is None or len(found) < limit):
        most = _PAGE if limit is None else min(_PAGE, limit - len(found))
        parameters = {**query, "limit": str(most), **({cursor_name: cursor} if cursor else {})}
        page = await fetch(session, HttpRequest("GET", path, query=parameters))
        found += page["data"]
        cursor = str(page["next"]) if page["has_more"] else None
    return found
