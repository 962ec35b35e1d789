"""`benchmarks/train_step.py`, `gpu.py` and `paper.py`: their runs, files and tables."""

from __future__ import annotations

import importlib.util
import json
import runpy
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.support import ROOT


def _loaded(name: str) -> Any:
    return SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / name)))


def _run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / name), *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def paper() -> Any:
    return _loaded("paper.py")


@pytest.fixture
def good_rows(paper: Any) -> list[Any]:
    """What a short run might find."""
    return [
        paper.Row(
            **asdict(run),
            test_mse=1.0 if run.network == "MLP" else 1e-5,
            equivariance_error=0.3 if run.network == "MLP" else 1e-7,
            best_epoch=9,
            epochs=10,
            seconds=1.0,
        )
        for run in paper.short()
    ]


class TestPaper:
    def test_every_published_network_is_run_at_every_size(self, paper: Any) -> None:
        runs = list(paper.runs([*paper.DATA], [], ["paper"], paper.SIZES, 3))
        networks = {(run.task, run.network) for run in runs}
        assert len(runs) == len({*runs}) == 3 * 7 * len(networks)
        for task in paper.DATA:
            ours = {network for t, network in networks if t == task}
            others = {"CGENN", "GLGENN", "EKAN-SO+(1,3)"}
            assert {*paper.PUBLISHED[task]} - others == ours

    @pytest.mark.slow
    def test_a_run_goes_on_with_what_is_missing(
        self, paper: Any, good_rows: list[Any], tmp_path: Path
    ) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in good_rows))
        assert paper.read(path) == good_rows
        assert {row.run for row in good_rows} == {*paper.short()}
        done = _run("paper.py", "--short", "--rows", str(path))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("task ")  # nothing was run

    def test_the_table_has_means_beside_what_was_published(
        self, paper: Any, good_rows: list[Any]
    ) -> None:
        rows = [*good_rows, replace(good_rows[0], trial=1, test_mse=3e-5)]
        lines = paper.table(rows).splitlines()
        ours = [line.split() for line in lines if line.startswith("Inertia") and "better" in line]
        assert ours[0] == ["Inertia", "EMLP-SO(3)", "better", "2e-05"]
        heads = [line.split()[:5] for line in lines]
        assert ["Inertia", "EMLP-O(3)", "published", "4.11", "1.44"] in heads

    def test_polynomials_are_for_equivariant_networks(self, paper: Any) -> None:
        runs = list(paper.runs([*paper.DATA], [], ["polynomial"], paper.SIZES, 1))
        assert {run.network for run in runs if run.task == "Inertia"} == {"EMLP-O(3)", "EMLP-SO(3)"}
        assert len(runs) == 7 * 7

    def test_the_least_published_errors_include_other_networks(self, paper: Any) -> None:
        least = {task: [paper.least_published(task, n) for n in paper.SIZES] for task in paper.DATA}
        assert least["Inertia"][0] == 4.11
        assert (least["O5Synthetic"][4], least["O5Synthetic"][5]) == (0.00118, 0.013)
        assert least["ParticleInteraction"][1:4] == [0.0079, 0.00022, 0.0000048]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"test_mse": 0.02}, "published 0.0153"),
            ({"test_mse": float("nan")}, "test MSE nan"),
            ({"test_mse": 2.0}, "EMLP 2, MLP 1"),
            ({"equivariance_error": 1e-6}, "equivariance error 1.0e-06"),
        ],
    )
    def test_a_short_run_fails_where_networks_are_worse(
        self, paper: Any, good_rows: list[Any], change: dict[str, float], said: str
    ) -> None:
        assert paper.failures(good_rows) == []
        worse = [replace(good_rows[0], **change), *good_rows[1:]]
        assert any(said in failure for failure in paper.failures(worse))


class TestTrainStep:
    @pytest.mark.slow
    def test_help_says_how_to_choose(self) -> None:
        done = _run("train_step.py", "--help")
        assert done.returncode == 0
        assert "--batch" in done.stdout

    @pytest.mark.slow
    def test_an_unknown_task_is_named(self) -> None:
        done = _run("train_step.py", "Nothing")
        assert done.returncode == 2
        assert "no such task: Nothing" in done.stderr

    @pytest.mark.slow
    def test_a_line_has_a_network_and_its_ratio_to_the_plain_one(self) -> None:
        done = _run(
            "train_step.py", "O5Synthetic", "--batch", "1", "--rounds", "2", "--json",
            "--networks", "EMLP",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        plain, ours = (json.loads(line) for line in done.stdout.splitlines())
        assert (plain["network"], plain["step_ratio"]) == ("eqx.nn.MLP", 1.0)
        assert ours["network"] == "EMLP"
        assert 0 < ours["parameters"] < plain["parameters"]
        measured = ("construct_s", "compile_s", "step_ms", "forward_ms")
        assert all(ours[field] > 0 for field in (*measured, "step_cpu_ms", "forward_cpu_ms"))

    @pytest.mark.slow
    def test_our_helpers_keep_the_memory_of_a_large_batch_small(self) -> None:
        done = _run(
            "train_step.py", "O5Synthetic", "--batch", "2048", "--rounds", "1", "--json",
            "--networks", "eqx.nn.MLP, helped",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        usual, helped = (json.loads(line) for line in done.stdout.splitlines())
        assert helped["parameters"] == usual["parameters"]
        assert helped["memory_bytes"] < usual["memory_bytes"] / 2

    @pytest.mark.slow
    def test_each_other_library_is_measured_or_listed_as_missing(self) -> None:
        done = _run(
            "train_step.py", "D4 regular", "--batch", "1", "--rounds", "1", "--json", "--peers",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        rows = {row["network"]: row for row in map(json.loads, done.stdout.splitlines())}
        assert rows["Linear, ReLU"]["parameters"] < rows["eqx.nn.MLP"]["parameters"]
        for library in ("escnn", "symm_learning"):
            assert (library in rows) != (f"{library} is left out: " in done.stderr)


class TestGpu:
    @pytest.mark.slow
    def test_a_short_run_measures_everything(self, tmp_path: Path) -> None:
        done = _run("gpu.py", "--short", "--json", str(tmp_path / "rows.jsonl"))
        assert done.returncode == 0, done.stdout + done.stderr
        rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
        assert [row["rank"] for row in rows if row["section"] == "solver"] == [3, 3, 3, 3]
        assert len({row["layout"] for row in rows if row["section"] == "layout"}) == 4
        ours = [row for row in rows if row.get("network") == "EMLP"]
        assert [row["precision"] for row in ours] == ["float32", "bfloat16"]
        assert ours[0]["equivariance_error"] < 1e-5

    @pytest.mark.slow
    def test_a_machine_without_equinox_lists_what_is_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = importlib.util.find_spec
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda name: None if name == "equinox" else found(name)
        )
        *_, last = _loaded("gpu.py")._results(True, time.perf_counter())
        assert last["error"] == "equinox not installed: networks are left out"
