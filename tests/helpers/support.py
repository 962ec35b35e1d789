"""Shared by several tests: the conformance cases, the methods, and fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intertwine.groups import parse_group
from intertwine.reps import Rep, parse

ROOT = Path(__file__).resolve().parents[2]
RANKS = ROOT / "tests" / "conformance" / "ranks.json"
ORIGINAL_RANKS = ROOT.parent / "shared" / "conformance" / "ranks.json"

METHODS = ("svd", "krylov", "orbits", "irreps")
BACKENDS = ("numpy", "jax")

#: Groups whose every generator permutes coordinates.
_PERMUTATION_GROUPS = ("S(", "Z(", "Cube(", "RubiksCube(", "ZksZnxZn(")
#: Groups whose every generator permutes coordinates up to signs, and some with signs.
_SIGNED_GROUPS = ("C(4)", "D(4)")


@dataclass(frozen=True)
class Case:
    """A rep of known size and rank; a text without a group (None) names its groups itself."""

    group: str | None
    rep: str
    size: int
    rank: int

    def build(self) -> Rep:
        """The concrete rep."""
        rep = parse(self.rep)
        return rep if self.group is None else rep(parse_group(self.group))

    @property
    def permutes(self) -> bool:
        """Whether the group permutes coordinates, without signs."""
        return self.group is not None and self.group.startswith(_PERMUTATION_GROUPS)

    @property
    def permutes_with_signs(self) -> bool:
        """Whether the group permutes coordinates up to signs that it needs."""
        return self.group in _SIGNED_GROUPS

    def __str__(self) -> str:
        return f"{self.group or 'mixed'} {self.rep}".replace("**", "^").replace(" ", "_")


def _read_cases() -> tuple[Case, ...]:
    rows = json.loads(RANKS.read_text(encoding="utf-8"))
    return tuple(Case(row["group"], row["rep"], row["size"], row["rank"]) for row in rows)


CASES = _read_cases()


def case(group: str | None, rep: str) -> Case:
    """The one case of that group and rep."""
    (found,) = (c for c in CASES if (c.group, c.rep) == (group, rep))
    return found


@dataclass(frozen=True)
class Finished:
    """A Python program that ended: its exit status, outputs and cost.

    `value` is the JSON that it printed last. `peak_bytes` is the most memory that it held
    (its own, not that of the process which started it), `grown_bytes` how much of that came
    after its imports.
    """

    status: int
    stderr: str
    value: Any
    seconds: float
    peak_bytes: int
    grown_bytes: int


_PREAMBLE = """
import json

def _peak():
    import resource, sys
    try:  # of this program alone; ru_maxrss begins with the peak of whoever started it
        with open("/proc/self/status") as status:
            return next(int(row.split()[1]) * 1024 for row in status if row.startswith("VmHWM"))
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

_imported = None

def imported():
    global _imported
    _imported = _peak()

def answer(value):
    print(json.dumps({"value": value, "peak": _peak(), "imported": _imported or 0}))
"""


def run_python(
    program: str, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300
) -> Finished:
    """Run a program in a fresh interpreter.

    It calls ``imported()`` when its imports are done, and ``answer(value)`` at its end.
    """
    started = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", _PREAMBLE + textwrap.dedent(program), *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    seconds = time.perf_counter() - started
    lines = process.stdout.splitlines()
    said = json.loads(lines[-1]) if process.returncode == 0 and lines else {}
    peak = said.get("peak", 0)
    return Finished(
        status=process.returncode,
        stderr=process.stderr,
        value=said.get("value"),
        seconds=seconds,
        peak_bytes=peak,
        grown_bytes=peak - said.get("imported", 0),
    )
