"""`intertwine doctor`: is this installation in order, and if not, what to do."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from intertwine_api.commands import common

_EXAMPLES = """\
  intertwine doctor
  intertwine doctor --json
"""


@dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do, where something is to be done."""

    check: str
    ok: bool
    found: str
    advice: str = ""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "doctor", "Check this installation, and say what to do.", _EXAMPLES
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run every check; the exit code is 1 if one failed."""
    findings = [check() for check in CHECKS]
    if arguments.json:
        common.print_json(
            {"ok": all(f.ok for f in findings), "checks": list(map(asdict, findings))}
        )
    else:
        common.print_table(
            (
                f.check,
                f"{'ok  ' if f.ok else 'FAIL'}  {f.found}"
                + (f"\n{'':>10}  → {f.advice}" if f.advice else ""),
            )
            for f in findings
        )
    return 0 if all(f.ok for f in findings) else 1


def check_versions() -> Finding:
    """The versions of what we stand on."""
    names = ("intertwine", "numpy", "scipy", "sympy")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return Finding("versions", True, f"Python {platform.python_version()}, {versions}")


def check_processors() -> Finding:
    """How many processors, and how many threads the linear algebra may use."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = [f"{name}={os.environ[name]}" for name in variables if name in os.environ]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "processors", True, f"{usable} usable; {', '.join(limits) or 'no thread limits'}"
    )


def check_memory() -> Finding:
    """The memory that a solve may use of this machine's."""
    from intertwine.invariants.memory import available_memory

    size = available_memory()
    advice = "solves of large reps will be refused; use a larger machine" if size < 2e9 else ""
    return Finding("memory", not advice, f"{size / 1e9:.1f} GB for a solve", advice)


def check_devices() -> Finding:
    """Whether JAX is there, and on what."""
    try:
        import jax
    except ImportError:
        return Finding(
            "jax",
            True,
            "not installed: solves run on NumPy",
            "pip install 'intertwine[jax]' for GPUs",
        )
    devices = ", ".join(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
    return Finding("jax", True, f"{jax.__version__} on {devices}")


def check_solve() -> Finding:
    """A small solve, checked from outside the solver."""
    from intertwine.groups import SO
    from intertwine.reps import V
    from intertwine.verify import equivariance_error

    rep, group = V(SO(3)), SO(3)
    basis = (rep**2 >> rep).equivariant_basis(progress=False)
    error = equivariance_error(basis, rep**2, rep, group)
    right = basis.rank == 1 and error <= 1e-12
    advice = "" if right else "the linear algebra of this installation is broken; reinstall NumPy"
    return Finding(
        "solve", right, f"V²→V of SO(3) has rank {basis.rank}, error {error:.0e}", advice
    )


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_versions,
    check_processors,
    check_memory,
    check_devices,
    check_solve,
)
