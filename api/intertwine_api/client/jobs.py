"""Operations on jobs: submit, show, wait, cancel, retry, delete, and read logs and results."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from intertwine.errors import InvalidSetting

from intertwine_api.client.bases import find_basis
from intertwine_api.client.connection import Session
from intertwine_api.client.errors import WaitedTooLong
from intertwine_api.client.messages import (
    Document,
    HttpRequest,
    HttpResponse,
    Schema,
    encode_json,
    json_request,
)
from intertwine_api.client.models import download_model
from intertwine_api.client.retries import fetch, list_all, send
from intertwine_api.wire.vocabulary import ENDED

#: The largest number of epochs in one answer with losses.
MAX_POINTS = 10_000
_LONGEST_KEY = 255  # characters
_TEXT = "text/plain"
_LOG_PART = 2**24  # bytes of a log in one answer; the service sends up to 2**20
_FIRST_POLL, _LONGEST_POLL = 0.1, 1.0  # seconds between polls


async def submit_job(session: Session, document: Mapping[str, Any], key: str | None) -> Document:
    """Submit a job. Requests with the same idempotency key make one job.

    Raises `InvalidSetting` if the key is invalid.
    """
    require_key(key)
    headers = {"idempotency-key": key or uuid4().hex}
    request = json_request(
        "POST", "/v1/jobs", document, headers=headers, answer=Schema.JOB, idempotent=True
    )
    return await fetch(session, request)


def require_key(key: str | None) -> None:
    """Raise `InvalidSetting` if an idempotency key is given and is not a valid header value."""
    if not key:
        return
    if len(key) > _LONGEST_KEY or not (key.isascii() and key.isprintable()) or key != key.strip():
        raise InvalidSetting(
            f"the idempotency key {key[: 2 * _LONGEST_KEY]!r} is invalid: give 1 to {_LONGEST_KEY} "
            f"printable ASCII characters with no space at either end"
        )


async def show_job(session: Session, job: str, *, through_outages: bool = False) -> Document:
    """Return a job's document."""
    request = HttpRequest("GET", address_of(job), answer=Schema.JOB)
    return await fetch(session, request, through_outages=through_outages)


async def change_job(session: Session, job: str, action: str) -> Document:
    """Cancel or retry a job and return its document. Only cancelling is idempotent."""
    path, is_idempotent = f"{address_of(job)}:{action}", action == "cancel"
    request = HttpRequest("POST", path, answer=Schema.JOB, idempotent=is_idempotent)
    return await fetch(session, request)


async def delete_job(session: Session, job: str) -> None:
    """Delete a job that has ended, with its events, metrics and logs."""
    await send(session, HttpRequest("DELETE", address_of(job)))


async def wait_for_job(session: Session, job: str) -> Document:
    """Return a job's document when it has ended. Raises `WaitedTooLong` after the deadline."""
    deadline = session.retries.deadline
    document, pause = (await show_job(session, job)), _FIRST_POLL
    while document["state"] not in ENDED:
        if not deadline.left:
            raise WaitedTooLong(f"job {job} is {document['state']} after {deadline}: it continues")
        await session.sleep(min(pause, deadline.left))
        pause = min(1.5 * pause, _LONGEST_POLL)
        document = await show_job(session, job, through_outages=True)
    return document


async def list_metrics(session: Session, job: str, points: int) -> list[Document]:
    """Return the losses of at most `points` epochs, the first and the last among them."""
    path, query = f"{address_of(job)}/metrics", {"points": str(points)}
    request = HttpRequest("GET", path, query=query, answer=Schema.METRICS)
    rows: list[Document] = (await fetch(session, request))["data"]
    return rows


async def read_log(
    session: Session, job: str, tail: int | None, *, follow: bool = False
) -> AsyncGenerator[str]:
    """Yield the output of the job's process, or its last `tail` bytes, as text.

    With `follow`, continue until the job has ended.
    """
    offset, start = 0, {"offset": "0"} if tail is None else {"tail": str(tail)}
    decoder, has_ended = getincrementaldecoder("utf-8")("replace"), not follow
    while True:
        request = HttpRequest(
            "GET", f"{address_of(job)}/logs", query=start, answer=_TEXT, max_bytes=_LOG_PART
        )
        response = await send(session, request)
        position = response.headers.get("x-log-offset", "")
        if not position.isdecimal() or (response.content and int(position) < offset):
            raise response.foreign(f"expected X-Log-Offset {offset}, received {position[:50]!r}")
        offset = int(position) + len(response.content)
        start = {"offset": str(offset)}
        if response.content:
            yield decoder.decode(response.content)
        elif not has_ended:
            await session.sleep(_LONGEST_POLL)
            has_ended = (await show_job(session, job, through_outages=True))["state"] in ENDED
        else:
            if incomplete := decoder.decode(b"", final=True):
                yield incomplete
            return


async def list_jobs(
    session: Session, filters: Mapping[str, str | None], limit: int | None
) -> list[Document]:
    """Return the jobs that match the filters, the newest first.

    Raises `InvalidSetting` if the limit is less than 1.
    """
    if limit is not None and limit < 1:
        raise InvalidSetting(
            f"limit is {limit}, which lists nothing: give the largest number of jobs, 1 or more, "
            f"or None for all"
        )
    return await list_all(session, "/v1/jobs", Schema.JOBS, filters, limit)


def address_of(job: str) -> str:
    """Return the path of a job."""
    return f"/v1/jobs/{quote(job, safe='')}"


async def obtain_result(session: Session, document: Mapping[str, Any]) -> Any:
    """Return the result of a successful job: a training's model ready to call, a solve's basis.

    Raises `WaitedTooLong` if the service does not answer before the deadline.
    """
    if document["kind"] == "solve":
        names = ("rep", "group", "method", "backend", "tolerance")
        known = {name: document["request"].get(name) for name in names}
        request = {name: value for name, value in known.items() if value is not None}
        _require_part(session, document, "request", request, Schema.BASIS_REQUEST)
        options = {name: request.get(name, "auto") for name in ("method", "backend")}
        options["tolerance"] = request.get("tolerance")
        return await find_basis(session, request["rep"], request.get("group"), options)
    result = training_result(session, document)
    return await download_model(session, result["model"], result["version"])


def training_result(session: Session, document: Mapping[str, Any]) -> Document:
    """Return the result of a training that succeeded. Raises `ForeignAnswer` if it lacks a part."""
    result: Document = document["result"]
    _require_part(session, document, "result", result, Schema.TRAINING_RESULT)
    return result


def _require_part(
    session: Session, job: Mapping[str, Any], name: str, part: Any, schema: Schema
) -> None:
    """Raise `ForeignAnswer` unless a part of a job's document, named `name`, matches a schema."""
    url = f"{session.address.display_url}{address_of(str(job['id']))}#{name}"
    answer = HttpResponse(200, {"content-type": "application/json"}, encode_json(part), url)
    with answer.decoding():
        schema.require(part)
