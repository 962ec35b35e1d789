"""Server-sent events, read from the bytes of a stream as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from intertwine.errors import FormatError

from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.client.jobs import address_of, show_job
from intertwine_api.client.retries import Attempts, Retries, refusal
from intertwine_api.client.steps import Answer, Ask, Open, Operation, Pause, Read, Tell

_LONGEST = 2**24  # bytes of one event


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream: its number, if it has one, its type, and what it says."""

    seq: int | None
    type: str
    data: dict[str, Any]


@dataclass
class EventReader:
    """The events in the bytes that are fed to it, wherever those are cut."""

    _rest: bytes = b""
    _lines: list[str] = field(default_factory=list)
    _after_return: bool = False

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The events that end in this piece. Raises `FormatError` for what are none."""
        for line in self._whole_lines(piece):
            if line:
                self._lines.append(line)
            elif event := _event(self._take()):
                yield event
        if len(self._rest) + sum(map(len, self._lines)) > _LONGEST:
            raise FormatError(f"an event of more than {_LONGEST:,} bytes")

    def _take(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

    def _whole_lines(self, piece: bytes) -> Iterator[str]:
        """The lines that end in a piece: by a newline, a return, or both (one line end)."""
        begins = int(self._after_return and piece.startswith(b"\n"))
        if piece:
            self._after_return = piece.endswith(b"\r")
        text = self._rest + piece[begins:]
        *whole, self._rest = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")


def _event(lines: list[str]) -> ServerEvent | None:
    """The event of its lines; None where they are a comment, such as a heartbeat."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        return None
    try:
        data = json.loads("\n".join(fields["data"]))
        seq = int(fields["id"][-1]) if "id" in fields else None
    except ValueError as error:
        raise FormatError(f"an event that is none of ours: {error}") from error
    if not isinstance(data, dict):
        raise FormatError(f"the data of an event are an object, not {data!r}")
    return ServerEvent(seq, fields.get("event", ["message"])[-1], data)


_SILENCE = 60.0  # seconds, four heartbeats, after which a stream is taken for dead
_LOOK = 1.0  # seconds between looks at why a job waits


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job: its number, its type, and what it says.

    Of type ``state`` it says {state, reason, attempt}; ``progress`` is that of the job, with the
    fraction that is done; ``metrics`` are {rows} with the losses of epochs.
    """

    seq: int
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """A job as it is now: its document."""

    document: Mapping[str, Any]


@dataclass(frozen=True)
class Away:
    """The service does not answer just now. The job goes on, and it is asked again."""

    why: str


class Follower:
    """Whoever follows a job: `after` is the number of the last event that came.

    The stream may break as often as it likes: it is opened again behind that event. A service
    that was reached once may be away for an outage at a time.
    """

    def __init__(self, job: str, after: int, retries: Retries) -> None:
        self.job, self.after, self.has_ended = job, after, False
        self._retries, self._patient = retries, retries.patient
        self._attempts = Attempts(retries)

    def tell_events(self, until_queued_after: int | None = None) -> Operation[None]:
        """Tell each `JobEvent` until the job has ended.

        On request also until it waits in the queue again, which an event behind this number says.

        Raises `ConnectionFailed` where the service stays away, and what it refuses with.
        """
        while not self.has_ended:
            failure: Exception
            try:
                answer: Answer = yield Open(self._ask())
                if answer.status != 200:
                    pause, failure = self._attempts.pause(answer), refusal(answer)
                elif (yield from self._read(until_queued_after)):
                    return
                else:  # as when the service is stopped
                    failure = ConnectionFailed("the stream of events broke")
                    pause = self._attempts.pause()
            except ConnectionFailed as error:
                pause, failure = self._attempts.pause(), error
            if pause is None:
                raise failure
            yield Tell(Away(str(failure)))
            yield Pause(pause)

    def watch(self) -> Operation[None]:
        """Tell what a job is (`Seen`), again while it waits, and its events, until it has ended."""
        document = yield from show_job(self.job, self._retries)
        while not self.has_ended:
            yield Tell(Seen(document))
            self._be_patient()
            if document["state"] == "queued":
                yield Pause(_LOOK)
            else:
                yield from self.tell_events(until_queued_after=document["last_event"])
            document = yield from show_job(self.job, self._retries)
        yield Tell(Seen(document))

    def _read(self, until_queued_after: int | None) -> Operation[bool]:
        """Tell the events of an open stream; whether nothing more is wanted of it."""
        reader = EventReader()
        while (piece := (yield Read())) is not None:
            self._be_patient()  # it is there, and speaks
            for event in reader.feed(piece):
                if event.type == "end":
                    self.has_ended = True
                    return True
                if event.seq is None or event.seq <= self.after:
                    continue
                self.after = event.seq
                yield Tell(JobEvent(event.seq, event.type, event.data))
                waits = event.data.get("state") == "queued"
                if waits and until_queued_after is not None and event.seq > until_queued_after:
                    return True
        return False

    def _ask(self) -> Ask:
        headers = {"accept": "text/event-stream", "last-event-id": str(self.after)}
        return Ask("GET", f"{address_of(self.job)}/events", headers=headers, patience=_SILENCE)

    def _be_patient(self) -> None:
        self._retries, self._attempts = self._patient, Attempts(self._patient)
