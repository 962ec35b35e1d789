"""All heuristics of the solver: the choice of method and backend for a problem."""

from __future__ import annotations

import importlib.util

from intertwine.errors import UnknownMethod
from intertwine.invariants.backends import BACKENDS, Backend, get_backend
from intertwine.invariants.by_weights import is_by_weights
from intertwine.invariants.problem import Problem
from intertwine.invariants.tolerances import DEFAULT

METHODS = ("orbits", "irreps", "svd", "krylov")
_ON_NUMPY = ("orbits", "irreps")
SVD_UP_TO = 100
"""The largest size for which the dense null space is the fastest, and chosen."""
SVD_INSTEAD_UP_TO = 1500
"""The largest size for which it is tried after `krylov` fails to converge."""
OBLIQUE_FROM = 10.0
"""The condition of the generators' images above which their frame is straightened first."""
ACCELERATOR_FROM = 50_000
"""The size from which a GPU is used: below, compilation by JAX, a second or two, dominates."""


def require_known(method: str, backend: str) -> None:
    """Raise `UnknownMethod` for a method or backend that does not exist."""
    for kind, name, known in (("method", method, METHODS), ("backend", backend, BACKENDS)):
        if name not in ("auto", *known):
            names = ", ".join(("auto", *known))
            raise UnknownMethod(f"unknown {kind} {name!r}; there are {names}")


def choose_methods(problem: Problem, requested: str) -> tuple[str, ...]:
    """Return the methods to try in turn: the requested one, or for ``auto`` the fastest that
    applies and, if its iteration could fail, one that cannot.
    """
    if requested != "auto":
        return (requested,)
    if problem.permutations is not None:
        return ("orbits",)
    if is_by_weights(problem, DEFAULT):
        return ("irreps",)
    return _iterative(problem, is_oblique=problem.is_more_oblique_than(OBLIQUE_FROM))


def expected_method(problem: Problem, requested: str) -> str:
    """Return the first of `choose_methods` for a good frame, without its slow checks."""
    if requested != "auto":
        return requested
    if problem.permutations is not None:
        return "orbits"
    if problem.seems_diagonal:
        return "irreps"
    return _iterative(problem, is_oblique=False)[0]


def _iterative(problem: Problem, *, is_oblique: bool) -> tuple[str, ...]:
    if problem.size <= SVD_UP_TO:
        return ("irreps", "svd") if is_oblique else ("svd",)
    always = ("krylov", "svd") if problem.size <= SVD_INSTEAD_UP_TO else ("krylov",)
    # a product of one large factor and small ones has a half as large as the whole
    halves = max(problem.sizes) ** 2 <= problem.size
    return ("irreps", *always) if halves or is_oblique else always


def choose_backend(problem: Problem, method: str, requested: str, device: str | None) -> Backend:
    """Return the backend to use: the requested one, or for ``auto`` NumPy unless a GPU is
    worthwhile.

    Orbits are integers, and irreps small matrices: both always use NumPy.
    """
    if requested != "auto":
        backend = get_backend(requested, device)
        return get_backend("numpy") if method in _ON_NUMPY else backend
    if device is not None and method in _ON_NUMPY:
        get_backend(
            "numpy" if device == "cpu" else "jax", device
        )  # still raises if it is unavailable
    if method in _ON_NUMPY:
        return get_backend("numpy")
    if device is not None:
        return get_backend("jax" if device != "cpu" else "numpy", device)
    large = problem.size >= ACCELERATOR_FROM and importlib.util.find_spec("jax") is not None
    if large and not (backend := get_backend("jax")).device.startswith("cpu"):
        return backend
    return get_backend("numpy")
