"""Intertwine: all linear maps that commute with a group's action, found and proven.

The library is light to import: its packages (`intertwine.reps`, `intertwine.groups`, ...) are
loaded on first use, and JAX, SymPy and SciPy only by the functions that need them.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

_PACKAGES = (
    "bases",
    "errors",
    "datasets",
    "exact",
    "groups",
    "installation",
    "invariants",
    "irreps",
    "nn",
    "operators",
    "polynomials",
    "reps",
    "training",
    "verify",
    "vis",
)

#: The package that reads the names of reps with this first letter; see `register_notation`.
_NOTATION = {"W": "irreps"}

#: The package that registers the function of reps with this name; see `register_function`.
_FUNCTIONS = {"Irrep": "irreps"}


def load_notation(letter: str) -> None:
    """Import the package that reads the names of reps with this first letter, if there is one.

    On import it registers its notation with `intertwine.reps.parsing`, which calls this when it
    meets such a name. So the parser does not depend on the packages above it.
    """
    if letter in _NOTATION:
        importlib.import_module(f"{__name__}.{_NOTATION[letter]}")


def load_function(name: str) -> None:
    """Import the package, if any, that registers a function of this name for texts."""
    if name in _FUNCTIONS:
        importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}")


def __getattr__(name: str) -> ModuleType:
    """Load a package of the library on first access (PEP 562)."""
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PACKAGES])
