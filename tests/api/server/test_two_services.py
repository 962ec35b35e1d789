"""Two services on one database: it is as if there were one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.databases import Databases
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
    give_up = time.monotonic() + 120
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
        assert 1 <= most <= 2

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
