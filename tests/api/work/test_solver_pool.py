"""Limits of a solve, and workers that die."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from helpers.service import SO3, followed, problem, running_service, solver_processes
from intertwine.groups import SO
from intertwine.invariants import estimate
from intertwine.reps import V


class TestLimits:
    @pytest.mark.slow
    def test_of_time(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", solve_seconds="2") as client:
            asked = {"rep": "V**9", "group": "SO(3)", "method": "krylov"}
            document = problem(client.post("/v1/bases", json=asked), 422, "out-of-time")
            assert document["limit_seconds"] == 2
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6  # that solve alone ended
            assert client.get("/v1/bases").json()["data"][0]["canonical"] == "5V⁰+V³"

    @pytest.mark.slow
    def test_of_memory_that_is_reached(self, tmp_path: Path) -> None:
        asked = {"rep": "V**7", "group": "SO(3)", "method": "svd"}
        limit = estimate((V**7)(SO(3)), "svd").memory + 2_000_000  # the rest is the process's own
        with running_service(tmp_path / "data", solve_memory=str(limit)) as client:
            ended = followed(client, client.post("/v1/bases", json=asked))
            document = problem(ended, 422, "out-of-memory")
            assert document["limit_bytes"] == limit
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6  # that solve alone ended

    @pytest.mark.slow
    def test_of_memory_that_is_foreseen(self, tmp_path: Path) -> None:
        with running_service(
            tmp_path / "data", solve_memory="700000000", solve_operations="1e99"
        ) as client:
            asked = {"rep": "V**8", "group": "SO(3)", "method": "svd"}
            document = problem(client.post("/v1/bases", json=asked), 422, "too-costly")
            assert document["estimate"]["bytes"] > document["limit"]["bytes"] == 700_000_000
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6

    @pytest.mark.slow
    def test_of_cost(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", solve_operations="1e6") as client:
            asked = {"rep": "V**8", "group": "SO(3)", "method": "krylov"}
            document = problem(client.post("/v1/bases", json=asked), 422, "too-costly")
            assert document["estimate"]["operations"] > document["limit"]["operations"] == 1e6

    def test_of_the_queue(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", queue="1", workers="1") as client:
            slow = {"rep": "V**9", "group": "SO(3)", "method": "krylov"}  # for minutes
            client.post("/v1/bases", json=slow, headers={"prefer": "wait=0"})
            answer = client.post("/v1/bases", json=SO3)
            problem(answer, 503, "queue-full")
            assert "retry-after" in answer.headers

    @pytest.mark.slow
    def test_of_a_dense_matrix(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", dense_bytes="100") as client:
            known = client.post("/v1/bases", json=SO3).json()
            problem(client.get(known["links"]["dense"]), 422, "too-large")

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
    @pytest.mark.parametrize("ended_by", [signal.SIGSEGV, signal.SIGKILL])
    def test_a_worker_that_dies_costs_its_solve_alone(
        self, tmp_path: Path, ended_by: signal.Signals
    ) -> None:
        with running_service(tmp_path / "data", workers="1") as client:
            asked = {"rep": "V**9", "group": "SO(3)", "method": "krylov"}
            pending = client.post("/v1/bases", json=asked, headers={"prefer": "wait=0"})
            while client.get(pending.headers["location"]).json()["state"] != "running":
                time.sleep(0.02)
            for worker in solver_processes(tmp_path / "data"):
                worker.send_signal(ended_by)
            document = problem(followed(client, pending), 500, "worker-died")
            assert ended_by.name in document["detail"]
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6


@pytest.mark.slow
def test_long_solves_run_with_less_priority_and_short_ones_with_that_of_the_service(
    tmp_path: Path,
) -> None:
    with running_service(tmp_path / "data", workers="2"):
        workers = solver_processes(tmp_path / "data")
        service = workers[0].parent()
        assert service is not None
        assert sorted(each.nice() - service.nice() for each in workers) == [0, 15, 15]
        # Linux shares processors among sessions before it looks at the niceness within one
        assert all(os.getsid(each.pid) == each.pid for each in workers)
        if Path("/proc/self/autogroup").exists():
            told = [Path(f"/proc/{each.pid}/autogroup").read_text() for each in workers]
            assert sorted(int(text.split()[-1]) for text in told) == [0, 15, 15]
