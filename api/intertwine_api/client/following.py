"""The events of a job, read from a stream of server-sent events that is reopened if it breaks."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from intertwine.errors import FormatError

from intertwine_api.client.connection import Session
from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.client.jobs import address_of, show_job
from intertwine_api.client.messages import HttpRequest, HttpResponse, Schema, parse_json
from intertwine_api.client.retries import Attempts, error_from

_LONGEST = 2**24  # bytes of one event
_FIELDS = ("id", "event", "data", "retry", "")  # of an event; comments have none


@dataclass(frozen=True)
class JobEvent:
    """An event of a job: its sequence number, type and data.

    The data of ``state`` are {state, reason, attempt}; those of ``progress`` are the job's
    progress with the fraction done; those of ``metrics`` are {rows}, the losses of epochs.
    """

    seq: int
    type: str
    data: Mapping[str, Any]


@dataclass
class EventReader:
    """Parses events from a stream of bytes that may be split anywhere.

    The number of an event without an id, such as the end of the stream, is 0.
    """

    _rest: bytes = b""
    _lines: list[str] = field(default_factory=list)
    _after_return: bool = False

    def feed(self, piece: bytes) -> Iterator[JobEvent]:
        """Yield the events that end in this piece. Raises `FormatError` if one is invalid."""
        for line in self._whole_lines(piece):
            if line:
                if line.partition(":")[0] not in _FIELDS:
                    raise FormatError(
                        f"the stream has a line that is not of an event: {line[:100]!r}"
                    )
                self._lines.append(line)
            else:
                event, self._lines = _event(self._lines), []
                if event is not None:
                    yield event
        if len(self._rest) + sum(map(len, self._lines)) > _LONGEST:
            raise FormatError(f"the stream has an event of more than {_LONGEST:,} bytes")

    def _whole_lines(self, piece: bytes) -> list[str]:
        """Return the lines that end in this piece. Line ends are LF, CR and CRLF."""
        begins = int(self._after_return and piece.startswith(b"\n"))
        if piece:
            self._after_return = piece.endswith(b"\r")
        text = self._rest + piece[begins:]
        *whole, self._rest = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]


def _event(lines: list[str]) -> JobEvent | None:
    """Return the event of these lines; None for a comment, such as a heartbeat."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        return None
    try:
        data = parse_json("\n".join(fields["data"]))
        seq = int(fields["id"][-1]) if "id" in fields else 0
    except ValueError as error:  # a FormatError is one
        raise FormatError(f"the stream has an invalid event: {error}") from error
    if not isinstance(data, dict):
        raise FormatError(f"the data of an event are {data!r}, not an object")
    return JobEvent(seq, fields.get("event", ["message"])[-1], data)


_STREAM = "text/event-stream"
_SCHEMAS = {
    "state": Schema.STATE_EVENT,
    "progress": Schema.PROGRESS_EVENT,
    "metrics": Schema.METRICS_EVENT,
}
_MOST_REPEATED = 10_000  # events received before, of one stream
_STABLE = 10.0  # seconds after which an open stream counts as progress
_SILENCE_TIMEOUT = 60.0  # seconds, four heartbeats, after which a stream counts as broken
_POLL = 1.0  # seconds between polls of a queued job


@dataclass(frozen=True)
class JobSnapshot:
    """The current document of a job."""

    document: Mapping[str, Any]


@dataclass(frozen=True)
class ServiceUnavailable:
    """The service is unavailable. The job continues, and the client retries."""

    why: str


class Follower:
    """Follows the events of a job. `after` is the number of the last received event.

    A broken stream is reopened after that event. Once the service has answered, retries continue
    through outages.
    """

    def __init__(self, session: Session, job: str, after: int = 0) -> None:
        self.job, self.after, self.has_ended = job, after, False
        self._session, self._attempts = session, Attempts(session.retries)
        self._has_answered, self._repeated = False, 0

    async def events(
        self, until_queued_after: float = math.inf
    ) -> AsyncGenerator[JobEvent | ServiceUnavailable]:
        """Yield each `JobEvent` until the job has ended.

        With `until_queued_after`, stop also when the job is queued again after this event.

        Raises `ConnectionFailed` if the service stays unavailable, and the errors it answers with.
        """
        while not self.has_ended:
            refusal: HttpResponse | None = None
            failure: Exception = ConnectionFailed(
                f"{self._session.address.display_url}: the event stream was interrupted"
            )
            request, opened = self._stream_request(), time.monotonic()
            try:
                async with self._session.stream(request) as (response, pieces):
                    if response.status < 300:
                        response.checked(request)
                    else:  # no pieces are left
                        refusal, failure = response, error_from(response)
                    reader = EventReader()
                    self._repeated = 0
                    async for piece in pieces:
                        if not self._has_answered or time.monotonic() - opened > _STABLE:
                            self._retry_through_outages()
                        with response.decoding():
                            new = self._new_events(reader.feed(piece))
                        for event in new:
                            yield event
                            queued = event.data.get("state") == "queued"
                            if queued and event.seq > until_queued_after:
                                return
                        if self.has_ended:
                            return
            except ConnectionFailed as error:
                failure = error
            pause = self._attempts.pause(refusal)
            if pause is None:
                raise failure
            yield ServiceUnavailable(str(failure))
            await self._session.sleep(pause)

    async def watch(self) -> AsyncGenerator[JobSnapshot | JobEvent | ServiceUnavailable]:
        """Yield the job's document (`JobSnapshot`), repeatedly while queued, and its events."""
        document = await show_job(self._session, self.job)
        while not self.has_ended:
            yield JobSnapshot(document)
            self._retry_through_outages()
            if document["state"] == "queued":
                await self._session.sleep(_POLL)
            else:
                async with aclosing(self.events(document["last_event"])) as events:
                    async for event in events:
                        yield event
            document = await show_job(self._session, self.job, through_outages=True)
        yield JobSnapshot(document)

    def _new_events(self, events: Iterator[JobEvent]) -> list[JobEvent]:
        """Return the events that were not received before, up to the end of the stream.

        Raises `FormatError` if an event is invalid, or if too many are repeated.
        """
        new = []
        for event in events:
            if event.type == "end":
                self.has_ended = True
                break
            if event.seq > self.after:
                if schema := _SCHEMAS.get(event.type):
                    schema.require(event.data)
                self.after = event.seq
                new.append(event)
            else:
                self._repeated += 1
        if self._repeated > _MOST_REPEATED:
            raise FormatError(f"the stream repeats events up to number {self.after}")
        if new:
            self._retry_through_outages()
        return new

    def _retry_through_outages(self) -> None:
        """Restart the count of failed attempts, for a service that has answered."""
        self._has_answered = True
        self._attempts = Attempts(self._session.retries.through_outages)

    def _stream_request(self) -> HttpRequest:
        return HttpRequest(
            "GET",
            f"{address_of(self.job)}/events",
            headers={"accept": _STREAM, "last-event-id": str(self.after)},
            answer=_STREAM,
            extra_seconds=_SILENCE_TIMEOUT,
        )
