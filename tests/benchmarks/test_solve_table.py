"""`benchmarks/solve.py`: one line a case, method and backend, each from a fresh process."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.support import ROOT


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "solve.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_help_says_how_to_choose_cases() -> None:
    done = _bench("--help")
    assert done.returncode == 0
    assert 'python benchmarks/solve.py "SO(3)" --backend jax' in done.stdout
    assert "--measure" not in done.stdout


def test_the_cases_for_which_emlps_times_are_known_are_listed() -> None:
    listed = _bench("--list").stdout.splitlines()
    known = ["SO(3) T(6)", "SO(3) T(7)", "SO(3) T(8)", "SO13p T(3,3)", "O(5) T(6)", "S(5) T(6)"]
    assert set(known) <= set(listed)
    assert len(set(listed)) == len(listed)


@pytest.mark.slow
def test_a_line_has_what_was_asked_for() -> None:
    done = _bench("--rep", "T(2)", "--group", "D(4)", "--backend", "numpy", "--repeat", "2")
    assert done.returncode == 0, done.stderr
    heading, *lines = [line for line in done.stdout.splitlines() if "T(2)" in line or "rep" in line]
    assert heading.split() == [
        "group", "rep", "method", "backend", "size", "rank", "seconds", "again", "memory", "EMLP"
    ]  # fmt: skip
    assert [line.split()[:7] for line in lines] == [
        ["D(4)", "T(2)", method, "numpy", "cpu", "4", "1"]
        for method in ("orbits", "irreps", "svd", "krylov")
    ]
    assert all(line.endswith(" MB") for line in lines)


@pytest.mark.slow
def test_each_line_is_measured_in_a_process_of_its_own() -> None:
    done = _bench("--rep", "V(S(3))**2", "--json", "--backend", "numpy")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["method"] for line in lines] == ["orbits", "irreps", "svd", "krylov"]
    assert {(line["size"], line["rank"]) for line in lines} == {(9, 2)}
    assert all(0 < line["seconds"] < 60 for line in lines)
    # a process that has not loaded JAX, whatever this one holds
    assert all(10**7 < line["peak_bytes"] < 3 * 10**8 for line in lines)


@pytest.mark.slow
def test_jax_runs_where_it_is_asked_for() -> None:
    done = _bench("SO(3) T(4)", "--backend", "jax", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["method"] for line in lines] == ["irreps", "svd", "krylov"]
    # a decomposition into irreps is small and runs in NumPy, whatever the backend
    assert [line["ran"].split()[0] for line in lines] == ["numpy", "jax", "jax"]
    assert {line["rank"] for line in lines} == {3}


@pytest.mark.slow
def test_the_seconds_in_a_users_rho_are_shown() -> None:
    done = _bench("S(45) Pairs", "--json")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert 0 < line["rho_seconds"] < line["seconds"]
    assert _bench("Z(45) Pairs").stdout.rstrip().endswith(" s in rho")


def test_a_run_that_fails_says_why_and_the_others_go_on() -> None:
    done = _bench("--rep", "T(2)", "--group", "SO(3)", "--method", "orbits", "--backend", "numpy")
    assert done.returncode == 1
    assert "method-not-applicable" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--group", "SO(3)"], "--group needs --rep"),
        (["nonsense"], "no case contains"),
        (["--rep", "V**", "--group", "SO(3)"], "expected"),
        (["--rep", "V", "--group", "SO(3"], "expected ')'"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], complaint: str) -> None:
    done = _bench(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_time_against_size_is_drawn(tmp_path: Path) -> None:
    benchmarks = runpy.run_path(str(ROOT / "benchmarks" / "solve.py"))
    assert set(benchmarks["CURVES"]) == {"SO(3)", "S(n), T(3)", "SO13p"}
    small = {"SO(2)": (benchmarks["Case"]("SO(2)", "T(2)"), benchmarks["Case"]("SO(2)", "T(4)"))}
    benchmarks["main"].__globals__["CURVES"] = {**small, "S(n)": small["SO(2)"]}
    assert benchmarks["main"](["--plot", str(tmp_path / "solve.svg")]) == 0
    drawn = (tmp_path / "solve.svg").read_text(encoding="utf-8")
    assert drawn.count('<g id="axes_') == 2
