"""Intertwine: all linear maps that commute with a group's action, found and proven.

The library is light to import: its packages (`intertwine.reps`, `intertwine.groups`, ...) are
loaded on first use, and JAX, SymPy and SciPy only by the functions that need them.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PACKAGES = (
    "architecture",
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
    "saving",
    "torch",
    "training",
    "verify",
    "vis",
)

#: Names that EMLP has at its top level, by the package that has them here. All public names of
#: `groups` are there too. A name that is also a package here, such as `vis`, is the package.
_NAMES = {
    name: package
    for package, names in (
        (
            "reps",
            "LinearOperator Rep Scalar T V Vector bilinear_weights equivariance_error rel_err "
            "sparsify_basis",
        ),
        (
            "nn",
            "BiLinear EMLP EMLPBlock EMLPH EMLPode GatedNonlinearity Linear MLP MLPH MLPode "
            "Sequential Standardize gate_indices gated uniform_rep",
        ),
    )
    for name in names.split()
}

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


def __getattr__(name: str) -> Any:
    """Load a package of the library, or one of EMLP's names, on first access (PEP 562)."""
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    if not name.startswith("_") and name in (groups := _groups()).__all__:
        return getattr(groups, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGES, *_NAMES, *_groups().__all__})


def _groups() -> Any:
    return importlib.import_module(f"{__name__}.groups")
