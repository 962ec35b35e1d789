"""Following a job: its events, each once and in their order, however often the line breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.client.event_reader import EventReader
from intertwine_api.client.jobs import address_of, show_job
from intertwine_api.client.retries import Attempts, Retries, refusal
from intertwine_api.client.steps import Answer, Ask, Open, Operation, Pause, Read, Tell

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
