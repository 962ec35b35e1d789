"""Require optional packages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from intertwine.errors import Unavailable


def missing_packages(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the packages that are not installed. Nothing is imported."""
    return tuple(name for name in names if find_spec(name) is None)


def require_packages(names: Sequence[str], purpose: str, command: str) -> None:
    """Raise `Unavailable` if packages of these names are missing. Nothing is imported.

    The message says that `purpose` needs them, and that `command` installs them.
    """
    missing = missing_packages(names)
    if missing:
        word = "package" if len(missing) == 1 else "packages"
        raise Unavailable(f"{purpose} needs the {word} {', '.join(missing)}: {command}")
