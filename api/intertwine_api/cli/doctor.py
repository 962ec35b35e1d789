"""`intertwine doctor`: is this installation in order, and if not, what to do."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from intertwine_api.cli import common

_EXAMPLES = """\
  intertwine doctor
  intertwine doctor --json
"""


_PORT = 8000
_SERVICE = ("fastapi", "uvicorn", "pydantic_settings", "prometheus_client")
_LITTLE = 2**28  # bytes


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
    from intertwine.memory import available_memory

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
    basis = (rep**2 >> rep).equivariant_basis(progress=False, store=False)
    error = equivariance_error(basis, rep**2, rep, group)
    right = basis.rank == 1 and error <= 1e-12
    advice = "" if right else "the linear algebra of this installation is broken; reinstall NumPy"
    return Finding(
        "solve", right, f"V²→V of SO(3) has rank {basis.rank}, error {error:.0e}", advice
    )


def check_store() -> Finding:
    """Whether the store of bases can be written, and how full it and its disk are."""
    from intertwine_cache import default_store

    try:
        store = default_store()
    except ValueError as error:
        return Finding("cache", False, str(error), "correct it, or leave it out")
    if store is None:
        return Finding("cache", True, "none: INTERTWINE_CACHE=off turns it off")
    place = store.layout.root
    try:
        store.layout.create()
        with tempfile.TemporaryFile(dir=store.layout.temporaries):
            pass
    except OSError as error:
        return Finding(
            "cache",
            False,
            f"{place} cannot be written: {error.strerror}",
            "solves work, but nothing is kept; name another folder with INTERTWINE_CACHE",
        )
    found, free = store.statistics(), shutil.disk_usage(place).free
    text = f"{found['entries']:,} bases, {found['bytes'] / 1e6:,.1f} MB of at most "
    text += f"{found['limit'] / 1e9:,.3g} GB in {place}; {free / 1e9:,.1f} GB free on its disk"
    if free < _LITTLE:
        return Finding("cache", False, text, "free some of the disk: nothing is kept on a full one")
    if found["quarantined"]:
        advice = "some files were found spoilt and put aside: intertwine cache verify looks further"
        return Finding("cache", True, text, advice)
    return Finding("cache", True, text)


def check_service() -> Finding:
    """Whether `intertwine serve` has what it needs, and its port."""
    missing = [name for name in _SERVICE if importlib.util.find_spec(name) is None]
    if missing:
        advice = "pip install 'intertwine[serve]', if this machine is to serve"
        return Finding("service", True, f"not installed: {', '.join(missing)}", advice)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", _PORT))
        except OSError as error:
            advice = "the service may be running already; another one needs --port"
            return Finding("service", True, f"port {_PORT} is taken ({error.strerror})", advice)
    return Finding("service", True, f"port {_PORT} is free")


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_versions,
    check_processors,
    check_memory,
    check_devices,
    check_store,
    check_service,
    check_solve,
)
