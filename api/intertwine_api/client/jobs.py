"""Operations on jobs: submit, show, wait, cancel, retry, delete, and read logs and results."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from intertwine.errors import InvalidSetting

from intertwine_api.client.bases import find_basis
from intertwine_api.client.errors import WaitedTooLong
from intertwine_api.client.models import download_model
from intertwine_api.client.retries import Document, fetch, list_all, send
from intertwine_api.client.steps import (
    Emit,
    GetRetries,
    HttpRequest,
    Operation,
    Sleep,
    json_request,
)
from intertwine_api.wire.vocabulary import ENDED

#: The largest number of epochs in one answer with losses.
MAX_POINTS = 10_000
_LONGEST_KEY = 255  # characters
_FIRST_POLL, _LONGEST_POLL = 0.1, 1.0  # seconds between polls


def submit_job(document: Mapping[str, Any], key: str | None) -> Operation[Document]:
    """Submit a job. Requests with the same idempotency key make one job.

    Raises `InvalidSetting` if the key is invalid.
    """
    require_key(key)
    headers = {"idempotency-key": key or uuid4().hex}
    request = json_request("POST", "/v1/jobs", document, headers=headers, idempotent=True)
    return (yield from fetch(request))


def require_key(key: str | None) -> None:
    """Raise `InvalidSetting` if an idempotency key is given and is not a valid header value."""
    if not key:
        return
    if len(key) > _LONGEST_KEY or not (key.isascii() and key.isprintable()) or key != key.strip():
        raise InvalidSetting(
            f"the idempotency key {key[: 2 * _LONGEST_KEY]!r} is invalid: give 1 to {_LONGEST_KEY} "
            f"printable ASCII characters with no space at either end"
        )


def show_job(job: str, *, through_outages: bool = False) -> Operation[Document]:
    """Return a job's document."""
    request = HttpRequest("GET", address_of(job))
    return (yield from fetch(request, through_outages=through_outages))


def change_job(job: str, action: str) -> Operation[Document]:
    """Cancel or retry a job and return its document. Only cancelling is idempotent."""
    request = HttpRequest("POST", f"{address_of(job)}:{action}", idempotent=action == "cancel")
    return (yield from fetch(request))


def delete_job(job: str) -> Operation[None]:
    """Delete a job that has ended, with its events, metrics and logs."""
    yield from send(HttpRequest("DELETE", address_of(job)))


def wait_for_job(job: str) -> Operation[Document]:
    """Return a job's document when it has ended. Raises `WaitedTooLong` after the deadline."""
    deadline = (yield GetRetries()).deadline
    document, pause = (yield from show_job(job)), _FIRST_POLL
    while document["state"] not in ENDED:
        if not deadline.left:
            raise WaitedTooLong(f"job {job} is {document['state']} after {deadline}: it continues")
        yield Sleep(min(pause, deadline.left))
        pause = min(1.5 * pause, _LONGEST_POLL)
        document = yield from show_job(job, through_outages=True)
    return document


def list_metrics(job: str, points: int) -> Operation[list[Document]]:
    """Return the losses of at most `points` epochs, the first and the last among them."""
    request = HttpRequest("GET", f"{address_of(job)}/metrics", query={"points": str(points)})
    rows: list[Document] = (yield from fetch(request))["data"]
    return rows


def emit_log(job: str, tail: int | None, *, follow: bool = False) -> Operation[None]:
    """Emit the output of the job's process, or its last `tail` bytes, as text.

    With `follow`, continue until the job has ended.
    """
    start = {"offset": "0"} if tail is None else {"tail": str(tail)}
    decoder, has_ended = getincrementaldecoder("utf-8")("replace"), not follow
    while True:
        request = HttpRequest("GET", f"{address_of(job)}/logs", query=start)
        response = yield from send(request)
        offset = int(response.headers.get("x-log-offset", 0)) + len(response.content)
        start = {"offset": str(offset)}
        if response.content:
            yield Emit(decoder.decode(response.content))
        elif not has_ended:
            yield Sleep(_LONGEST_POLL)
            has_ended = (yield from show_job(job, through_outages=True))["state"] in ENDED
        else:
            if incomplete := decoder.decode(b"", final=True):
                yield Emit(incomplete)
            return


def list_jobs(filters: Mapping[str, str | None], limit: int | None) -> Operation[list[Document]]:
    """Return the jobs that match the filters, the newest first.

    Raises `InvalidSetting` if the limit is less than 1.
    """
    if limit is not None and limit < 1:
        raise InvalidSetting(
            f"limit is {limit}, which lists nothing: give the largest number of jobs, 1 or more, "
            f"or None for all"
        )
    return (yield from list_all("/v1/jobs", filters, limit))


def address_of(job: str) -> str:
    """Return the path of a job."""
    return f"/v1/jobs/{quote(job, safe='')}"


def obtain_result(document: Mapping[str, Any]) -> Operation[Any]:
    """Return the result of a successful job: a training's model ready to call, a solve's basis.

    Raises `WaitedTooLong` if the service does not answer before the deadline.
    """
    if document["kind"] == "solve":
        request = document["request"]
        options = {name: request.get(name) or "auto" for name in ("method", "backend")}
        options["tolerance"] = request.get("tolerance")
        rep, group = request["rep"], request.get("group")
        return (yield from find_basis(rep, group, options))
    result = document["result"]
    return (yield from download_model(result["model"], result["version"]))
