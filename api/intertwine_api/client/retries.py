"""Deadlines, retries with backoff, and pagination."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from intertwine.errors import IntertwineError

from intertwine_api.client.errors import (
    ConnectionFailed,
    ForeignAnswer,
    WaitedTooLong,
    error_of,
)
from intertwine_api.client.messages import Document, HttpRequest, HttpResponse, Schema

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
_SHOWN = 200  # characters quoted from an answer


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

    Raises `ConnectionFailed`, `ServiceError`, the library's error of the response's problem,
    `ForeignAnswer` if the response is not the expected one, or `WaitedTooLong` if the deadline
    expires during an outage.
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
                return response.checked(request)
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
    retry_after = _retry_after(response)
    try:
        return error_of(response.read(Schema.PROBLEM), retry_after)
    except ForeignAnswer as error:
        return ForeignAnswer(error.problem, retry_after)


def _retry_after(response: HttpResponse) -> float | None:
    """Return the seconds of the Retry-After header; None if it is missing or a date."""
    text = response.headers.get("retry-after", "").strip()
    return float(text) if re.fullmatch(r"[0-9]+", text) else None


_PAGE = 200
_MOST_PAGES = 10_000
_MOST_BYTES = 2**28  # of all pages of a list


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
    schema: Schema,
    filters: Mapping[str, str | None] | None = None,
    limit: int | None = None,
    cursor_name: str = "after",
) -> list[Document]:
    """Return up to `limit` documents of a paginated list that match the filters.

    `schema` is the schema of a page. Raises `ForeignAnswer` if the pages do not end.
    """
    query = {name: value for name, value in (filters or {}).items() if value is not None}
    found: list[Document] = []
    cursors: set[str] = set()
    cursor, size = "", 0
    while limit is None or len(found) < limit:
        most = _PAGE if limit is None else min(_PAGE, limit - len(found))
        parameters = {**query, "limit": str(most), **({cursor_name: cursor} if cursor else {})}
        response = await send(session, HttpRequest("GET", path, query=parameters, answer=schema))
        page, size = response.document, size + len(response.content)
        found += page["data"]
        if not page["has_more"]:
            break
        cursors.add(cursor)
        cursor = str(page["next"] or "")
        if cursor in cursors:
            raise response.foreign(f"the next page has the cursor {cursor[:_SHOWN]!r} again")
        if len(page["data"]) > most:
            raise response.foreign(f"a page of at most {most} has {len(page['data']):,} documents")
        if len(cursors) >= _MOST_PAGES or size > _MOST_BYTES:
            raise response.foreign(f"the list has not ended after {len(cursors):,} pages")
    return found
