"""Trying again: what may be, how often, and how long to pause before."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass, replace
from typing import Any

from intertwine.errors import IntertwineError

from intertwine_api.client.errors import ConnectionFailed, error_of
from intertwine_api.client.steps import Answer, Ask, Operation, Pause

#: Answers that say that another time it may work.
PASSING = (429, 502, 503, 504)
_DOUBLINGS = 60
_SHOWN = 300  # characters of an answer that is no problem document


@dataclass(frozen=True)
class Retries:
    """Try `most` times more, after pauses that begin with `first` seconds and double.

    Each pause is drawn from between half and all of that, so that a crowd spreads. A service that
    says how long to wait is believed up to `longest_asked` seconds; past that its refusal stands.
    One that was reached may be away for `outage` seconds while something is waited for.
    """

    most: int = 4
    first: float = 0.25
    longest: float = 8.0
    longest_asked: float = 60.0
    outage: float = 300.0

    def pause(self, attempt: int) -> float:
        """Seconds to pause after an attempt, the first being 0."""
        whole = self.longest if attempt > _DOUBLINGS else self.first * 2**attempt
        return min(self.longest, whole) * random.uniform(0.5, 1.0)

    @property
    def patient(self) -> Retries:
        """As many as it takes to outlast an outage, such as a service that is restarted."""
        return replace(self, most=self.most + 1 + math.ceil(self.outage / (self.longest / 2)))


def answered(ask: Ask, retries: Retries) -> Operation[Answer]:
    """The good answer to a request, which is sent again where that is safe and may help.

    Raises `ConnectionFailed`, `ServiceError`, or the library's error that the answer tells of.
    """
    attempts = retries.most if ask.may_be_repeated else 0
    for attempt in range(attempts + 1):
        try:
            answer: Answer = yield ask
        except ConnectionFailed:
            if attempt == attempts:
                raise
            yield Pause(retries.pause(attempt))
            continue
        if answer.status == 404 and ask.method == "DELETE" and attempt:
            return answer  # an attempt before this one did it, and its answer was lost
        pause = pause_before_next(answer, retries, attempt)
        if attempt == attempts or pause is None:
            break
        yield Pause(pause)
    return require_good(answer)


def pause_before_next(answer: Answer, retries: Retries, attempt: int) -> float | None:
    """Seconds to pause before a request is sent again; None where that would not help."""
    if answer.status not in PASSING:
        return None
    asked = _retry_after(answer)
    if asked is None:
        return retries.pause(attempt)
    return None if asked > retries.longest_asked else max(asked, retries.pause(attempt))


def require_good(answer: Answer) -> Answer:
    """The answer itself. Raises the error that it tells of."""
    if answer.status >= 300:
        raise refusal(answer)
    return answer


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
