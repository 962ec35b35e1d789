"""What is asked about jobs."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from intertwine.errors import InvalidSetting

from intertwine_api.client.bases import find_basis
from intertwine_api.client.errors import WaitedTooLong
from intertwine_api.client.models import download_model
from intertwine_api.client.retries import Deadline, Document, Retries, answered, list_all
from intertwine_api.client.steps import Ask, Operation, Pause, Tell, ask_json
from intertwine_api.wire.vocabulary import ENDED

if TYPE_CHECKING:
    from intertwine.training import History


#: The most epochs whose losses come in one answer.
POINTS_MOST = 10_000
_LONGEST_KEY = 255  # characters
_FIRST_LOOK, _LONGEST_LOOK = 0.1, 1.0  # seconds between looks at a job that is waited for


def submit_job(document: Mapping[str, Any], key: str, retries: Retries) -> Operation[Document]:
    """Hand a job in. However often the request arrives, under one key it makes one job.

    Raises `InvalidSetting` for a key that is none.
    """
    require_key(key)
    ask = ask_json("POST", "/v1/jobs", document, headers={"idempotency-key": key}, repeatable=True)
    return (yield from _document(ask, retries))


def require_key(key: str) -> None:
    """Raise `InvalidSetting` where no header could hold an idempotency key."""
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()) or (
        key != key.strip()
    ):
        raise InvalidSetting(
            f"an idempotency key has 1 to {_LONGEST_KEY} printable ASCII characters, with no space "
            f"at its ends, and {key[: 2 * _LONGEST_KEY]!r} is none"
        )


def show_job(job: str, retries: Retries) -> Operation[Document]:
    """A job's document."""
    return (yield from _document(Ask("GET", address_of(job)), retries))


def change_job(job: str, action: str, retries: Retries) -> Operation[Document]:
    """Cancel a job, or retry it. To cancel twice is to cancel; a retry is asked for once."""
    ask = Ask("POST", f"{address_of(job)}:{action}", repeatable=action == "cancel")
    return (yield from _document(ask, retries))


def delete_job(job: str, retries: Retries) -> Operation[None]:
    """Delete a job that has ended, with its events, metrics and logs."""
    yield from answered(Ask("DELETE", address_of(job)), retries)


def wait_for_job(job: str, deadline: Deadline, retries: Retries) -> Operation[Document]:
    """A job's document when it has ended. Raises `WaitedTooLong` when the deadline comes first."""
    retries = retries.until(deadline)
    document, pause = (yield from show_job(job, retries)), _FIRST_LOOK
    while document["state"] not in ENDED:
        if not deadline.left:
            raise WaitedTooLong(f"job {job} is {document['state']} after {deadline}, and goes on")
        yield Pause(min(pause, deadline.left))
        pause = min(1.5 * pause, _LONGEST_LOOK)
        document = yield from show_job(job, retries.patient)
    return document


def list_metrics(job: str, points: int, retries: Retries) -> Operation[list[Document]]:
    """The losses by epoch: of more than `points`, so many, the first and the last among them."""
    ask = Ask("GET", f"{address_of(job)}/metrics", query={"points": str(points)})
    rows: list[Document] = (yield from _document(ask, retries))["data"]
    return rows


def read_log(job: str, tail: int | None, retries: Retries) -> Operation[str]:
    """What the job's process has printed, or the last `tail` bytes of it."""
    log, place = b"", _LogPlace(tail=tail)
    while piece := (yield from _next_of_log(job, place, retries)):
        log += piece
    return log.decode("utf-8", "replace")


def tell_log(job: str, tail: int | None, retries: Retries) -> Operation[None]:
    """Tell what the job's process prints, as text, until the job has ended."""
    place, decode = _LogPlace(tail=tail), getincrementaldecoder("utf-8")("replace").decode
    has_ended, patient = False, retries.patient
    while True:
        while piece := (yield from _next_of_log(job, place, retries)):
            yield Tell(decode(piece))
        if has_ended:
            return
        yield Pause(_LONGEST_LOOK)
        has_ended = (yield from show_job(job, patient))["state"] in ENDED


@dataclass
class _LogPlace:
    """Where in a log the next piece begins: `tail` bytes before the end, at first."""

    offset: int = 0
    tail: int | None = None


def _next_of_log(job: str, place: _LogPlace, retries: Retries) -> Operation[bytes]:
    """The next piece of a log; nothing at its end."""
    where = {"offset": place.offset} if place.tail is None else {"tail": place.tail}
    query = {name: str(value) for name, value in where.items()}
    answer = yield from answered(Ask("GET", f"{address_of(job)}/logs", query=query), retries)
    place.offset = int(answer.headers.get("x-log-offset", 0)) + len(answer.content)
    place.tail = None
    return answer.content


def list_jobs(
    filters: Mapping[str, str | None], limit: int | None, retries: Retries
) -> Operation[list[Document]]:
    """The jobs that pass the filters, the newest first.

    Raises `InvalidSetting` for a limit that lists nothing.
    """
    if limit is not None and limit < 1:
        raise InvalidSetting(
            f"limit is {limit}, which lists nothing: give how many jobs at most, 1 or more, or "
            f"None for all"
        )
    return (yield from list_all("/v1/jobs", filters, limit, retries))


def address_of(job: str) -> str:
    """Where a job is."""
    return f"/v1/jobs/{quote(job, safe='')}"


def _document(ask: Ask, retries: Retries) -> Operation[Document]:
    answer = yield from answered(ask, retries)
    document: Document = answer.document
    return document


def obtain_result(
    document: Mapping[str, Any], deadline: Deadline, retries: Retries
) -> Operation[Any]:
    """The model of a training that succeeded, ready to call; the basis of a solve.

    Raises `WaitedTooLong` when the deadline comes before the service answers.
    """
    if document["kind"] == "solve":
        request = document["request"]
        options = {name: request.get(name) or "auto" for name in ("method", "backend")}
        options["tolerance"] = request.get("tolerance")
        asked = request["rep"], request.get("group"), options
        return (yield from find_basis(*asked, deadline, retries))
    result, retries = document["result"], retries.until(deadline)
    return (yield from download_model(result["model"], result["version"], retries))


def history_of(rows: Sequence[Mapping[str, Any]]) -> History:
    """Losses by epoch as the library has them."""
    from intertwine.training import History

    return History.from_json([dict(row) for row in rows])
