"""A job is followed through broken lines and restarts: each event once, in order, to the end."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from helpers.patience import in_one_of
from helpers.scripted_service import (
    HANG_UP,
    Reply,
    Request,
    job_document,
    problem_reply,
    scripted_service,
)
from intertwine.errors import NotFound
from intertwine_api.client import Client
from intertwine_api.client.address import server_address
from intertwine_api.client.connection import Connection, iterate
from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.client.following import Follower, JobEvent, JobSnapshot, ServiceUnavailable
from intertwine_api.client.messages import HttpRequest, HttpResponse
from intertwine_api.client.retries import Retries

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


class Service(Connection):
    """A service without wires, each of whose streams breaks where it is told."""

    def __init__(self, cuts: Iterator[int], retries: Retries = QUICK) -> None:
        self.address = server_address("http://127.0.0.1", None, 1, 1)
        self.retries, self.cuts = retries, cuts
        self.opened: list[int] = []
        self.documents: Iterator[Any] = iter(())
        self.slept: list[float] = []

    @asynccontextmanager
    async def stream(self, request: HttpRequest, *, whole: bool = False) -> AsyncIterator[Any]:
        if whole:
            content = json.dumps(next(self.documents, JOB)).encode()
            yield HttpResponse(200, {"content-type": "application/json"}, content), None
            return
        after = int(request.headers["last-event-id"])
        self.opened.append(after)
        sent = stream(after)
        yield HttpResponse(200, HEADERS), self.broken(sent, next(self.cuts, len(sent)))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def broken(self, sent: bytes, cut: int) -> AsyncIterator[bytes]:
        yield sent[: cut // 2]
        yield sent[cut // 2 : cut]
        if cut % 2:
            raise ConnectionFailed("the line broke")

    def told(self, after: int = 0, until_queued_after: float = math.inf) -> list[Any]:
        return list(iterate(Follower(self, "a", after).events(until_queued_after)))


JOB = job_document(state="succeeded", reason="done", last_event=5)


class TestEvents:
    def test_every_event_comes_once_wherever_the_connection_breaks(self) -> None:
        for cut in range(len(stream(0))):
            service = Service(iter([cut, 40, 1, 0]))
            told = service.told()
            assert [event for event in told if isinstance(event, JobEvent)] == ALL, cut

    def test_a_stream_resumes_after_the_last_received_event(self) -> None:
        first = len(stream(0)) - len(stream(2)) + 5
        service = Service(iter([first]))
        service.told()
        assert service.opened == [0, 2]

    def test_only_events_after_the_given_number_are_returned(self) -> None:
        told = Service(iter(())).told(after=3)
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
        class RefusingFromTheSecondOn(Service):
            @asynccontextmanager
            async def stream(self, request: HttpRequest, **more: Any) -> AsyncIterator[Any]:
                if self.opened:
                    refusals.append("refused")
                    raise ConnectionFailed("refused")
                async with super().stream(request, **more) as opened:
                    yield opened

        refusals: list[str] = []

        def many_are_outlasted(seconds: float) -> bool:  # if it is not stopped meanwhile
            refusals.clear()
            service = RefusingFromTheSecondOn(iter([41]), replace(QUICK, outage=seconds))
            with pytest.raises(ConnectionFailed, match=r"^refused$"):
                service.told()
            return len(refusals) > QUICK.most + 10

        assert in_one_of([partial(many_are_outlasted, seconds) for seconds in (0.2, 0.2, 2, 20)])

    def test_an_outage_is_reported(self) -> None:
        told = Service(iter([41])).told()
        assert told[0] == ServiceUnavailable("the line broke")

    def test_a_stream_that_ends_at_once_is_given_up(self) -> None:
        with (
            scripted_service([Reply(200, b"", HEADERS)]) as there,
            Client(there.url, retries=1, outage=1) as lab,
            pytest.raises(ConnectionFailed, match="event stream was interrupted"),
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
        service = Service(iter(()))
        service.documents = iter([waits, waits, {**JOB, "state": "running"}])
        told = list(iterate(Follower(service, "a").watch()))
        assert [t.document["state"] for t in told if isinstance(t, JobSnapshot)] == [
            *("queued", "queued", "running", "succeeded")
        ]
        assert [t for t in told if isinstance(t, JobEvent)] == ALL

    def test_a_job_that_is_queued_again_ends_the_stream(self) -> None:
        service = Service(iter(()))
        told = service.told(until_queued_after=0)
        assert told == ALL[:1]
        told = service.told(until_queued_after=1)
        assert told == ALL

    def test_polls_are_a_second_apart(self) -> None:
        service = Service(iter(()))
        service.documents = iter([{**JOB, "state": "queued"}])
        list(iterate(Follower(service, "a").watch()))
        assert service.slept == [1.0]


def follow(lab: Client, after: int = 0) -> Iterator[JobEvent]:
    from intertwine_api.client import Job

    return Job(lab._connection, JOB).events(after)
