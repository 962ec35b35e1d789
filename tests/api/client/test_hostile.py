"""Answers that are not the service's are one clear error, for every operation of both clients."""

from __future__ import annotations

import inspect
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from helpers.example_models import small_model
from helpers.honest_service import SOLVE, STORED, TRAINING, UNSTORED, HonestService, X, Y
from helpers.hostile_answers import HOSTILE, SECRET, changed_parts
from helpers.patience import in_one_of
from helpers.scripted_service import (
    Reply,
    Request,
    json_reply,
    page_of,
    problem_reply,
    scripted_service,
)
from intertwine.errors import IntertwineError, InvalidSetting
from intertwine_api.client import (
    AsyncClient,
    AsyncJob,
    AsyncRemoteModel,
    Client,
    Job,
    RemoteModel,
    retries,
)
from intertwine_api.client import bases as basis_operations
from intertwine_api.client import jobs as job_operations
from intertwine_api.client.errors import ConnectionFailed, ForeignAnswer, ServiceError
from intertwine_api.client.messages import Schema

#: The public operations that send requests. Those of jobs and models have one as their argument.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "Client.basis": lambda lab: lab.basis(STORED),
    "Client.basis of an unstored one": lambda lab: lab.basis(UNSTORED),
    "Client.molien": lambda lab: lab.molien("V", 2, group="SO(3)"),
    "Client.generators": lambda lab: lab.generators("V", 2, group="SO(3)"),
    "Client.polynomial_basis": lambda lab: lab.polynomial_basis("V", "V", 1, group="SO(3)"),
    "Client.train": lambda lab: lab.train(small_model(), X, Y),
    "Client.upload": lambda lab: lab.upload(X, Y),
    "Client.datasets": lambda lab: lab.datasets(),
    "Client.delete_dataset": lambda lab: lab.delete_dataset("0" * 64),
    "Client.train_request": lambda lab: lab.train_request({}),
    "Client.job": lambda lab: lab.job("training"),
    "Client.jobs": lambda lab: lab.jobs(),
    "Client.models": lambda lab: lab.models(),
    "Client.model": lambda lab: lab.model("small"),
    "Client.delete_model": lambda lab: lab.delete_model("small"),
    "Client.store": lambda lab: lab.store(),
    "Client.in_flight": lambda lab: lab.in_flight("solves"),
    "Client.in_flight of uploads": lambda lab: lab.in_flight("uploads"),
    "Client.end_in_flight": lambda lab: lab.end_in_flight("solves", "0" * 16),
    "Job.refresh": lambda job: job.refresh(),
    "Job.watch": lambda job: job.watch(),
    "Job.events": lambda job: job.events(),
    "Job.metrics": lambda job: job.metrics(),
    "Job.history": lambda job: job.history(),
    "Job.logs": lambda job: job.logs(),
    "Job.logs of the end": lambda job: job.logs(tail=5),
    "Job.follow_logs": lambda job: job.follow_logs(),
    "Job.cancel": lambda job: job.cancel(),
    "Job.retry": lambda job: job.retry(),
    "Job.delete": lambda job: job.delete(),
    "Job.wait": lambda job: job.wait(),
    "Job.result": lambda job: job.result(),
    "Job.result of a solve": lambda job: job.result(),
    "RemoteModel.forward": lambda model: model.forward(X),
    "RemoteModel.download": lambda model: model.download(),
    "RemoteModel.save": lambda model: model.save(model.folder),
    "RemoteModel.refresh": lambda model: model.refresh(),
    "RemoteModel.provenance": lambda model: model.provenance(),
    "RemoteModel.config": lambda model: model.config(),
    "RemoteModel.versions": lambda model: model.versions(),
    "RemoteModel.delete": lambda model: model.delete(),
}
#: Those that read each kind of document, and the fields that are changed, by default all.
READERS: dict[str, tuple[str, ...]] = {
    "Client.basis of an unstored one": ("stage", "key", "size", "rank", "digest", "certificate"),
    "Client.molien": (),
    "Client.polynomial_basis": (),
    "Client.upload": (),
    "Client.datasets": (),
    "Client.jobs": (),
    "Client.models": (),
    "Job.watch": ("state", "queue", "progress", "result", "problem", "last_event"),
    "Job.history": (),
    "Job.result": ("kind", "state", "result", "problem"),
    "Job.result of a solve": ("request",),
    "RemoteModel.download": ("weights", "bytes", "config"),
    "RemoteModel.versions": (),
}
_PATIENCE: dict[str, Any] = {"retries": 0, "outage": 0.1}
_LONGEST = 60.0  # seconds that an operation may take, on a busy machine


def test_every_operation_is_here() -> None:
    own = {"close"}
    public = {
        f"{kind.__name__}.{name}"
        for kind in (Client, Job, RemoteModel)
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name not in own
    } - {"Job.require_succeeded"}
    assert {name.partition(" of ")[0] for name in OPERATIONS} == public


@pytest.fixture(scope="module")
def honest() -> HonestService:
    return HonestService()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis_operations, "_FIRST_POLL", 0.01)
    monkeypatch.setattr(job_operations, "_LONGEST_POLL", 0.01)


class Target:
    """The honest service, whose answers from the request `first` on, or `once`, are changed."""

    def __init__(self, honest: HonestService) -> None:
        self._honest = honest
        self.change: Callable[[Reply], Reply] = lambda reply: reply
        self.first, self.seen, self.once = 0, 0, False
        self.replies: list[Reply] = []

    def __call__(self, request: Request) -> Reply:
        reply = self._honest(request)
        self.replies.append(reply)
        self.seen += 1
        last = self.first + 1 if self.once else self.seen
        return self.change(reply) if self.first < self.seen <= last else reply

    def reset(self, first: int, change: Callable[[Reply], Reply], *, once: bool = False) -> None:
        self.first, self.seen, self.change, self.once = first, 0, change, once
        self.replies.clear()


Call = Callable[[], Any]


@contextmanager
def calling(name: str, url: str, folder: Path, is_async: bool) -> Iterator[Call]:
    """A function that performs an operation, whichever client it is of."""
    kind, operation = name.partition(".")[0], OPERATIONS[name]
    document = SOLVE if name.endswith("of a solve") else TRAINING
    version = {"name": "small", "version": 1}

    def subject(lab: Any) -> Any:
        if kind == "Client":
            return lab
        if kind == "Job":
            job = AsyncJob if is_async else Job
            return job(lab._connection, document)
        model: Any = (AsyncRemoteModel if is_async else RemoteModel)(lab._connection, version)
        model.folder = folder / "model"
        return model

    async def awaited() -> Any:
        async with AsyncClient(url, **_PATIENCE) as lab:
            result = operation(subject(lab))
            if hasattr(result, "__aiter__"):
                return [item async for item in result]
            return await result

    with Client(url, **_PATIENCE) as lab:

        def blocking() -> Any:
            result = operation(subject(lab))
            return list(result) if hasattr(result, "__next__") else result

        yield (lambda: anyio.run(awaited)) if is_async else blocking


@pytest.mark.slow
@pytest.mark.parametrize("is_async", [False, True], ids=["Client", "AsyncClient"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_of_others_are_one_clear_error(
    name: str, is_async: bool, honest: HonestService, tmp_path: Path
) -> None:
    target = Target(honest)
    with (
        scripted_service(target) as there,
        calling(name, there.url, tmp_path, is_async) as call,
    ):
        call()
        replies = list(target.replies)
        for first, reply in enumerate(replies):
            for hostile in HOSTILE:
                if hostile.answer(reply) is None:
                    continue
                target.reset(first, lambda reply, change=hostile.answer: change(reply) or reply)
                expected = (ForeignAnswer, ConnectionFailed) if hostile.breaks else ForeignAnswer
                begun, case = time.monotonic(), f"{hostile.name} at request {first}"
                told = failure(call, expected, case)
                assert there.url in told, case
                assert SECRET not in told, case
                assert told.isprintable(), case
                assert len(told) < 1500, case
                assert time.monotonic() - begun < _LONGEST, case


def failure(call: Call, expected: type | tuple[type, ...], case: str) -> str:
    """The message of the error of a call, which must be one of these."""
    found: Exception | None = None
    try:
        call()
    except IntertwineError as error:
        found = error
    assert isinstance(found, expected), f"{case}: {found!r}"
    return str(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_documents_that_lack_a_part_or_have_another_in_its_place(
    name: str, honest: HonestService, tmp_path: Path
) -> None:
    target = Target(honest)
    with scripted_service(target) as there, calling(name, there.url, tmp_path, False) as call:
        call()
        for first, reply in enumerate(list(target.replies)):
            if reply.headers.get("content-type") != "application/json":
                continue
            for body in changed_parts(reply.body, READERS[name]):
                changed = Reply(reply.status, body, reply.headers)
                target.reset(first, lambda reply, changed=changed: changed, once=True)
                with suppress(IntertwineError):
                    found = call()
                    for shown in found if isinstance(found, list) else [found]:
                        if isinstance(shown, Job | RemoteModel):
                            repr(shown), shown._repr_html_()


@pytest.mark.parametrize("schema", Schema)
def test_every_schema_is_of_the_wire_format(schema: Schema) -> None:
    with pytest.raises(ValueError, match="valid"):
        schema.require([])


class TestLists:
    """Lists whose pages do not end."""

    @staticmethod
    def listing(pages: Callable[[int], dict[str, Any]], limit: int | None = None) -> str:
        numbers = iter(range(10**6))
        with (
            scripted_service(lambda request: json_reply(pages(next(numbers)))) as there,
            Client(there.url) as lab,
            pytest.raises(ForeignAnswer) as caught,
        ):
            lab.jobs(limit=limit)
        assert len(there.asked) < 100
        return str(caught.value)

    @pytest.mark.parametrize("cursor", ["x", "", None], ids=repr)
    def test_the_same_cursor_again(self, cursor: str | None) -> None:
        told = self.listing(lambda n: page_of(TRAINING, has_more=True, next=cursor))
        assert f"the next page has the cursor {cursor or ''!r} again" in told

    def test_a_cycle_of_cursors(self) -> None:
        told = self.listing(lambda n: page_of(TRAINING, has_more=True, next="abc"[n % 3]))
        assert "the next page has the cursor 'a' again" in told

    def test_a_page_of_more_than_was_asked_for(self) -> None:
        told = self.listing(lambda n: page_of(*[TRAINING] * 4, has_more=True, next=str(n)), limit=3)
        assert "a page of at most 3 has 4 documents" in told

    def test_pages_without_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retries, "_MOST_PAGES", 20)
        told = self.listing(lambda n: page_of(has_more=True, next=str(n)))
        assert "the list has not ended after 20 pages" in told
        monkeypatch.setattr(retries, "_MOST_BYTES", 5000)
        told = self.listing(lambda n: page_of(TRAINING, has_more=True, next=str(n)))
        assert "the list has not ended after" in told


class TestEvents:
    """Streams of events that make no progress."""

    STREAM: ClassVar = {"content-type": "text/event-stream"}

    def following(self, reply: Reply, error: type[Exception]) -> str:
        with (
            scripted_service([reply]) as there,
            Client(there.url, retries=1, outage=0.3) as lab,
            pytest.raises(error) as caught,
        ):
            list(Job(lab._connection, TRAINING).events(after=9))
        return str(caught.value)

    def test_the_same_events_for_ever(self) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        event = b"id: 3\nevent: progress\ndata: {}\n\n" * 1000
        endless = Reply(raw=lambda: chain([head], repeat(event)))
        assert "repeats events up to number 9" in self.following(endless, ForeignAnswer)

    def test_streams_that_only_repeat_and_break(self) -> None:
        again = Reply(200, b"id: 3\nevent: progress\ndata: {}\n\n" * 3, self.STREAM)
        assert "the event stream was interrupted" in self.following(again, ConnectionFailed)

    def test_an_event_without_its_fields(self) -> None:
        event = Reply(200, b'id: 10\nevent: metrics\ndata: {"row": []}\n\n', self.STREAM)
        assert "rows: Field required" in self.following(event, ForeignAnswer)


class TestSize:
    def test_an_answer_that_drips_is_given_up(self) -> None:
        def drip() -> Iterator[bytes]:
            yield b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
            while True:
                yield b" "
                time.sleep(0.05)

        def is_given_up(seconds: float) -> bool:  # or no byte comes in this time
            with (
                scripted_service([Reply(raw=drip)]) as there,
                Client(there.url, answer_timeout=seconds, retries=0) as lab,
                pytest.raises(ConnectionFailed) as caught,
            ):
                lab.job("a")
            said = rf"sent only \d+ bytes of an answer in {seconds:g}"
            return re.search(said, str(caught.value)) is not None

        assert in_one_of([partial(is_given_up, seconds) for seconds in (0.5, 0.5, 5, 30)])

    @pytest.mark.slow
    def test_memory_stays_small(self, honest: HonestService) -> None:
        """Not the gigabyte of a bomb, nor more than the weights that were declared."""
        kinds = {kind.name: kind.answer for kind in HOSTILE}
        for name in ("gzip bomb", "endless body", "content-length of a petabyte"):
            target = Target(honest)
            target.reset(1, lambda reply, change=kinds[name]: change(reply) or reply)
            with scripted_service(target) as there, Client(there.url) as lab:
                tracemalloc.start()
                with pytest.raises(ForeignAnswer):
                    RemoteModel(lab._connection, {"name": "small", "version": 1}).download()
                _, most = tracemalloc.get_traced_memory()
                tracemalloc.stop()
            assert most < 30e6, name


class TestKeys:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_key_does_not_follow_a_redirect(self, status: int) -> None:
        with scripted_service([Reply(200, b"")]) as other:
            moved = Reply(status, b"", {"location": f"{other.url}/v1/jobs/a"})
            with (
                scripted_service([moved]) as there,
                Client(there.url, "itw_secret") as lab,
                pytest.raises(ForeignAnswer, match="if the service has moved, give the address"),
            ):
                lab.job("a")
            assert len(there.asked) == 1
            assert other.asked == []

    @pytest.mark.parametrize("client", [Client, AsyncClient])
    @pytest.mark.parametrize(
        ("url", "key"),
        [
            ("http://lab.example.org:8000", "itw_secret"),
            ("http://192.168.1.2", "itw_secret"),
            ("http://localhost.example.org", "itw_secret"),
            ("http://127.0.0.1.example.org", "itw_secret"),
            ("http://ann:itw_secret@lab.example.org", None),
        ],
    )
    def test_a_key_is_not_sent_unencrypted(self, client: type, url: str, key: str | None) -> None:
        with pytest.raises(InvalidSetting, match="is not encrypted, so others could") as caught:
            client(url, key)
        assert "allow_plain_http=True" in str(caught.value)
        assert "itw_secret" not in str(caught.value)
        assert client(url, key, allow_plain_http=True).url == url

    def test_the_environment_may_allow_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INTERTWINE_ALLOW_HTTP", "1")
        assert Client("http://lab.example.org", "itw_secret").url == "http://lab.example.org"
        with pytest.raises(InvalidSetting, match="is not encrypted"):
            Client("http://lab.example.org", "itw_secret", allow_plain_http=False)

    @pytest.mark.parametrize(
        "url",
        [
            *("http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost:8000"),
            "https://lab.example.org",
        ],
    )
    def test_a_key_may_go_to_this_machine_or_encrypted(self, url: str) -> None:
        assert Client(url, "itw_secret").url == url

    def test_a_proxy_is_not_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.org:3128")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(InvalidSetting, match="is not encrypted"):
            Client("http://127.0.0.1:8000", "itw_secret")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert Client("http://127.0.0.1:8000", "itw_secret").url == "http://127.0.0.1:8000"

    def test_an_address_without_a_key_needs_no_encryption(self) -> None:
        assert Client("http://lab.example.org").url == "http://lab.example.org"

    @pytest.mark.parametrize(
        "url", ["ftp://ann:s3cr3t@lab", "http://ann:s3cr3t@lab?x=1", "ann:s3cr3t@lab"]
    )
    def test_an_invalid_address_is_shown_without_its_password(self, url: str) -> None:
        with pytest.raises(InvalidSetting, match="is not the address") as caught:
            Client(url)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("seconds", ["61", "1000000000", "9" * 400])
def test_a_retry_after_of_years_is_not_waited_for(seconds: str) -> None:
    busy = problem_reply(503, "not-ready", retry_after=seconds)
    begun = time.monotonic()
    with (
        scripted_service([busy]) as there,
        Client(there.url) as lab,
        pytest.raises(ServiceError, match=r"^no$"),
    ):
        lab.job("a")
    assert len(there.asked) == 1
    assert time.monotonic() - begun < 60
