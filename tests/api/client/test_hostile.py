"""Answers that are not the service's are one clear error, for every operation of both clients."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers.example_models import small_model
from helpers.honest_service import SOLVE, STORED, TRAINING, UNSTORED, HonestService, X, Y
from helpers.hostile_answers import HOSTILE, SECRET, changed_parts
from helpers.scripted_service import Reply, Request, scripted_service
from intertwine.errors import IntertwineError
from intertwine_api.client import AsyncClient, AsyncJob, AsyncRemoteModel, Client, Job, RemoteModel
from intertwine_api.client import bases as basis_operations
from intertwine_api.client import jobs as job_operations
from intertwine_api.client.errors import ConnectionFailed, ForeignAnswer
from intertwine_api.client.messages import Schema

#: The public operations that send requests. Those of jobs and models have one as their argument.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "Client.basis": lambda lab: lab.basis(STORED),
    "Client.basis of an unstored one": lambda lab: lab.basis(UNSTORED),
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
_PATIENCE: dict[str, Any] = {"retries": 0, "outage": 0.1}
_LONGEST = 20.0  # seconds that an operation may take, on a busy machine


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

    def blocking() -> Any:
        with Client(url, **_PATIENCE) as lab:
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
@pytest.mark.parametrize("name", OPERATIONS)
def test_documents_that_lack_a_part_or_have_another_in_its_place(
    name: str, honest: HonestService, tmp_path: Path
) -> None:
    target = Target(honest)
    with scripted_service(target) as there, calling(name, there.url, tmp_path, False) as call:
        call()
        for first, reply in enumerate(list(target.replies)):
            if reply.headers.get("content-type") != "application/json":
                continue
            for body in changed_parts(reply.body):
                changed = Reply(reply.status, body, reply.headers)
                target.reset(first, lambda reply, changed=changed: changed, once=True)
                with suppress(IntertwineError):
                    call()


@pytest.mark.parametrize("schema", Schema)
def test_every_schema_is_of_the_wire_format(schema: Schema) -> None:
    with pytest.raises(ValueError, match="valid"):
        schema.require([])
