"""Jobs over HTTP: handed in, followed, cancelled, tried again, deleted; and what becomes of them
when the service is killed.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.example_models import small_model
from helpers.patience import PATIENCE
from helpers.service import SLOWER, SO3, UNKNOWN, followed, problem, running_service
from intertwine.nn.saving import to_config

#: Not what other tests ask the same service for, and find unsolved.
SOLVE = {"kind": "solve", "rep": "V**4", "group": "SO(3)"}
#: Takes minutes: it is there to be cancelled.
ENDLESS = {"kind": "solve", "rep": "V**8", "group": "SO(4)", "method": "krylov"}
ENDED = ("succeeded", "failed", "cancelled")


def ended(client: httpx.Client, job: dict[str, Any], seconds: float = PATIENCE) -> dict[str, Any]:
    return reached(client, job, *ENDED, seconds=seconds)


def reached(
    client: httpx.Client, job: dict[str, Any], *states: str, seconds: float = PATIENCE
) -> dict[str, Any]:
    """The job's document, as soon as it is in one of the states."""
    give_up = time.monotonic() + seconds
    while True:
        document: dict[str, Any] = client.get(job["links"]["self"]).json()
        if document["state"] in states:
            return document
        assert time.monotonic() < give_up, document
        time.sleep(0.05)


def submit(client: httpx.Client, document: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=document, headers=headers)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    return job


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service whose jobs wait for ever."""
    data = tmp_path_factory.mktemp("idle") / "data"
    with running_service(data, jobs="0", workers="1", key_jobs="12") as client:
        yield client


@pytest.fixture(scope="module")
def done(client: httpx.Client) -> dict[str, Any]:
    """A job that has succeeded."""
    return ended(client, submit(client, {**SOLVE, "name": "first", "labels": ["test"]}))


class TestHandingIn:
    def test_a_queued_job_states_its_reason(self, idle: httpx.Client) -> None:
        job = submit(idle, {**SOLVE, "priority": 3, "labels": ["a", "b"], "name": "mine"})
        assert (job["kind"], job["state"], job["owner"]) == ("solve", "queued", "local")
        assert (job["name"], job["labels"], job["priority"]) == ("mine", ["a", "b"], 3)
        assert job["queue"] == {
            "position": 1,
            "why": "this host runs no jobs: it waits for one that does",
        }
        assert job["request"]["rep"] == SOLVE["rep"]
        assert job["links"]["basis"].startswith("/v1/bases/")
        assert job["started"] is None
        assert job["created"].endswith("Z")
        behind = submit(idle, {**SOLVE, "priority": -1})
        assert behind["queue"]["position"] == 2
        for each in (job, behind):
            idle.post(each["links"]["cancel"])

    def test_requests_with_one_idempotency_key_are_one_job(self, idle: httpx.Client) -> None:
        job = submit(idle, SOLVE, **{"idempotency-key": "once"})
        assert submit(idle, SOLVE, **{"idempotency-key": "once"})["id"] == job["id"]
        answer = idle.post("/v1/jobs", json=ENDLESS, headers={"idempotency-key": "once"})
        assert problem(answer, 422, "idempotency-conflict")["job"] == job["id"]
        other = submit(idle, SOLVE, **{"idempotency-key": "twice"})
        assert other["id"] != job["id"]
        for each in (job, other):
            idle.post(each["links"]["cancel"])

    def test_unfinished_jobs_of_an_owner_are_limited(self, idle: httpx.Client) -> None:
        jobs = [submit(idle, SOLVE, **{"idempotency-key": f"n{n}"}) for n in range(12)]
        answer = idle.post("/v1/jobs", json=SOLVE)
        problem(answer, 429, "too-many-jobs")
        assert int(answer.headers["retry-after"]) > 0
        assert submit(idle, SOLVE, **{"idempotency-key": "n3"})["id"] == jobs[3]["id"]
        for job in jobs:
            idle.post(job["links"]["cancel"])
        assert submit(idle, SOLVE)["queue"]["position"] == 1

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"kind": None}, "invalid-request"),
            ({"kind": "dance"}, "invalid-request"),
            ({"rep": None}, "invalid-request"),
            ({"extra": 1}, "invalid-request"),
            ({"rep": "V⊗⊗"}, "syntax"),
            ({"rep": "V**40"}, "too-costly"),
            ({"group": "Nothing(3)"}, "syntax"),
            ({"priority": 10**30}, "invalid-request"),
            ({"name": "a\0b"}, "invalid-request"),
            ({"labels": ["\ud800"]}, "invalid-request"),
            ({"labels": ["x"] * 17}, "invalid-request"),
            ({"limits": {"seconds": 1e9}}, "invalid-request"),
            ({"limits": {"memory": -1}}, "invalid-request"),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    def test_invalid_requests_are_refused_at_once(
        self, idle: httpx.Client, change: dict[str, Any], code: str
    ) -> None:
        document = {n: v for n, v in {**SOLVE, **change}.items() if v is not None}
        body = json.dumps(document).encode()
        answer = idle.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
        problem(answer, 422, code)


def test_an_idempotency_key_works_after_its_dataset_was_deleted(
    idle: httpx.Client,
) -> None:
    sent = io.BytesIO()
    np.savez(sent, X=np.ones((20, 3)), Y=np.ones((20, 1)))
    params = {"rep_in": "V", "rep_out": "V0", "group": "SO(3)"}
    answer = idle.post(
        "/v1/datasets",
        params=params,
        content=sent.getvalue(),
        headers={"content-type": "application/zip"},
    )
    dataset = answer.json()["id"]
    train = {"kind": "train", "dataset": dataset, "model": {"ch": 8}}
    job = submit(idle, train, **{"idempotency-key": "a script"})
    idle.post(job["links"]["cancel"])
    assert idle.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert submit(idle, train, **{"idempotency-key": "a script"})["id"] == job["id"]


def test_lists_omit_the_configs_of_saved_models(idle: httpx.Client) -> None:
    config, blob = to_config(small_model())
    headers = {"content-type": "application/vnd.safetensors"}
    weights = idle.post("/v1/blobs", content=blob, headers=headers).json()["digest"]
    saved = {"config": config, "weights": weights}
    job = submit(idle, {"kind": "train", "dataset": {"name": "Inertia"}, "model": saved})
    assert idle.get(job["links"]["self"]).json()["request"]["model"]["config"] == config
    listed = idle.get("/v1/jobs", params={"limit": 1}).json()["data"][0]
    assert (listed["id"], listed["request"]["model"]) == (job["id"], {"weights": weights})
    idle.post(job["links"]["cancel"])
    saved["config"]["model"] = json.loads("[" * 300 + "]" * 300)
    answer = idle.post(
        "/v1/jobs", json={"kind": "train", "dataset": {"name": "Inertia"}, "model": saved}
    )
    problem(answer, 422, "invalid-request")
    assert idle.get("/v1/jobs").status_code == 200


class TestTheListOfJobs:
    def test_pages_are_followed_by_their_cursors_newest_first(self, idle: httpx.Client) -> None:
        ids = [submit(idle, {**SOLVE, "labels": ["paged"]})["id"] for _ in range(5)]
        asked: dict[str, Any] = {"limit": 2, "label": "paged"}
        seen: list[str] = []
        while True:
            page = idle.get("/v1/jobs", params=asked).json()
            assert len(page["data"]) <= 2
            seen += [job["id"] for job in page["data"]]
            if not page["has_more"]:
                break
            asked["after"] = page["next"]
        assert seen == ids[::-1]
        for each in ids:
            idle.post(f"/v1/jobs/{each}:cancel")
        cancelled = idle.get("/v1/jobs", params={"label": "paged", "state": "cancelled"}).json()
        assert len(cancelled["data"]) == 5
        trained = {"kind": "train", "label": "paged"}
        assert idle.get("/v1/jobs", params=trained).json()["data"] == []
        assert idle.get("/v1/jobs", params={"owner": "nobody"}).json()["data"] == []

    @pytest.mark.parametrize(
        "params",
        [{"limit": 0}, {"after": "nowhere"}, {"after": "nan-x"}, {"state": "odd"}, {"label": "\0"}],
        ids=str,
    )
    def test_invalid_pages_are_refused(self, idle: httpx.Client, params: Any) -> None:
        problem(idle.get("/v1/jobs", params=params), 422, "invalid-request")


class TestOneJob:
    def test_a_job_runs_and_has_a_result(self, client: httpx.Client, done: dict[str, Any]) -> None:
        assert (done["state"], done["attempt"], done["queue"]) == ("succeeded", 1, None)
        assert done["created"] <= done["started"] <= done["ended"]
        assert done["result"]["rank"] == 3
        assert client.get(done["links"]["basis"]).json()["rank"] == 3
        assert client.get(done["links"]["metrics"]).json() == {"data": []}

    def test_the_log_can_be_read_in_parts(self, client: httpx.Client, done: dict[str, Any]) -> None:
        link = done["links"]["logs"]
        whole = client.get(link)
        assert whole.headers["content-type"] == "text/plain; charset=utf-8"
        assert whole.text.startswith("--- attempt 1")
        size = int(whole.headers["x-log-size"])
        assert (size, whole.headers["x-log-offset"]) == (len(whole.content), "0")
        part = client.get(link, params={"offset": 4})
        assert (part.content, part.headers["x-log-offset"]) == (whole.content[4:], "4")
        tail = client.get(link, params={"tail": 5})
        assert (tail.content, tail.headers["x-log-offset"]) == (whole.content[-5:], str(size - 5))
        past = client.get(link, params={"offset": 10**9})
        assert (past.content, past.headers["x-log-offset"]) == (b"", str(size))

    def test_an_unknown_id_is_not_found(self, client: httpx.Client) -> None:
        for name in ("1234", "x" * 32):
            problem(client.get(f"/v1/jobs/{name}"), 404, "not-found")
        for name in ("%00", "x" * 33, "..%2f.."):
            assert client.get(f"/v1/jobs/{name}").status_code in (404, 422)

    def test_a_failed_job_has_its_problem(self, client: httpx.Client) -> None:
        group = {"discrete_generators": [[[1, 1e-9], [0, 1]]], "refine": 0}
        job = ended(client, submit(client, {"kind": "solve", "rep": "V", "group": group}))
        assert (job["state"], job["attempt"], job["result"]) == ("failed", 1, None)
        assert job["problem"]["code"] == "ambiguous-rank"
        problem(client.get(job["links"]["basis"]), 422, "ambiguous-rank")
        again = client.post(job["links"]["retry"]).json()
        assert again["state"] in ("queued", "leased", "running")
        job = ended(client, again)
        assert (job["state"], job["attempt"]) == ("failed", 2)

    def test_a_job_over_its_memory_limit_fails_with_the_numbers(self, client: httpx.Client) -> None:
        limits = {"memory": 10**7}
        job = ended(client, submit(client, {**SOLVE, "limits": limits}))
        assert (job["state"], job["problem"]["code"]) == ("failed", "out-of-memory")
        assert job["problem"]["limit_bytes"] == 10**7

    def test_a_deleted_job_is_not_found(self, client: httpx.Client) -> None:
        job = ended(client, submit(client, SOLVE))
        here = job["links"]["self"]
        assert client.delete(here).status_code == 204
        for link in ("self", "events", "metrics", "logs"):
            problem(client.get(job["links"][link]), 404, "not-found")
        problem(client.delete(here), 404, "not-found")


class TestCancel:
    def test_a_queued_job_is_cancelled_at_once(self, idle: httpx.Client) -> None:
        job = submit(idle, SOLVE)
        cancelled = idle.post(job["links"]["cancel"]).json()
        assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "cancelled by local")
        assert cancelled["attempt"] == 0
        assert idle.post(job["links"]["cancel"]).json()["state"] == "cancelled"
        assert idle.post(job["links"]["retry"]).json()["state"] == "queued"
        problem(idle.post(job["links"]["retry"]), 409, "wrong-state")
        problem(idle.delete(job["links"]["self"]), 409, "wrong-state")
        idle.post(job["links"]["cancel"])

    @pytest.mark.slow
    def test_a_running_job_is_cancelled(self, client: httpx.Client) -> None:
        job = submit(client, ENDLESS)
        reached(client, job, "running")
        assert client.post(job["links"]["cancel"]).json()["state"] == "cancelling"
        job = ended(client, job)
        assert (job["state"], job["reason"]) == ("cancelled", "cancelled by local")
        problem(client.get(job["links"]["basis"]), 404, "not-found")


class TestLongSolves:
    def test_a_long_solve_is_a_job_at_the_same_address(self, tmp_path: Path) -> None:
        settings = {"solve_job_operations": "1e3", "jobs": "1"}
        with running_service(tmp_path / "data", **settings) as client:
            ahead = submit(client, ENDLESS)  # until all have asked
            pending = client.post("/v1/bases", json=SLOWER, headers={"prefer": "wait=0"})
            assert pending.status_code == 202
            document = pending.json()
            assert pending.headers["location"] == f"/v1/bases/{document['key']}"
            assert document["job"] in pending.headers["link"]
            twin = client.post("/v1/bases", json=SLOWER, headers={"prefer": "wait=0"}).json()
            assert twin["job"] == document["job"]
            following = client.get(pending.headers["location"])
            assert following.json()["job"] == document["job"]
            client.post(ahead["links"]["cancel"])
            manifest = followed(client, following).json()
            assert (manifest["key"], manifest["rank"]) == (document["key"], 15)
            job = ended(client, client.get(document["job"]).json())  # the basis is stored first
            assert (job["kind"], job["state"]) == ("solve", "succeeded")
            assert client.post("/v1/bases", json=SLOWER).json()["cached"]

    @pytest.mark.slow
    def test_a_waiting_request_gets_the_basis_or_the_problem(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", solve_job_operations="1") as client:
            answer = client.post("/v1/bases", json=SO3, headers={"prefer": "wait=60"})
            assert (answer.status_code, answer.json()["rank"]) == (200, 6)
            assert len(client.get("/v1/jobs").json()["data"]) == 1
            group = {"discrete_generators": [[[1, 1e-9], [0, 1]]], "refine": 0}
            asked = {"rep": "V", "group": group}
            for _ in range(2):
                answer = client.post("/v1/bases", json=asked, headers={"prefer": "wait=60"})
                problem(answer, 422, "ambiguous-rank")
            assert len(client.get("/v1/jobs").json()["data"]) == 3

    @pytest.mark.slow
    def test_a_cancelled_solve_is_reported(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", solve_job_operations="1", jobs="0") as client:
            pending = client.post("/v1/bases", json=SO3, headers={"prefer": "wait=0"})
            assert (pending.status_code, pending.json()["state"]) == (202, "queued")
            client.post(f"{pending.json()['job']}:cancel")
            gone = problem(client.get(pending.headers["location"]), 404, "not-found")
            assert "was cancelled" in gone["detail"]
            problem(client.get(f"/v1/bases/{UNKNOWN}"), 404, "not-found")

    @pytest.mark.slow
    def test_a_job_of_lower_limits_or_priority_is_not_shared(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", solve_job_operations="1", jobs="0") as client:
            odd = {"kind": "solve", **SO3}
            short = submit(client, {**odd, "limits": {"seconds": 0.5}})
            late = submit(client, {**odd, "priority": -1})
            document = client.post("/v1/bases", json=SO3, headers={"prefer": "wait=0"}).json()
            assert document["job"] not in (short["links"]["self"], late["links"]["self"])
            again = client.post("/v1/bases", json=SO3, headers={"prefer": "wait=0"}).json()
            assert again["job"] == document["job"]

    @pytest.mark.slow
    def test_a_job_may_take_more_memory_than_a_request_for_a_basis(self, tmp_path: Path) -> None:
        limits = {"solve_memory": "200000000", "jobs": "0"}
        with running_service(tmp_path / "data", **limits) as client:
            asked = {"rep": "V**6", "group": "SO(4)", "method": "svd"}
            problem(client.post("/v1/bases", json=asked), 422, "too-costly")
            job = submit(client, {"kind": "solve", **asked})
            assert job["limits"]["memory"] > 200_000_000
            less = {"kind": "solve", **asked, "limits": {"memory": 200_000_000}}
            problem(client.post("/v1/jobs", json=less), 422, "too-costly")
