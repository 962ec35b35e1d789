"""How long whoever asks will wait."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from intertwine.errors import IntertwineError

from intertwine_api.client.errors import ConnectionFailed, WaitedTooLong, error_of
from intertwine_api.client.steps import Answer, Ask, Operation, Pause

_LEAST = 1.0  # seconds that a look has in any case: a timeout of 0 asks how it is now


class Deadline:
    """The end of `timeout` seconds from now on; without a timeout it never comes."""

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = math.inf if timeout is None else timeout
        self._end = time.monotonic() + self._timeout

    @property
    def left(self) -> float:
        """How many seconds are left; 0 when it is over."""
        return max(0.0, self._end - time.monotonic())

    @property
    def for_an_answer(self) -> float | None:
        """The most seconds that an answer may take, at least one; None without a timeout."""
        return None if math.isinf(self._timeout) else max(_LEAST, self.left)

    def __str__(self) -> str:
        return f"{self._timeout:g} seconds"


#: Answers that say that another time it may work.
PASSING = (429, 502, 503, 504)
_DOUBLINGS = 60
_SHOWN = 300  # characters of an answer that is no problem document


@dataclass(frozen=True)
class Retries:
    """Try `most` times more, after pauses that begin with `first` seconds and double.

    Each pause is drawn from between half and all of that, so that a crowd spreads. A service that
    says how long to wait is believed up to `longest_asked` seconds; past that its refusal stands.
    One that was reached may be away for `outage` seconds while something is waited for: then
    attempts go on for `lasting` seconds, however many those are. None begins behind the deadline.
    """

    most: int = 4
    first: float = 0.25
    longest: float = 8.0
    longest_asked: float = 60.0
    outage: float = 300.0
    lasting: float = 0.0
    deadline: Deadline = field(default_factory=Deadline)

    def pause(self, attempt: int) -> float:
        """Seconds to pause after an attempt, the first being 0."""
        whole = self.longest if attempt > _DOUBLINGS else self.first * 2**attempt
        return min(self.longest, whole) * random.uniform(0.5, 1.0)

    @property
    def patient(self) -> Retries:
        """Those that outlast an outage, such as a service that is restarted."""
        return replace(self, lasting=self.outage)

    def until(self, deadline: Deadline) -> Retries:
        """These as long as the deadline has not come."""
        return replace(self, deadline=deadline)


class Attempts:
    """The attempts at one thing, as they fail: whether there is another one, and when."""

    def __init__(self, retries: Retries) -> None:
        self._retries, self._failed = retries, 0
        self._end = 0.0  # of the outage that the first failure begins

    @property
    def is_first(self) -> bool:
        """Whether none has failed yet."""
        return self._failed == 0

    def pause(self, answer: Answer | None = None) -> float | None:
        """Seconds until the next attempt, after one that failed or was given this answer.

        None where there is none: where another one would not help, or there were enough.
        """
        retries, now = self._retries, time.monotonic()
        if self.is_first:
            self._end = now + retries.lasting
        wanted = (
            retries.pause(self._failed)
            if answer is None
            else pause_before_next(answer, retries, self._failed)
        )
        if self._failed >= retries.most:
            left = self._end - now
            wanted = None if wanted is None or left <= 0 else min(wanted, left)
        if wanted is None or not retries.deadline.left:
            return None
        self._failed += 1
        return min(wanted, retries.deadline.left)


def answered(ask: Ask, retries: Retries) -> Operation[Answer]:
    """The good answer to a request, which is sent again where that is safe and may help.

    Raises `ConnectionFailed`, `ServiceError`, or the library's error that the answer tells of;
    `WaitedTooLong` where the deadline came while the service was away.
    """
    attempts = Attempts(retries if ask.may_be_repeated else replace(retries, most=0, lasting=0))
    while True:
        failure: IntertwineError
        try:
            answer: Answer = yield replace(ask, within=retries.deadline.for_an_answer)
        except ConnectionFailed as error:
            pause, failure = attempts.pause(), error
        else:
            if answer.status == 404 and ask.method == "DELETE" and not attempts.is_first:
                return answer  # an attempt before this one did it, and its answer was lost
            if answer.status < 300:
                return answer
            if answer.status not in PASSING:
                raise refusal(answer)
            pause, failure = attempts.pause(answer), refusal(answer)
        if pause is not None:
            yield Pause(pause)
        elif retries.deadline.left:
            raise failure
        else:
            raise WaitedTooLong(
                f"nothing came in {retries.deadline}, as the service is away, or busy: {failure}"
            ) from failure


def pause_before_next(answer: Answer, retries: Retries, attempt: int) -> float | None:
    """Seconds to pause before a request is sent again; None where that would not help."""
    if answer.status not in PASSING:
        return None
    asked = _retry_after(answer)
    if asked is None:
        return retries.pause(attempt)
    return None if asked > retries.longest_asked else max(asked, retries.pause(attempt))


def refusal(answer: Answer) -> IntertwineError:
    """The error that an answer tells of."""
    return error_of(_problem(answer), _retry_after(answer))


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        document = answer.document
    except ValueError:
        document = None
    if isinstance(document, dict) and isinstance(document.get("code"), str):
        return {"status": answer.status, **document}
    if "location" in answer.headers:
        detail = f"the service is elsewhere: give the address {answer.headers['location']}"
        return {"status": answer.status, "code": "elsewhere", "detail": detail}
    # a proxy answered, or something that is no service of ours
    begins = answer.content[: 10 * _SHOWN].decode("utf-8", "replace")
    text = re.sub(r"(<[^>]*>|\s)+", " ", begins).strip()[:_SHOWN]
    detail = f"an answer of status {answer.status} that is none of Intertwine's: {text!r}"
    return {"status": answer.status, "code": "strange-answer", "detail": detail}


def _retry_after(answer: Answer) -> float | None:
    """The seconds of a Retry-After header; a date there is left to our own pauses."""
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if re.fullmatch(r"\d{1,9}", text) else None


Document = dict[str, Any]

_PAGE = 200


def list_all(
    path: str,
    query: Mapping[str, str | None],
    limit: int | None,
    retries: Retries,
    cursor_name: str = "after",
) -> Operation[list[Document]]:
    """The documents of a list that pass the filters, page by page, up to `limit`."""
    filters = {name: value for name, value in query.items() if value is not None}
    found: list[Document] = []
    cursor: str | None = ""
    while cursor is not None and (limit is None or len(found) < limit):
        most = _PAGE if limit is None else min(_PAGE, limit - len(found))
        asked = {**filters, "limit": str(most), **({cursor_name: cursor} if cursor else {})}
        page = (yield from answered(Ask("GET", path, query=asked), retries)).document
        found += page["data"]
        cursor = str(page["next"]) if page["has_more"] else None
    return found
