"""`benchmarks/precision.py` prints a row of errors for each network and framework."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers.documents import ROOT
from helpers.program import environment

pytest.importorskip("torch")


def test_a_short_run_has_a_column_for_each_precision() -> None:
    command = [sys.executable, "benchmarks/precision.py", "--framework", "torch"]
    command += ["--task", "Inertia SO(3)", "--network", "EMLP", "--seeds", "1"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    head, _, row = done.stdout.splitlines()
    assert head == (
        "| task | network | framework | bfloat16 | autocast | float16 | float32 | float64 |"
    ), done.stderr
    _, task, network, framework, *errors, _ = (cell.strip() for cell in row.split("|"))
    assert (task, network, framework) == ("Inertia SO(3)", "EMLP", "PyTorch")
    bfloat16, autocast, float16, float32, float64 = map(float, errors)
    assert max(bfloat16, autocast) > float16 > float32 > float64 > 0
