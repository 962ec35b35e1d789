"""`benchmarks/torch_step.py` prints a row a network."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from helpers.documents import ROOT
from helpers.program import environment

pytest.importorskip("torch")


def test_a_short_run_has_both_networks() -> None:
    command = [sys.executable, "benchmarks/torch_step.py", "O5Synthetic", "--eager", "--json"]
    command += ["--batch", "8", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["network"] for row in rows] == ["nn.Sequential, eager", "EMLP, eager"], done.stderr
    assert all(row["step_ms"] > 0 for row in rows)
