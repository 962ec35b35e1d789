"""Operations over HTTP: from several threads, forgotten, interrupted, and awaited."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import numpy as np
import pytest
from helpers.patience import quickest
from helpers.scripted_service import (
    Reply,
    Request,
    dataset_document,
    job_document,
    json_reply,
    problem_document,
    problem_reply,
    scripted_service,
)
from intertwine_api.client import AsyncClient, Client
from intertwine_api.client.connection import run
from intertwine_api.client.errors import ConnectionFailed, ServiceError

JOB = job_document()


def echo(request: Request) -> Reply:
    return json_reply({**JOB, "id": request.path.rpartition("/")[2]})


def test_several_threads_may_use_one_client() -> None:
    names = [f"job{i}" for i in range(60)]
    with (
        scripted_service(echo) as there,
        Client(there.url) as lab,
        ThreadPoolExecutor(8) as pool,
    ):
        assert [job.id for job in pool.map(lab.job, names)] == names


@pytest.mark.slow
def test_a_discarded_client_closes_its_connections() -> None:
    with scripted_service(echo) as there:
        lab = Client(there.url)
        lab.job("a")
        del lab
        gc.collect()  # a socket left open would warn here, and a warning is an error


def test_close_may_be_called_twice() -> None:
    lab = Client("http://127.0.0.1:1")
    lab.close()
    lab.close()


def test_a_large_body_is_sent_whole_and_can_be_retried() -> None:
    bodies: list[bytes] = []

    def busy_at_first(request: Request) -> Reply:
        if request.path.startswith("/v1/datasets"):
            bodies.append(request.body)
            if len(bodies) == 1:
                return problem_reply(503, "not-ready")
        return json_reply(dataset_document(), 201)

    X = np.random.default_rng(0).standard_normal((1000, 700))
    with scripted_service(busy_at_first) as there, Client(there.url) as lab:
        lab.upload(X, X[:, :1])
    assert bodies[0] == bodies[1]
    assert X.tobytes() in bodies[0]


def test_a_response_in_the_middle_of_a_body_is_read() -> None:
    """A service that will have no more of it answers, and hangs up."""
    import socket

    refusal = json.dumps(problem_document(413, "body-too-large", "too large")).encode()
    answer = (
        b"HTTP/1.1 413 Too Large\r\ncontent-type: application/problem+json\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(refusal), refusal)
    )
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            taken, _ = server.accept()
            with taken:
                taken.recv(2**16)
                taken.sendall(answer)
                while taken.recv(2**20):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        large = np.zeros((1000, 1000))
        with Client(url, retries=0) as lab, pytest.raises(ServiceError, match=r"^too large$"):
            lab.upload(large, large)
        thread.join()


def test_an_operation_that_suspends_is_an_error() -> None:
    class Suspending:
        def __await__(self) -> Iterator[None]:
            yield

    with pytest.raises(RuntimeError, match="was suspended"):
        run(Suspending())


def test_a_synchronous_client_works_inside_an_event_loop() -> None:
    async def read(url: str) -> str:
        with Client(url) as lab:
            return lab.job("a").id

    with scripted_service(echo) as there:
        assert anyio.run(read, there.url) == "a"


class TestAwaited:
    def test_a_busy_service_is_asked_again(self) -> None:
        async def read(url: str) -> str:
            async with AsyncClient(url) as lab:
                return (await lab.job("a")).id

        with scripted_service([problem_reply(503, "not-ready"), json_reply(JOB)]) as there:
            assert anyio.run(read, there.url) == "a"
            assert len(there.asked) == 2

    @pytest.mark.slow
    def test_concurrent_calls_do_not_block_each_other(self) -> None:
        def slow(request: Request) -> Reply:
            time.sleep(0.3)
            return echo(request)

        async def many(url: str) -> float:
            begun = time.perf_counter()
            async with AsyncClient(url) as lab, anyio.create_task_group() as group:
                for i in range(10):
                    group.start_soon(lab.job, f"job{i}")
            return time.perf_counter() - begun

        with scripted_service(slow) as there:
            assert quickest(lambda: anyio.run(many, there.url), 2) < 2

    def test_waiting_can_be_cancelled(self) -> None:
        def never(request: Request) -> Reply:
            return json_reply({**JOB, "queue": {"position": 1, "why": "all is full"}})

        async def give_up(url: str) -> bool:
            async with AsyncClient(url) as lab:
                job = await lab.job("a")
                with anyio.move_on_after(0.5) as scope:
                    await job.wait()
                return scope.cancelled_caught

        with scripted_service(never) as there:
            assert anyio.run(give_up, there.url)

    def test_failures_have_the_same_errors(self) -> None:
        async def ask(url: str) -> Any:
            async with AsyncClient(url, retries=1) as lab:
                with pytest.raises(ConnectionFailed, match="is the service running there"):
                    await lab.job("a")

        anyio.run(ask, "http://127.0.0.1:1")

    def test_trainings_and_datasets_can_be_submitted(self) -> None:
        async def send(url: str) -> list[str]:
            async with AsyncClient(url) as lab:
                stored = await lab.upload(np.zeros((2, 3)), np.zeros((2, 1)), name="zeros")
                job = await lab.train("MLP", stored, epochs=1)
                other = await lab.train_request({"dataset": stored.digest})
                await lab.delete_dataset(stored.digest)
                return [stored.digest, job.id, other.id]

        def answer(request: Request) -> Reply:
            if request.method == "DELETE":
                return Reply(204, b"")
            stored = request.path.startswith("/v1/datasets")
            return json_reply(dataset_document() if stored else job_document(id="j"), 201)

        with scripted_service(answer) as there:
            assert anyio.run(send, there.url) == ["0" * 64, "j", "j"]
        assert [request.method for request in there.asked] == ["POST", "POST", "POST", "DELETE"]
