"""Solves that many ask for, and a store that cannot keep them."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from helpers.example_jobs import soon
from helpers.patience import quickest
from helpers.service import (
    SLOWER,
    SO3,
    followed,
    metric,
    problem,
    running_service,
    stopped_workers,
)


class TestManyAtOnce:
    @pytest.mark.slow
    def test_sixty_four_who_ask_share_one_solve(self, tmp_path: Path) -> None:
        asked = {"rep": "V**7", "group": "SO(3)"}
        with running_service(tmp_path / "data") as client, ThreadPoolExecutor(64) as threads:

            def ask(_: int) -> httpx.Response:
                return httpx.post(f"{client.base_url}/v1/bases", json=asked, timeout=120)

            with stopped_workers(tmp_path / "data"):  # until all have asked
                asking = [threads.submit(ask, number) for number in range(64)]
                lookups = "intertwine_cache_lookups_total"
                levels = ("none", "solve")
                soon(lambda: sum(metric(client, lookups, level=level) for level in levels) == 64)
            answers = [followed(client, each.result()) for each in asking]
            assert {answer.status_code for answer in answers} == {200}
            assert {answer.json()["rank"] for answer in answers} == {36}
            assert len({answer.json()["digest"] for answer in answers}) == 1
            assert metric(client, "intertwine_solves_total", outcome="solved") == 1
            assert metric(client, "intertwine_solve_seconds_count") == 1
            assert metric(client, lookups, level="solve") >= 1

    @pytest.mark.slow
    def test_waits_and_work_are_measured_by_method(self, tmp_path: Path) -> None:
        with (
            running_service(tmp_path / "data", workers="1", jobs="0", queue="9") as client,
            ThreadPoolExecutor(9) as threads,
        ):
            asked = [
                {"rep": f"V**6+{n}V", "group": "SO(3)", "method": "krylov"} for n in range(1, 5)
            ]
            with stopped_workers(tmp_path / "data"):
                sent = [threads.submit(client.post, "/v1/bases", json=body) for body in asked]
                soon(lambda: metric(client, "intertwine_queue") == 4)
                time.sleep(0.2)  # two places for four: the others wait
            ends = [followed(client, each.result()) for each in sent]
            assert {answer.json()["method"] for answer in ends} == {"krylov"}
            wait, run = "intertwine_solve_wait_seconds", "intertwine_solve_run_seconds"
            copies = itertools.count(1)

            def seconds_of_a_free_place() -> float:
                before = metric(client, f"{wait}_sum", method="orbits")
                client.post("/v1/bases", json={"rep": f"{next(copies)}V**2", "group": "S(4)"})
                return metric(client, f"{wait}_sum", method="orbits") - before

            assert quickest(seconds_of_a_free_place, 0.1) < 0.1
            orbits = next(copies) - 1
            client.post("/v1/reps:decompose", json={"rep": "V**2", "group": "SO(3)"})
            for method, number in {"krylov": 4, "orbits": orbits, "decomposition": 1}.items():
                for name in (wait, run):
                    assert metric(client, f"{name}_count", method=method) == number, method
            assert metric(client, f"{wait}_count", method="auto") == 0
            whole = metric(client, "intertwine_solve_seconds_sum")
            parts = sum(
                metric(client, f"{name}_sum", method=method)
                for name in (wait, run)
                for method in ("krylov", "orbits", "decomposition")
            )
            assert parts == pytest.approx(whole)
            assert metric(client, f"{wait}_sum", method="krylov") > 0.1

    @pytest.mark.slow
    def test_two_services_on_one_store_share_a_solve(self, tmp_path: Path) -> None:
        asked = {"rep": "V**7", "group": "SO(3)"}
        with (
            running_service(tmp_path / "data") as one,
            running_service(tmp_path / "data") as other,
            ThreadPoolExecutor(2) as threads,
        ):
            answers = list(threads.map(lambda c: c.post("/v1/bases", json=asked), (one, other)))
            ended = [followed(c, a) for c, a in zip((one, other), answers, strict=True)]
            assert [answer.json()["rank"] for answer in ended] == [36, 36]
            assert len({answer.json()["digest"] for answer in ended}) == 1
            counts = [metric(c, "intertwine_solves_total", outcome="solved") for c in (one, other)]
            assert sum(counts) == 1

    @pytest.mark.slow
    def test_a_caller_who_leaves_stops_nothing(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data") as client, ThreadPoolExecutor(1) as threads:
            with stopped_workers(tmp_path / "data"):
                staying = threads.submit(client.post, "/v1/bases", json=SLOWER)
                soon(lambda: metric(client, "intertwine_queue") == 1)
                with pytest.raises(httpx.ReadTimeout):
                    client.post("/v1/bases", json=SLOWER, timeout=httpx.Timeout(60, read=0.5))
            assert followed(client, staying.result()).json()["rank"] == 15
            assert metric(client, "intertwine_solve_seconds_count") == 1

    @pytest.mark.slow
    def test_after_a_restart_it_is_still_known(self, tmp_path: Path) -> None:
        for cached in (False, True):
            with running_service(tmp_path / "data") as client:
                assert client.post("/v1/bases", json=SO3).json()["cached"] is cached


class TestAStoreThatKeepsNothing:
    @pytest.mark.slow
    def test_a_basis_is_delivered_all_the_same(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", cache_size="100") as client:
            first = client.post("/v1/bases", json=SO3).json()
            assert (first["rank"], first["digest"], first["cached"]) == (6, None, False)
            assert "blob" not in first["links"]
            again = client.get(first["links"]["self"]).json()
            assert (again["rank"], again["cached"]) == (6, True)
            assert client.post("/v1/bases", json=SO3).json()["cached"]
            assert metric(client, "intertwine_solves_total", outcome="solved") == 1
            levels = {"disk": 0, "none": 1, "memory": 2}
            for level, number in levels.items():
                assert metric(client, "intertwine_cache_lookups_total", level=level) == number
            assert client.get(first["links"]["dense"]).status_code == 200

    @pytest.mark.slow
    def test_one_too_large_for_memory_is_told_so(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", cache_size="100", unkept_bytes="100") as client:
            document = problem(client.post("/v1/bases", json=SO3), 507, "not-kept")
            assert "has room" in document["detail"]
