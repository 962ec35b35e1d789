"""Checks of this installation: versions, processors, memory, JAX, and a small solve."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check; `advice` says what to do, if anything."""

    check: str
    ok: bool
    found: str
    advice: str = ""


def check_installation() -> list[Finding]:
    """Return the versions, processors, memory and devices found, and whether a solve is right.

    Installing JAX is optional: without it the check is still ok.
    """
    return [_versions(), _processors(), _memory(), _devices(), _solve()]


def _versions() -> Finding:
    """Report the versions of Python and the core dependencies."""
    from importlib.metadata import version  # takes a fifth of the program's start

    names = ("intertwine", "numpy", "scipy", "sympy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return Finding("versions", True, f"Python {platform.python_version()}, {versions}")


def _processors() -> Finding:
    """Report the number of processors, and the thread limits of the linear algebra."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = [f"{name}={os.environ[name]}" for name in variables if name in os.environ]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "processors", True, f"{usable} usable; {', '.join(limits) or 'no thread limits'}"
    )


def _memory() -> Finding:
    """Check how much memory a solve may use."""
    from intertwine.memory import available_memory

    size = available_memory()
    advice = "solves of large reps will be refused; use a larger machine" if size < 2e9 else ""
    return Finding("memory", not advice, f"{size / 1e9:.1f} GB for a solve", advice)


def _devices() -> Finding:
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


def _solve() -> Finding:
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
