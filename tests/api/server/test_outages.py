"""A service whose database is away answers every address, and is itself again afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.databases import Databases, write_lock
from helpers.example_jobs import soon
from helpers.patience import PATIENCE, quickest, seconds_of
from helpers.service import SO3, UNKNOWN, problem, service_process
from safetensors.numpy import save

pytestmark = pytest.mark.slow  # real processes

#: What each route with a body is sent.
BODIES: dict[str, Any] = {
    "/v1/bases": {**SO3, "rep": "V**2"},
    "/v1/jobs": {"kind": "solve", **SO3},
    "/v1/models/{name}:forward": {"inputs": [[1.0, 2.0, 3.0]]},
}
FILES = ("/v1/datasets", "/v1/blobs")
VALUES = {"{job}": "0" * 16, "{name}": "a", "{number}": "1", "{dataset}": UNKNOWN}


@pytest.fixture
def server() -> Iterator[Databases]:
    """A PostgreSQL of its own, which a test may stop."""
    databases = Databases()
    yield databases
    databases.close()


def ask_everything(client: httpx.Client, key: str) -> dict[str, httpx.Response]:
    """Send a request to every operation of the OpenAPI document. Return the responses."""
    answers = {}
    file = save({"X": np.ones((2, 3), np.float32), "Y": np.ones((2, 1), np.float32)})
    for template, operations in client.get("/openapi.json").json()["paths"].items():
        path = template.replace("{key}", key).replace("{digest}", UNKNOWN)
        for name, value in VALUES.items():
            path = path.replace(name, value)
        for method in operations:
            sent: dict[str, Any] = {}
            if template in FILES and method == "post":
                sent = {"content": file, "headers": {"content-type": "application/octet-stream"}}
            elif method == "post":
                sent = {"json": BODIES.get(template, {"rep": "V**2", "group": "SO(3)"})}
            answers[f"{method} {template}"] = client.request(method, path, **sent)
    return answers


@pytest.mark.parametrize("has_keys", [False, True])
def test_every_address_says_that_it_is_not_ready_and_then_works_again(
    server: Databases, tmp_path: Path, has_keys: bool
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(server.empty("postgresql"))
        service = stack.enter_context(
            service_process(tmp_path / "data", database=url, workers="1", jobs="1")
        )
        client = stack.enter_context(httpx.Client(base_url=service.address, timeout=60))
        if has_keys:
            client.headers["authorization"] = f"Bearer {_key(url)}"
            time.sleep(3.1)  # the service knows in a moment that it asks for keys
        known = client.post("/v1/bases", json=SO3).json()["key"]
        working = ask_everything(client, known)
        assert len(working) > 30
        assert not [name for name, answer in working.items() if answer.status_code >= 500]
        with server.stopped():
            for _ in range(2):  # while the caller is remembered, and afterwards
                answers = ask_everything(client, known)
                refused = {name for name, answer in answers.items() if answer.status_code >= 500}
                for name in refused:
                    answer = answers[name]
                    assert answer.status_code == 503, (name, answer.text)
                    assert answer.headers["retry-after"] == "5", name
                    if not name.startswith("head"):  # which has no body
                        problem(answer, 503, "not-ready")
                time.sleep(3.1)
        assert {"get /readyz", "get /metrics", *(n for n in answers if " /v1/" in n)} == refused
        again = ask_everything(client, known)
        assert not [name for name, answer in again.items() if answer.status_code >= 500]
        job = client.post("/v1/jobs", json={"kind": "solve", **SO3, "rep": "V**3"}).json()
        give_up = time.monotonic() + PATIENCE
        while client.get(f"/v1/jobs/{job['id']}").json()["state"] != "succeeded":
            assert time.monotonic() < give_up
            time.sleep(0.1)
        assert "Traceback" not in (tmp_path / "data.log").read_text()


def test_writes_to_a_locked_file_are_not_ready_and_reads_go_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'intertwine.db'}"
    settings = {"database": f"{url}?timeout=0.3", "workers": "1", "jobs": "0"}
    with (
        service_process(tmp_path / "data", **settings) as service,
        httpx.Client(base_url=service.address, timeout=60) as client,
    ):
        with write_lock(url):
            answer = client.post("/v1/jobs", json={"kind": "solve", **SO3})
            problem(answer, 503, "not-ready")
            assert answer.headers["retry-after"] == "5"
            assert client.get("/v1/jobs").status_code == 200
        sent = {"kind": "solve", **SO3}  # the service itself writes now and then
        soon(lambda: client.post("/v1/jobs", json=sent).status_code == 202)


def test_a_key_is_accepted_at_once_while_the_file_is_locked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'intertwine.db'}"
    with (
        service_process(tmp_path / "data", database=url, workers="1", jobs="0") as service,
        httpx.Client(base_url=service.address, timeout=60) as client,
    ):
        unused = iter([_key(url) for _ in range(3)])

        def ask() -> None:
            client.headers["authorization"] = f"Bearer {next(unused)}"
            assert client.get("/v1/jobs").status_code == 200

        with write_lock(url):  # for less than the timeout of 30 s
            assert quickest(lambda: seconds_of(ask), 5, tries=3) < 5


def _key(url: str) -> str:
    from intertwine_api.storage.database import Database
    from intertwine_api.storage.keys import Keys

    database = Database(url)
    token = Keys(database).create("boss", ["admin"])[1]
    database.close()
    return token
