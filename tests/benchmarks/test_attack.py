"""`benchmarks/attack.py`: what it runs and prints. Its figures are no test."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys

import pytest
from helpers.program import environment
from helpers.support import ROOT

SCRIPT = ROOT / "benchmarks" / "attack.py"


@pytest.mark.slow
def test_it_prints_a_row_for_each_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    attacks = [act.__name__ for act in runpy.run_path(str(SCRIPT))["ATTACKS"]]
    assert attacks[0] == "nothing"
    only = [word for name in ("nothing", "half_requests") for word in ("--only", name)]
    ended = subprocess.run(
        [sys.executable, SCRIPT, "--seconds", "2", "--no-training", *only],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment(),
    )
    assert ended.returncode in (0, 1), ended.stderr  # 1: this machine is too busy for a goal
    rows = re.findall(r"^(\w+) +((?:[\d.]+ +){6}[\d.]+)( !)?$", ended.stdout, re.MULTILINE)
    assert [name for name, _, _ in rows] == ["nothing", "half_requests"], ended.stdout
    for _, numbers, _ in rows:
        assert all(float(number) >= 0 for number in numbers.split())
