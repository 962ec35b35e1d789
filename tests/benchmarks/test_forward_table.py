"""`benchmarks/forward.py`: what it runs and prints."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from helpers.program import environment
from helpers.support import ROOT


@pytest.mark.slow
def test_a_quick_run_prints_both_tables() -> None:
    script = ROOT / "benchmarks" / "forward.py"
    ended = subprocess.run(
        [sys.executable, script, "--quick", "--widths", "12"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=environment(),
    )
    assert ended.returncode == 0, ended.stderr
    rows = re.findall(r"^(\w[\w ]*?) +(1|16|64) +([\d,]+) .* (\S+)$", ended.stdout, re.MULTILINE)
    in_process = ("batched", "one at a time", "nothing", "direct")
    over_http = ("batched", "one at a time", "empty")
    for clients in ("1", "16", "64"):
        names = tuple(name for name, n, _, _ in rows if n == clients)
        assert names == (*in_process, *over_http), ended.stdout
    ratios = {(name, n): float(ratio) for name, n, _, ratio in rows[:12]}
    assert ratios["batched", "64"] > 2
