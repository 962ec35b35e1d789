"""Two services on one database: it is as if there were one."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.databases import Databases
from helpers.example_tiers import Gateway
from helpers.patience import PATIENCE
from helpers.service import SO3, UNKNOWN, problem, service_process

ENDLESS = {"kind": "solve", "rep": "V**8", "group": "SO(4)", "method": "krylov"}

Pair = tuple[httpx.Client, httpx.Client]


@pytest.fixture(scope="module")
def pair(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Clients of two services on one host: one PostgreSQL, one folder of data."""
    data = tmp_path_factory.mktemp("lab") / "data"
    with databases.empty("postgresql") as url:
        settings = {"database": url, "jobs": "2", "workers": "1", "solve_job_operations": "1"}
        with (
            service_process(data, **settings) as one,
            service_process(data, **settings) as other,
            httpx.Client(base_url=one.address, timeout=60) as here,
            httpx.Client(base_url=other.address, timeout=60) as there,
        ):
            yield here, there


def submit(client: httpx.Client, document: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=document, headers=headers)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def reached(client: httpx.Client, job: dict[str, Any], *states: str) -> dict[str, Any]:
    give_up = time.monotonic() + PATIENCE
    while True:
        document: dict[str, Any] = client.get(job["links"]["self"]).json()
        if document["state"] in states:
            return document
        assert time.monotonic() < give_up, document
        time.sleep(0.1)


@pytest.mark.slow
class TestTwoServices:
    def test_each_job_runs_once_and_no_more_at_once_than_the_host_has_places(
        self, pair: Pair
    ) -> None:
        solve = {"kind": "solve", **SO3}
        jobs = [submit(client, solve) for client, _ in zip(cycle(pair), range(10), strict=False)]
        most = 0
        while any(job["state"] not in ("succeeded", "failed") for job in jobs):
            found = pair[0].get("/v1/jobs").json()["data"]
            jobs = [job for job in found if job["id"] in {job["id"] for job in jobs}]
            most = max(most, sum(job["state"] in ("leased", "running") for job in jobs))
            time.sleep(0.1)
        assert {(job["state"], job["attempt"]) for job in jobs} == {("succeeded", 1)}
        assert most <= 2

    def test_one_idempotency_key_at_both_services_is_one_job(self, pair: Pair) -> None:
        with ThreadPoolExecutor(8) as threads:

            def ask(client: httpx.Client) -> str:
                job: str = submit(client, {"kind": "solve", **SO3}, **{"idempotency-key": "k"})[
                    "id"
                ]
                return job

            asked = [client for client, _ in zip(cycle(pair), range(8), strict=False)]
            assert len(set(threads.map(ask, asked))) == 1

    def test_one_basis_requested_at_both_services_is_one_job(self, pair: Pair) -> None:
        asked = {"rep": "V**5", "group": "SO(3)", "method": "krylov"}
        with ThreadPoolExecutor(8) as threads:

            def ask(client: httpx.Client) -> dict[str, Any]:
                answer = client.post("/v1/bases", json=asked, headers={"prefer": "wait=60"})
                document: dict[str, Any] = answer.json()
                return document

            clients = [client for client, _ in zip(cycle(pair), range(8), strict=False)]
            answers = list(threads.map(ask, clients))
        assert {answer["rank"] for answer in answers} == {6}
        found = pair[0].get("/v1/jobs", params={"kind": "solve"}).json()["data"]
        assert sum(job["request"]["rep"] == "V**5" for job in found) == 1

    def test_each_service_controls_the_jobs_of_the_other(self, pair: Pair) -> None:
        here, there = pair
        job = submit(here, ENDLESS)
        reached(there, job, "running")
        with there.stream("GET", job["links"]["events"]) as stream:
            assert there.post(job["links"]["cancel"]).json()["state"] == "cancelling"
            lines = list(stream.iter_lines())
        assert "event: end" in lines
        assert reached(here, job, "cancelled")["attempt"] == 1
        assert there.get(job["links"]["logs"]).text.startswith("--- attempt 1")
        assert here.delete(job["links"]["self"]).status_code == 204
        assert there.get(job["links"]["self"]).status_code == 404


@pytest.mark.slow
def test_a_service_without_its_database_is_not_ready(databases: Databases, tmp_path: Path) -> None:
    with ExitStack() as stack:
        with databases.empty("postgresql") as url:
            service = stack.enter_context(
                service_process(tmp_path / "data", database=url, workers="1")
            )
        client = stack.enter_context(httpx.Client(base_url=service.address, timeout=60))
        assert client.get("/healthz").status_code == 200
        for path in ("/readyz", "/v1/jobs", f"/v1/bases/{UNKNOWN}"):
            answer = client.get(path)
            problem(answer, 503, "not-ready")
            assert answer.headers["retry-after"] == "5"


def samples(seed: int) -> bytes:
    sent = io.BytesIO()
    X = np.random.default_rng(seed).standard_normal((30, 3)).astype(np.float32)
    np.savez(sent, X=X, Y=np.sum(X**2, axis=1, keepdims=True))
    return sent.getvalue()


def upload(client: httpx.Client, seed: int) -> httpx.Response:
    return client.post(
        "/v1/datasets",
        params={"rep_in": "V", "rep_out": "V0", "group": "SO(3)"},
        content=samples(seed),
        headers={"content-type": "application/zip"},
    )


def training(dataset: str, name: str) -> dict[str, Any]:
    model = {"type": "EMLP", "ch": 8, "num_layers": 1}
    epochs = {"epochs": 2, "batch_size": 16}
    return {"kind": "train", "dataset": dataset, "name": name, "model": model, "training": epochs}


@pytest.mark.slow
def test_services_without_a_common_disk_share_a_bucket(
    databases: Databases, tmp_path: Path, s3: dict[str, str]
) -> None:
    gateway = Gateway()
    with ExitStack() as stack:
        url = stack.enter_context(databases.empty("postgresql"))
        bucket = stack.enter_context(gateway.open(s3))
        settings = {"database": url, "objects": bucket, "workers": "1"}
        first = stack.enter_context(service_process(tmp_path / "a", jobs="0", **settings))
        second = stack.enter_context(service_process(tmp_path / "b", jobs="1", **settings))
        assert f"datasets and weights: {bucket}" in first.announced
        here = stack.enter_context(httpx.Client(base_url=first.address, timeout=60))
        there = stack.enter_context(httpx.Client(base_url=second.address, timeout=60))
        assert bucket in here.get("/system").text
        # a dataset of one host, a training on the other, and the model called on the first
        dataset = upload(here, 1).json()["id"]
        assert there.get(f"/v1/blobs/{dataset}").status_code == 200
        job = reached(here, submit(here, training(dataset, "lengths")), "succeeded", "failed")
        assert job["state"] == "succeeded", job
        forward = "/v1/models/lengths:forward"
        answer = here.post(forward, json={"inputs": [[1.0, 2.0, 2.0]]})
        assert answer.status_code == 200, answer.text
        assert here.get("/v1/models/lengths/versions/1").json()["has_weights"]
        (listed,) = here.get("/v1/models").json()["data"]
        assert listed["newest"]["has_weights"]
        # without the bucket: the loaded model answers, jobs wait, and other requests get 503
        later = upload(here, 2).json()["id"]
        gateway.is_down = True
        refused = upload(here, 3), here.get("/readyz"), there.get(f"/v1/blobs/{later}")
        for answer in refused:
            assert "bucket" in problem(answer, 503, "not-ready")["detail"]
            assert answer.headers["retry-after"] == "5"
        assert here.post(forward, json={"inputs": [[1.0, 2.0, 2.0]]}).status_code == 200
        waiting = submit(here, training(later, "waited"))
        reached(here, waiting, "running")
        time.sleep(5)
        gateway.is_down = False
        job = reached(here, waiting, "succeeded", "failed")
        assert (job["state"], job["attempt"]) == ("succeeded", 1), job
        assert upload(here, 3).status_code == 201
        assert here.get("/readyz").status_code == 200
        assert there.get(f"/v1/blobs/{later}").status_code == 200
        # a bucket that may only be read
        gateway.refused = ("PUT", "POST", "DELETE")
        assert "refuses" in problem(upload(there, 4), 503, "not-ready")["detail"]
