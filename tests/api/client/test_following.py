"""A job is followed through broken lines and restarts: each event once, in order, to the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from helpers.scripted_service import (
    HANG_UP,
    Reply,
    Request,
    problem_reply,
    scripted_service,
)
from intertwine.errors import NotFound
from intertwine_api.client import Client
from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.client.following import Follower, JobEvent, JobSnapshot, ServiceUnavailable
from intertwine_api.client.retries import Retries
from intertwine_api.client.steps import (
    Emit,
    HttpRequest,
    HttpResponse,
    OpenStream,
    ReadChunk,
    RunningOperation,
    Sleep,
)

EVENTS = [
    ("state", {"state": "queued", "reason": "handed in"}),
    ("state", {"state": "running", "reason": "begun"}),
    ("progress", {"epoch": 1, "epochs": 2, "fraction": 0.5}),
    ("metrics", {"rows": [{"epoch": 1, "train_loss": 0.5}]}),
    ("state", {"state": "succeeded", "reason": "done"}),
]
ALL = [JobEvent(n, kind, data) for n, (kind, data) in enumerate(EVENTS, 1)]
HEADERS = {"content-type": "text/event-stream"}
QUICK = Retries(first=0.01, longest=0.02)


def stream(after: int) -> bytes:
    """What a service sends to whoever has the events up to a number."""
    frames = [
        f"id: {n}\nevent: {kind}\ndata: {json.dumps(data)}\n\n: still here\n\n"
        for n, (kind, data) in enumerate(EVENTS, 1)
        if n > after
    ]
    return "".join([*frames, "event: end\ndata: {}\n\n"]).encode()


class Service:
    """A service without wires, each of whose streams breaks where it is told."""

    def __init__(self, cuts: Iterator[int]) -> None:
        self.cuts, self.pieces = cuts, iter(())
        self.opened: list[int] = []

    def do(self, step: Any) -> Any:
        match step:
            case OpenStream(ask):
                after = int(ask.headers["last-event-id"])
                self.opened.append(after)
                sent = stream(after)
                self.pieces = self.broken(sent, next(self.cuts, len(sent)))
                return HttpResponse(200, HEADERS)
            case ReadChunk():
                return next(self.pieces)
            case HttpRequest():
                return HttpResponse(200, {}, json.dumps(JOB).encode())
        return None

    def broken(self, sent: bytes, cut: int) -> Iterator[bytes | None]:
        yield sent[: cut // 2]
        yield sent[cut // 2 : cut]
        if cut % 2:
            raise ConnectionFailed("the line broke")
        yield None

    def told(self, operation: Any) -> list[Any]:
        course, found = RunningOperation(operation, QUICK), []
        while course.step is not None:
            if isinstance(course.step, Emit):
                found.append(course.step.value)
            try:
                outcome = self.do(course.step)
            except ConnectionFailed as error:
                course.fail(error)
            else:
                course.resume(outcome)
        return found


JOB = {"id": "a", "state": "succeeded", "reason": "done", "queue": None, "last_event": 5}


class TestEvents:
    def test_every_event_comes_once_wherever_the_connection_breaks(self) -> None:
        for cut in range(len(stream(0))):
            service = Service(iter([cut, 40, 1, 0]))
            told = service.told(Follower("a", 0, QUICK).emit_events())
            assert [event for event in told if isinstance(event, JobEvent)] == ALL, cut

    def test_a_stream_resumes_after_the_last_received_event(self) -> None:
        first = len(stream(0)) - len(stream(2)) + 5
        service = Service(iter([first]))
        service.told(Follower("a", 0, QUICK).emit_events())
        assert service.opened == [0, 2]

    def test_only_events_after_the_given_number_are_returned(self) -> None:
        told = Service(iter(())).told(Follower("a", 3, QUICK).emit_events())
        assert told == ALL[3:]

    def test_repeated_events_are_dropped(self) -> None:
        def always_from_the_start(request: Request) -> Reply:
            return Reply(200, stream(0), HEADERS)

        with scripted_service(always_from_the_start) as there, Client(there.url) as lab:
            assert list(follow(lab, after=2)) == ALL[2:]

    def test_real_connections_that_break(self) -> None:
        replies = iter([Reply(200, stream(0)[:200], HEADERS, cut=True), HANG_UP])

        def breaking(request: Request) -> Reply:
            again = Reply(200, stream(int(request.headers["last-event-id"])), HEADERS)
            return next(replies, again)

        with scripted_service(breaking) as there, Client(there.url) as lab:
            assert list(follow(lab)) == ALL
            assert [r.headers["last-event-id"] for r in there.asked] == ["0", "2", "2"]

    def test_closing_the_iterator_closes_the_connection(self) -> None:
        with scripted_service([Reply(200, stream(0), HEADERS)]) as there, Client(there.url) as lab:
            assert next(iter(follow(lab))) == ALL[0]


class TestAServiceThatIsAway:
    def test_a_service_that_never_answered_is_given_up_soon(self) -> None:
        with scripted_service([HANG_UP]) as there, Client(there.url, retries=1) as lab:
            with pytest.raises(ConnectionFailed):
                list(follow(lab))
            assert len(there.asked) == 2

    def test_a_service_that_has_answered_is_retried_through_an_outage(self) -> None:
        follower = Follower("a", 0, replace(QUICK, outage=0.2))
        service = Service(iter([41]))
        refusals = 0

        def refuse_from_the_second_on(step: Any) -> Any:
            nonlocal refusals
            if isinstance(step, OpenStream) and service.opened:
                refusals += 1
                raise ConnectionFailed("refused")
            return Service.do(service, step)

        service.do = refuse_from_the_second_on  # type: ignore[method-assign]
        with pytest.raises(ConnectionFailed, match=r"^refused$"):
            service.told(follower.emit_events())
        assert refusals > QUICK.most + 10

    def test_an_outage_is_reported(self) -> None:
        told = Service(iter([41])).told(Follower("a", 0, QUICK).emit_events())
        assert told[0] == ServiceUnavailable("the line broke")

    def test_a_stream_that_ends_at_once_is_given_up(self) -> None:
        with (
            scripted_service([Reply(200, b"", HEADERS)]) as there,
            Client(there.url, retries=1, outage=1) as lab,
            pytest.raises(ConnectionFailed, match="stream of events broke"),
        ):
            list(follow(lab))

    def test_a_refused_stream_is_an_error_at_once(self) -> None:
        with scripted_service([problem_reply(404, "not-found", "no job")]) as there:
            with Client(there.url) as lab, pytest.raises(NotFound, match=r"^no job$"):
                list(follow(lab))
            assert len(there.asked) == 1

    def test_too_many_streams_are_retried(self) -> None:
        busy = problem_reply(429, "rate-limited")
        with (
            scripted_service([busy, Reply(200, stream(0), HEADERS)]) as there,
            Client(there.url) as lab,
        ):
            assert list(follow(lab)) == ALL


class TestWatching:
    def test_a_queued_job_is_polled_and_a_running_one_streamed(self) -> None:
        queue = {"position": 2, "why": "1 job runs here"}
        waits = {**JOB, "state": "queued", "queue": queue}
        documents = iter([waits, waits, {**JOB, "state": "running"}])
        service = Service(iter(()))

        def do(step: Any) -> Any:
            if isinstance(step, HttpRequest):
                return HttpResponse(200, {}, json.dumps(next(documents, JOB)).encode())
            return Service.do(service, step)

        service.do = do  # type: ignore[method-assign]
        told = service.told(Follower("a", 0, QUICK).watch())
        assert [t.document["state"] for t in told if isinstance(t, JobSnapshot)] == [
            *("queued", "queued", "running", "succeeded")
        ]
        assert [t for t in told if isinstance(t, JobEvent)] == ALL

    def test_a_job_that_is_queued_again_ends_the_stream(self) -> None:
        service = Service(iter(()))
        told = service.told(Follower("a", 0, QUICK).emit_events(until_queued_after=0))
        assert told == ALL[:1]
        told = service.told(Follower("a", 0, QUICK).emit_events(until_queued_after=1))
        assert told == ALL

    def test_polls_are_a_second_apart(self) -> None:
        course = RunningOperation(Follower("a", 0, QUICK).watch(), QUICK)
        course.resume(HttpResponse(200, {}, json.dumps({**JOB, "state": "queued"}).encode()))
        course.resume(None)
        assert course.step == Sleep(1.0)


def follow(lab: Client, after: int = 0) -> Iterator[JobEvent]:
    from intertwine_api.client import Job

    return Job(lab._connection, JOB).events(after)
