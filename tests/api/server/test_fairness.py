"""What one caller asks for does not stop the others: costs, shares, and callers who leave."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from helpers.example_jobs import soon
from helpers.hostile import hostile_to
from helpers.service import (
    SO3,
    ServiceProcess,
    followed,
    metric,
    problem,
    running_service,
    service_process,
    stopped_workers,
)
from intertwine.groups import SO
from intertwine.operators import dense
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys

pytestmark = pytest.mark.slow  # real solves that wait

#: Krylov's method takes minutes; the estimate is that of its first block.
LONG = {"rep": "V**10", "group": "SO(3)", "method": "krylov"}
#: With this, it is no job.
IN_PROCESS = {"workers": "1", "solve_job_operations": "1e14"}


def conjugated_so(n: int, seed: int = 0) -> dict[str, Any]:
    """so(n) in a frame that is not orthogonal: its irreps are not known from a catalogue."""
    rng = np.random.default_rng(seed)
    frame = rng.normal(size=(n, n)) + 2 * np.eye(n)
    back = np.linalg.inv(frame)
    generators = [frame @ np.asarray(dense(a)) @ back for a in SO(n).lie_generators]
    return {"lie_algebra": [matrix.tolist() for matrix in generators]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    data = tmp_path_factory.mktemp("costs") / "data"
    with service_process(data, workers="1") as service:
        yield service


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.address, timeout=120) as client:
        yield client


def processor_seconds(service: ServiceProcess) -> float:
    """The time of processors that a service and its workers have taken: others may delay them."""
    process = psutil.Process(service.pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


class TestCosts:
    @pytest.mark.parametrize(
        "asked",
        [
            {"rep": "V**2", "group": "SO(30)"},
            {"rep": "V**5", "group": "SO(8)"},
            {"rep": "V**4", "group": conjugated_so(9)},
            {"rep": "V**3", "group": "SL(12)"},
        ],
        ids=["SO(30)", "SO(8)", "so(9)", "SL(12)"],
    )
    def test_a_costly_decomposition_is_refused_at_once(
        self, service: ServiceProcess, client: httpx.Client, asked: dict[str, Any]
    ) -> None:
        begun = processor_seconds(service)
        document = problem(client.post("/v1/reps:decompose", json=asked), 422, "too-costly")
        assert document["estimate"]["operations"] > document["limit"]["operations"]
        assert processor_seconds(service) - begun < 5

    def test_and_so_are_the_irreps_of_a_large_power(self, client: httpx.Client) -> None:
        problem(client.get("/v1/groups/SO(8)/irreps?power=5"), 422, "too-costly")

    @pytest.mark.parametrize(
        "name", ["Z(10000000)", "SO(60)", "Sp(30)", "SU(30)*SU(30)", "S(3000)"]
    )
    def test_a_large_group_is_refused_before_it_is_built(
        self, client: httpx.Client, name: str
    ) -> None:
        problem(client.get(f"/v1/groups/{name}"), 422, "too-large")
        problem(client.post("/v1/bases", json={"rep": "V", "group": name}), 422, "too-large")
        problem(client.post("/v1/reps:parse", json={"rep": f"V({name})"}), 422, "too-large")

    def test_many_large_groups_take_little_memory(self, tmp_path: Path) -> None:
        with service_process(tmp_path / "data", workers="1") as service:

            def ask(i: int) -> int:
                url = f"{service.address}/v1/groups/Z({900_000 + i})"
                return httpx.get(url, timeout=120).status_code

            with ThreadPoolExecutor(20) as threads:
                assert set(threads.map(ask, range(60))) == {200}
            assert psutil.Process(service.pid).memory_info().rss < 350e6

    def test_exact_strings_are_read_within_a_bound(
        self, service: ServiceProcess, client: httpx.Client
    ) -> None:
        rows = [
            [f"sin({i}*7+{j})/{i + 1}+cos({j})*sqrt({i}+2)" for j in range(100)] for i in range(100)
        ]
        begun = processor_seconds(service)
        asked = {"rep": "V", "group": {"lie_algebra": [rows]}}
        document = problem(client.post("/v1/bases", json=asked), 422, "too-large")
        assert "exact strings" in document["detail"]
        assert processor_seconds(service) - begun < 5

    def test_a_defective_or_crooked_generator_of_size_300_is_estimated_soon(
        self, service: ServiceProcess, client: httpx.Client
    ) -> None:
        matrix = np.random.default_rng(0).normal(size=(300, 300)).round(3).tolist()
        asked = {"rep": "V", "group": {"lie_algebra": [matrix]}, "method": "auto"}
        begun = processor_seconds(service)
        client.post("/v1/bases", json=asked, headers={"prefer": "wait=0"})
        assert processor_seconds(service) - begun < 20  # it was 26 s

    def test_a_decomposition_is_ended_when_a_request_may_wait_no_longer(
        self, tmp_path: Path
    ) -> None:
        with running_service(tmp_path / "data", workers="1", wait_most="3") as client:
            asked = {"rep": "V**4", "group": conjugated_so(8)}
            document = problem(client.post("/v1/reps:decompose", json=asked), 422, "out-of-time")
            assert document["limit_seconds"] == 3
            assert followed(client, client.post("/v1/bases", json=SO3)).json()["rank"] == 6


class TestCallersWhoLeave:
    @pytest.mark.parametrize(
        ("path", "asked"),
        [
            ("/v1/reps:decompose", {"rep": "V**4", "group": conjugated_so(8)}),
            ("/v1/bases", LONG),
        ],
        ids=["decomposition", "solve"],
    )
    def test_work_is_ended_after_the_last(
        self, tmp_path: Path, path: str, asked: dict[str, Any]
    ) -> None:
        data, body = tmp_path / "data", json.dumps(asked).encode()
        headers = {
            **{"content-type": "application/json", "content-length": str(len(body))},
            "prefer": "wait=60",
        }
        with running_service(data, **IN_PROCESS) as client, stopped_workers(data):
            with hostile_to(str(client.base_url)) as hostile:
                hostile.ask("POST", path, headers, body)
                soon(lambda: metric(client, "intertwine_queue") == 1)
            soon(lambda: metric(client, "intertwine_solves_total", outcome="cancelled"))
            assert metric(client, "intertwine_queue") == 0

    def test_a_solve_goes_on_after_a_202(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", **IN_PROCESS) as client:
            answer = client.post("/v1/bases", json=LONG, headers={"prefer": "wait=0"})
            time.sleep(8)
            assert client.get(answer.headers["location"]).status_code == 202


@contextmanager
def lab(data: Path, **settings: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """A service with keys of two owners, as two clients."""
    service = ServiceProcess(data, jobs="0", **settings)
    database = Database(f"sqlite:///{data}/intertwine.db")
    database.migrate()
    tokens = [
        Keys(database).create(owner, ["bases:solve", "jobs:write"])[1] for owner in ("ann", "bob")
    ]
    with service_process(data, service=service):
        ann, bob = (
            httpx.Client(
                base_url=service.address, headers={"authorization": f"Bearer {token}"}, timeout=120
            )
            for token in tokens
        )
        with ann, bob:
            yield ann, bob
    database.close()


class TestShares:
    def test_the_solves_of_one_owner_do_not_delay_another(self, tmp_path: Path) -> None:
        with lab(tmp_path / "data", **IN_PROCESS) as (ann, bob):
            pending = []
            for k in range(10):
                asked = {**LONG, "rep": f"V**10+{k + 1}V0"}
                answer = ann.post("/v1/bases", json=asked, headers={"prefer": "wait=0"})
                assert answer.status_code == 202
                pending.append(answer.headers["location"])
            for n in range(3):
                answer = bob.post("/v1/bases", json={"rep": f"{n + 1}V**2", "group": "SO(3)"})
                assert (answer.status_code, answer.json()["rank"]) == (200, n + 1)
            assert [ann.get(location).status_code for location in pending] == [202] * 10

    def test_one_owner_does_not_fill_the_queue(self, tmp_path: Path) -> None:
        settings = {**IN_PROCESS, "key_solves": "3", "queue": "10"}
        with lab(tmp_path / "data", **settings) as (ann, bob):
            for k in range(4):
                asked = {**LONG, "rep": f"V**10+{k + 1}V0"}
                answer = ann.post("/v1/bases", json=asked, headers={"prefer": "wait=0"})
            document = problem(answer, 429, "rate-limited")
            assert "ann" in document["detail"]
            assert "retry-after" in answer.headers
            assert bob.post("/v1/bases", json=SO3).json()["rank"] == 6


class TestSolvesOfSeveralOwners:
    def test_start_in_the_turn_of_the_one_who_joined_and_go_on_for_the_one_who_stays(
        self, tmp_path: Path
    ) -> None:
        with lab(tmp_path / "data", **{**IN_PROCESS, "workers": "2"}) as (ann, bob):
            asked = [{**LONG, "rep": f"V**10+{k + 1}V0"} for k in range(3)]
            for each in asked[:2]:
                assert ann.post("/v1/bases", json=each, headers={"prefer": "wait=0"}).is_success
            with ThreadPoolExecutor(2) as threads:
                waits = {"prefer": "wait=60"}
                hers = threads.submit(
                    ann.post,
                    "/v1/bases",
                    json=asked[2],
                    headers=waits,
                    timeout=httpx.Timeout(60, read=8),
                )
                time.sleep(3)
                his = threads.submit(bob.post, "/v1/bases", json=asked[2], headers=waits)
                with pytest.raises(httpx.ReadTimeout):
                    hers.result()
                time.sleep(7)  # it would be cancelled 5 s after its last caller
                assert not his.done()
                hurried = {"prefer": "wait=0"}
                third = bob.post("/v1/bases", json=asked[2], headers=hurried).json()
                second = ann.post("/v1/bases", json=asked[1], headers=hurried).json()
                assert (third["state"], second["state"]) == ("running", "queued")

    def test_that_are_jobs_are_jobs_of_each(self, tmp_path: Path) -> None:
        with lab(tmp_path / "data", solve_job_operations="1") as (ann, bob):
            answers = [
                who.post("/v1/bases", json=SO3, headers={"prefer": "wait=0"})
                for who in (ann, bob, ann)
            ]
            assert [answer.status_code for answer in answers] == [202] * 3
            (hers,), (his,) = (who.get("/v1/jobs").json()["data"] for who in (ann, bob))
            assert hers["id"] != his["id"]
            assert ann.post(hers["links"]["cancel"]).json()["state"] == "cancelled"
            assert bob.get(his["links"]["self"]).json()["state"] == "queued"
            assert bob.get(answers[1].headers["location"]).status_code == 202
            again = ann.post("/v1/bases", json=SO3, headers={"prefer": "wait=0"})
            assert again.status_code == 202
            assert len(ann.get("/v1/jobs?state=queued").json()["data"]) == 1


class TestBodies:
    """Bodies that are small, and costly to read."""

    def test_a_header_of_many_arrays_is_refused_unread(
        self, service: ServiceProcess, client: httpx.Client
    ) -> None:
        key = client.post("/v1/bases", json=SO3).json()["key"]
        names = (
            f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(200_000)
        )
        header = ("{" + ",".join(names) + "}").encode()
        body = len(header).to_bytes(8, "little") + header
        headers = {"content-type": "application/vnd.safetensors"}
        begun = processor_seconds(service)
        for path in (f"/v1/bases/{key}:project", "/v1/blobs"):
            document = problem(client.post(path, content=body, headers=headers), 422, "format")
            assert "header" in document["detail"]
        assert processor_seconds(service) - begun < 5

    def test_json_of_many_fields_is_refused_unread(self, client: httpx.Client) -> None:
        asked = {"rep": "V(SO(3))", **{f"{i}": 0 for i in range(100_000)}}
        document = problem(client.post("/v1/reps:parse", json=asked), 413, "body-too-large")
        assert "20,000 fields" in document["detail"]
