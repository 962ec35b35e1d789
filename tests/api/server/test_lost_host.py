"""Two hosts with data folders of their own share a database and a bucket, and one is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from helpers.databases import Databases
from helpers.example_jobs import soon
from helpers.example_tiers import s3_server
from helpers.service import ServiceProcess, problem, service_process
from intertwine_api.storage.bucket import Bucket
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.shared_job_files import SharedJobFiles

pytestmark = pytest.mark.slow  # real services, and networks that are compiled

TRAINING = {
    "kind": "train",
    "dataset": {"name": "Inertia", "size": 200, "seed": 0},
    "model": {"type": "EMLP", "ch": 8, "num_layers": 1},
    "training": {"epochs": 12000, "batch_size": 16, "seed": 3},
}


@pytest.fixture
def settings(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The settings of the hosts of a service."""
    with s3_server(tmp_path) as s3, databases.empty("postgresql") as url:
        for name, value in s3.items():
            monkeypatch.setenv(name, value)
        yield {
            "database": url,
            "objects": "s3://lab/service",
            "jobs": "1",
            "workers": "1",
            "lease_seconds": "8",
        }


def client_of(stack: ExitStack, service: ServiceProcess) -> httpx.Client:
    return stack.enter_context(httpx.Client(base_url=service.address, timeout=60))


def submitted(client: httpx.Client, document: dict[str, Any]) -> str:
    answer = client.post("/v1/jobs", json=document)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def show(client: httpx.Client, job: str) -> dict[str, Any]:
    document: dict[str, Any] = client.get(f"/v1/jobs/{job}").json()
    return document


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    soon(lambda: show(client, job)["state"] in ("succeeded", "failed"), 300)
    return show(client, job)


def log_of(client: httpx.Client, job: str) -> str:
    answer = client.get(f"/v1/jobs/{job}/logs")
    assert answer.status_code == 200, answer.text
    return answer.text


def losses(client: httpx.Client, job: str) -> list[tuple[int, float, float]]:
    rows = client.get(f"/v1/jobs/{job}/metrics", params={"points": 10_000}).json()["data"]
    return [(row["epoch"], row["train_loss"], row["test_loss"]) for row in rows]


def told(client: httpx.Client, job: str) -> list[tuple[int, int]]:
    """The attempts and the epochs of all events of metrics, in their order."""
    found: list[tuple[int, int]] = []
    attempt, after, has_more = 0, 0, True
    while has_more:
        page = client.get(
            f"/v1/jobs/{job}/events",
            params={"after": after, "limit": 1000},
            headers={"accept": "application/json"},
        ).json()
        for event in page["data"]:
            attempt = event["data"].get("attempt", attempt)
            if event["type"] == "metrics":
                found += [(attempt, row["epoch"]) for row in event["data"]["rows"]]
        after, has_more = page["next"], page["has_more"]
    return found


def lose(service: ServiceProcess) -> None:
    """Kill a service and all processes of its jobs with SIGKILL, as if its host had failed."""
    processes = psutil.Process(service.pid).children(recursive=True)
    names = [" ".join(process.cmdline()) for process in processes]
    for module in ("supervisor", "process", "job_uploader"):
        assert any(f"intertwine_api.work.{module}" in name for name in names), names
    service.kill()
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=120)


@contextmanager
def outage_of_the_bucket() -> Iterator[None]:
    """A time in which the bucket does not answer."""
    servers = [
        process
        for process in psutil.Process().children()
        if "moto.server" in " ".join(process.cmdline())
    ]
    for server in servers:
        server.suspend()
    try:
        yield
    finally:
        for server in servers:
            server.resume()


def test_a_training_goes_on_at_another_host_from_its_last_checkpoint(
    settings: dict[str, str], tmp_path: Path
) -> None:
    bucket = Bucket(settings["objects"])
    shared = SharedJobFiles(bucket)
    one, other = tmp_path / "one" / "data", tmp_path / "other" / "data"
    for folder in (one, other):
        folder.parent.mkdir()
    with ExitStack() as stack:
        here = stack.enter_context(service_process(one, **settings))
        there = stack.enter_context(service_process(other, **settings))
        job = submitted(client_of(stack, here), {**TRAINING, "name": "interrupted"})
        client = client_of(stack, here)
        index = f"jobs/{job}/checkpoints/1.json"
        soon(lambda: losses(client, job) and bucket.get(index), 120)
        if not JobFolder.of(one, job).path.exists():  # the other host has taken it
            here, there, one, other = there, here, other, one
        lose(here)
        epoch = losses(client_of(stack, there), job)[-1][0]
        client = client_of(stack, there)
        document = ended(client, job)
        assert (document["state"], document["attempt"]) == ("succeeded", 2), document
        assert epoch < TRAINING["training"]["epochs"]  # type: ignore[index]

        log = log_of(client, job)
        assert log.startswith("--- attempt 1, ")
        assert log.index("--- attempt 2, ") < log.index("the checkpoint of attempt 1 was copied")
        assert JobFolder.of(other, job).logged_attempts() == {2}
        soon(lambda: shared.sizes()[job].checkpoints == 0)

        rows = losses(client, job)
        events = told(client, job)
        assert len(set(events)) == len(events)
        assert sorted({epoch for _, epoch in events}) == [epoch for epoch, *_ in rows]
        assert {attempt for attempt, _ in events} == {1, 2}
        whole = submitted(client, {**TRAINING, "name": "whole"})
        expected = ended(client, whole)
        assert (expected["state"], expected["attempt"]) == ("succeeded", 1), expected
        assert rows == losses(client, whole)
        for name in ("test_loss", "train_loss", "epochs"):
            assert document["result"][name] == expected["result"][name]

        here.start()  # the host is back
        back = client_of(stack, here)
        assert log_of(back, job) == log_of(client, job) != ""
        assert log_of(back, whole) == log_of(client, whole) != ""
        part = back.get(f"/v1/jobs/{whole}/logs", params={"offset": 4, "tail": 30})
        size = len(log_of(client, whole).encode())
        assert part.headers["x-log-size"] == str(size)
        assert part.headers["x-log-offset"] == str(max(4, size - 30))
        assert back.delete(f"/v1/jobs/{job}").status_code == 204
        assert set(shared.sizes()) == {whole}
        with outage_of_the_bucket():
            assert log_of(client, whole).startswith("--- attempt 1")  # its own file
            problem(back.get(f"/v1/jobs/{whole}/logs"), 503, "not-ready")


def test_a_training_goes_on_at_its_own_host_while_the_bucket_is_away(
    settings: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    with ExitStack() as stack:
        service = stack.enter_context(service_process(tmp_path / "one" / "data", **settings))
        client = client_of(stack, service)
        job = submitted(client, {**TRAINING, "name": "model"})
        folder = JobFolder.of(tmp_path / "one" / "data", job)
        soon(lambda: folder.checkpoint_files(1) and losses(client, job), 120)
        with outage_of_the_bucket():
            epoch = losses(client, job)[-1][0]
            soon(lambda: losses(client, job)[-1][0] > epoch + 500)
            soon(lambda: "cannot upload the log and the checkpoints" in log_of(client, job))
        document = ended(client, job)
        assert (document["state"], document["attempt"]) == ("succeeded", 1), document
        assert "Traceback" not in log_of(client, job)
