"""Intertwine for people and programs: the command line, the service, and a client of it.

``from intertwine_api import remote`` is the short way to a service. Importing this package loads
neither the solver nor any web framework.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intertwine_api.client import remote as remote


def __getattr__(name: str) -> Any:
    """Load the client when it is first asked for (PEP 562)."""
    if name == "remote":
        from intertwine_api.client import remote

        return remote
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
