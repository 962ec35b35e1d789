"""The public names of the library and of the client, and the package each of them belongs to."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from types import ModuleType

import intertwine

PACKAGES = (
    *(f"intertwine.{name}" for name in intertwine._PACKAGES),
    "intertwine_api.client",
    "intertwine_api.client.errors",
)


@cache
def public_names(package: str) -> tuple[str, ...]:
    """Return ``__all__``, or for a module without it the functions and classes defined there."""
    module = importlib.import_module(package)
    listed = getattr(module, "__all__", None)
    return tuple(listed) if listed is not None else tuple(defined_in(module))


def defined_in(module: ModuleType) -> list[str]:
    """Return the names of the public functions and classes that a module defines itself."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]


@cache
def home(package: str, name: str) -> str:
    """Return the package that defines a name: another one where `package` imports it."""
    value = getattr(importlib.import_module(package), name)
    module = getattr(value, "__module__", package)
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return package
    for other in PACKAGES:
        if (module + ".").startswith(other + ".") and name in public_names(other):
            return other
    return package
