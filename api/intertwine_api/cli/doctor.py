"""`intertwine doctor`: check this installation, and say what to do."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass

import click

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
    """The result of one check; `advice` says what to do, if anything."""

    check: str
    ok: bool
    found: str
    advice: str = ""


@click.command("doctor", epilog=common.examples(_EXAMPLES))
@common.as_json
def diagnose(as_json: bool) -> int:
    """Check this installation, and say what to do. The exit code is 1 if a check failed."""
    findings = [check() for check in CHECKS]
    ok = all(finding.ok for finding in findings)
    if as_json:
        common.print_json({"ok": ok, "checks": list(map(asdict, findings))})
    else:
        common.print_table((finding.check, _line(finding)) for finding in findings)
    return 0 if ok else common.FAILED


def _line(finding: Finding) -> str:
    advice = f"\n{'':>10}  → {finding.advice}" if finding.advice else ""
    return f"{'ok  ' if finding.ok else 'FAIL'}  {finding.found}{advice}"


def check_versions() -> Finding:
    """Report the versions of Python and the core dependencies."""
    from importlib.metadata import version  # takes a fifth of the program's start

    names = ("intertwine", "numpy", "scipy", "sympy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return Finding("versions", True, f"Python {platform.python_version()}, {versions}")


def check_processors() -> Finding:
    """Report the number of processors, and the thread limits of the linear algebra."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = [f"{name}={os.environ[name]}" for name in variables if name in os.environ]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "processors", True, f"{usable} usable; {', '.join(limits) or 'no thread limits'}"
    )


def check_memory() -> Finding:
    """Check how much memory a solve may use."""
    from intertwine.memory import available_memory

    size = available_memory()
    advice = "solves of large reps will be refused; use a larger machine" if size < 2e9 else ""
    return Finding("memory", not advice, f"{size / 1e9:.1f} GB for a solve", advice)


def check_devices() -> Finding:
    """Report whether JAX is installed, and its devices."""
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
    """Run a small solve, and check it independently of the solver."""
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
    """Check that the store of bases is writable, and report how full it and its disk are."""
    from intertwine_cache import default_store

    try:
        store = default_store()
    except ValueError as error:
        return Finding("cache", False, str(error), "correct it, or unset it")
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
        advice = "corrupt files are in quarantine: intertwine cache verify checks the others"
        return Finding("cache", True, text, advice)
    return Finding("cache", True, text)


def check_service() -> Finding:
    """Report whether the dependencies and the port of `intertwine serve` are available."""
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
