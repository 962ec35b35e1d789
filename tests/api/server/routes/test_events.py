"""Streams of events: in order, without a gap or a repeat, whatever breaks in between."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.patience import PATIENCE, in_one_of, quickest, seconds_of
from helpers.service import problem, running_service, service_process

#: Not what other tests ask the same service for, and find unsolved.
SOLVE = {"kind": "solve", "rep": "V**4", "group": "SO(3)"}
#: Takes minutes, and tells all the time how far it is.
ENDLESS = {"kind": "solve", "rep": "V**8", "group": "SO(4)", "method": "krylov"}


@dataclass(frozen=True)
class Event:
    """One server-sent event; a comment has no type."""

    id: int | None
    type: str
    data: dict[str, Any]


def events(lines: Iterator[str]) -> Iterator[Event]:
    """The events of a stream, and its comments."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        elif fields:
            number = int(fields["id"]) if "id" in fields else None
            yield Event(number, fields.get("event", ""), json.loads(fields.get("data", "{}")))
            fields = {}


@contextmanager
def followed(
    client: httpx.Client, job: str, after: int = 0, comments: bool = False
) -> Iterator[Iterator[Event]]:
    """The stream of a job's events behind the one of this number.

    Comments, which say now and then that the stream lives, are left out unless asked for: how many
    there are depends on the time that the job takes.
    """
    headers = {"accept": "text/event-stream", "last-event-id": str(after)}
    with client.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as answer:
        assert answer.status_code == 200
        yield (e for e in events(answer.iter_lines()) if comments or e.type)


def can_follow(client: httpx.Client, address: str) -> bool:
    with client.stream("GET", address) as answer:
        return answer.status_code == 200


def submit(client: httpx.Client, document: dict[str, Any]) -> str:
    job: str = client.post("/v1/jobs", json=document).json()["id"]
    return job


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service whose jobs wait for ever, and whose streams say often that they live."""
    data = tmp_path_factory.mktemp("idle") / "data"
    settings = {"jobs": "0", "workers": "1", "event_heartbeat": "0.4", "key_streams": "3"}
    with running_service(data, **settings) as client:
        yield client


@pytest.fixture(scope="module")
def told(client: httpx.Client) -> tuple[str, list[Event]]:
    """A job that has succeeded, and all that its first follower heard."""
    job = submit(client, SOLVE)
    with followed(client, job) as stream:
        return job, list(stream)


class TestAStream:
    def test_a_stream_has_every_event_once_and_ends_with_the_job(
        self, told: tuple[str, list[Event]]
    ) -> None:
        _, heard = told
        assert [event.id for event in heard[:-1]] == list(range(1, len(heard)))
        states = [event.data["state"] for event in heard[:-1] if event.type == "state"]
        assert states == ["queued", "leased", "running", "succeeded"]
        assert heard[-1] == Event(None, "end", {"state": "succeeded", "reason": "done"})

    def test_a_stream_is_neither_cached_nor_buffered(
        self, client: httpx.Client, told: tuple[str, list[Event]]
    ) -> None:
        answer = client.get(f"/v1/jobs/{told[0]}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("after", [0, 1, 3, 99])
    def test_a_stream_resumes_after_last_event_id(
        self, client: httpx.Client, told: tuple[str, list[Event]], after: int
    ) -> None:
        job, heard = told
        with followed(client, job, after) as stream:
            assert list(stream) == [e for e in heard if e.id is None or e.id > after]
        by_query = client.get(f"/v1/jobs/{job}/events", params={"after": after})
        assert list(events(iter(by_query.text.splitlines()))) == [
            e for e in heard if e.id is None or e.id > after
        ]

    def test_events_are_available_as_pages(
        self, client: httpx.Client, told: tuple[str, list[Event]]
    ) -> None:
        job, heard = told
        address, headers = f"/v1/jobs/{job}/events", {"accept": "application/json"}
        seen, after, ended = [], 0, False
        while not ended:
            asked = {"after": after, "limit": 2}
            page = client.get(address, params=asked, headers=headers).json()
            assert page["has_more"] != page["ended"]
            seen += [Event(e["seq"], e["type"], e["data"]) for e in page["data"]]
            after, ended = page["next"], page["ended"]
        assert seen == heard[:-1]
        assert page["data"][-1]["at"].endswith("Z")

    @pytest.mark.parametrize("number", ["-1", "x", "99999999999999"])
    def test_an_invalid_event_number_is_refused(
        self, client: httpx.Client, told: tuple[str, list[Event]], number: str
    ) -> None:
        address = f"/v1/jobs/{told[0]}/events"
        problem(client.get(address, headers={"last-event-id": number}), 422, "invalid-request")
        problem(client.get(address, params={"after": number}), 422, "invalid-request")

    def test_a_head_request_returns_at_once(self, idle: httpx.Client) -> None:
        job = submit(idle, SOLVE)
        head = idle.head(f"/v1/jobs/{job}/events", timeout=60)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
        idle.post(f"/v1/jobs/{job}:cancel")


class TestLive:
    @pytest.mark.slow
    def test_an_idle_stream_sends_heartbeats(self, idle: httpx.Client) -> None:
        def are_two_heartbeats_in_time(stream: Iterator[Event]) -> bool:
            begun = time.monotonic()
            assert [next(stream).type for _ in range(2)] == ["", ""]
            return 0.5 < time.monotonic() - begun < 3

        def seconds_of_the_end() -> float:
            job = submit(idle, SOLVE)
            with followed(idle, job, comments=True) as stream:
                assert next(stream).data["state"] == "queued"
                assert in_one_of([lambda: are_two_heartbeats_in_time(stream)] * 5)
                idle.post(f"/v1/jobs/{job}:cancel")
                begun = time.monotonic()
                heard = [event for event in stream if event.type]
                seconds = time.monotonic() - begun
            assert [(e.id, e.type) for e in heard] == [(2, "state"), (None, "end")]
            assert heard[-1].data == {"state": "cancelled", "reason": "cancelled by local"}
            return seconds

        assert quickest(seconds_of_the_end, 1) < 1

    def test_a_stream_continues_through_a_retry(self, idle: httpx.Client) -> None:
        job = submit(idle, SOLVE)
        for action in ("cancel", "retry", "cancel"):
            idle.post(f"/v1/jobs/{job}:{action}")
        with followed(idle, job) as stream:
            heard = [event.data["state"] for event in stream]
        assert heard == ["queued", "cancelled", "queued", "cancelled", "cancelled"]

    def test_a_job_that_is_deleted_ends_its_stream(self, idle: httpx.Client) -> None:
        job = submit(idle, SOLVE)
        with followed(idle, job) as stream:
            next(stream)
            idle.post(f"/v1/jobs/{job}:cancel")
            idle.delete(f"/v1/jobs/{job}")
            *_, last = stream
        assert last.type == "end"
        assert last.data["state"] in ("cancelled", "deleted")

    def test_concurrent_streams_of_an_owner_are_limited(self, idle: httpx.Client) -> None:
        job = submit(idle, SOLVE)
        address = f"/v1/jobs/{job}/events"
        with followed(idle, job), followed(idle, job):
            with followed(idle, job):
                problem(idle.get(address), 429, "rate-limited")
            begun = time.monotonic()
            while not can_follow(idle, address):
                assert time.monotonic() - begun < PATIENCE
        idle.post(f"/v1/jobs/{job}:cancel")

    @pytest.mark.slow
    def test_a_service_ends_without_waiting_for_streams(self, tmp_path: Path) -> None:
        with service_process(tmp_path / "data", jobs="0", workers="1") as service:

            def seconds_of_the_end() -> float:
                if not service.is_running:
                    service.start()
                with (
                    httpx.Client(base_url=service.address, timeout=60) as client,
                    followed(client, submit(client, SOLVE)) as stream,
                ):
                    assert next(stream).id == 1
                    seconds = seconds_of(service.end)
                    assert list(stream) == []  # no end: the job goes on
                return seconds

            assert quickest(seconds_of_the_end, 4, tries=3) < 4
        assert "Traceback" not in (tmp_path / "data.log").read_text()


class TestKilled:
    @pytest.mark.slow
    def test_a_job_and_its_events_survive_the_service(self, tmp_path: Path) -> None:
        """kill -9 of the service: its job outlives it, and is looked after by the next."""
        heard: list[Event] = []
        with service_process(tmp_path / "data", workers="1", lease_seconds="3") as service:
            with httpx.Client(base_url=service.address, timeout=60) as client:
                job = submit(client, ENDLESS)
                with suppress(httpx.TransportError), followed(client, job) as stream:
                    for event in stream:
                        heard.append(event)
                        if event.type == "progress":
                            service.kill()
            assert heard[-1].type != "end"
            service.start()
            with httpx.Client(base_url=service.address, timeout=60) as client:
                document = client.get(f"/v1/jobs/{job}").json()
                assert (document["state"], document["attempt"]) == ("running", 1)
                with followed(client, job, heard[-1].id or 0) as stream:
                    for event in stream:
                        heard.append(event)
                        if len(heard) == 8:
                            client.post(f"/v1/jobs/{job}:cancel")
                document = client.get(f"/v1/jobs/{job}").json()
        assert (document["state"], document["attempt"]) == ("cancelled", 1)
        assert [event.id for event in heard[:-1]] == list(range(1, len(heard)))
        states = [event.data["state"] for event in heard[:-1] if event.type == "state"]
        assert states == ["queued", "leased", "running", "cancelling", "cancelled"]
        assert heard[-1].type == "end"

    @pytest.mark.slow
    def test_a_job_killed_with_the_service_resumes(self, tmp_path: Path) -> None:
        """kill -9 of both in mid-training; the epochs are told on, each of them once."""
        train = {
            "kind": "train",
            "dataset": {"name": "Inertia", "size": 200},
            "model": {"ch": 32, "num_layers": 2},
            "training": {"epochs": 40_000, "evaluate_every": 200},
        }
        heard: list[Event] = []
        with service_process(tmp_path / "data", workers="1", lease_seconds="3") as service:
            with httpx.Client(base_url=service.address, timeout=60) as client:
                job = submit(client, train)
                with suppress(httpx.TransportError), followed(client, job) as stream:
                    begun = math.inf
                    for event in stream:
                        heard.append(event)
                        if event.type == "metrics":
                            begun = min(begun, time.monotonic())
                        if time.monotonic() > begun + 4 and service.is_running:  # it was kept once
                            service.kill()
                            service.end_jobs()
            service.start()
            with httpx.Client(base_url=service.address, timeout=120) as client:
                last = max(event.id or 0 for event in heard)
                with followed(client, job, last) as stream:
                    heard += stream
                document = client.get(f"/v1/jobs/{job}").json()
                rows = client.get(f"/v1/jobs/{job}/metrics").json()["data"]
        assert (document["state"], document["attempt"]) == ("succeeded", 2)
        assert [event.id for event in heard[:-1]] == list(range(1, len(heard)))
        states = [event.data["state"] for event in heard[:-1] if event.type == "state"]
        again = ["queued", "leased", "running"]
        assert states == [*again, *again, "succeeded"]
        begun_anew = [i for i, e in enumerate(heard) if e.data.get("state") == "running"][-1]
        first = next(e for e in heard[begun_anew:] if e.type == "metrics")
        assert first.data["rows"][0]["epoch"] > 200  # so it went on from a checkpoint
        assert [row["epoch"] for row in rows] == list(range(200, 40_001, 200))
