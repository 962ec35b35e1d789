"""`benchmarks/console.py`: what it runs and prints. Its figures are no test."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys

import pytest
from helpers.program import environment
from helpers.support import ROOT

SCRIPT = ROOT / "benchmarks" / "console.py"


@pytest.mark.slow
def test_it_prints_a_row_for_each_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    pages = runpy.run_path(str(SCRIPT))["PAGES"]
    ended = subprocess.run(
        [sys.executable, SCRIPT, "--bases", "3", "--jobs", "600", "--rounds", "2"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment(),
    )
    assert ended.returncode in (0, 1), ended.stderr  # 1: this machine is too busy for a goal
    rows = re.findall(r"^(\w[\w ]*?) +((?:[\d.]+ +){3}[\d.]+)( !)?$", ended.stdout, re.MULTILINE)
    assert [name for name, _, _ in rows] == list(pages), ended.stdout
    whole = [float(numbers.split()[3]) for _, numbers, _ in rows]
    assert max(whole) < 200
