"""A service with keys under a proxy's path, as a lab runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys

from helpers.service import ServiceProcess, service_process


@dataclass(frozen=True)
class Lab:
    """The address of a service under /lab, its keys by their scope, and its database of keys."""

    address: str
    tokens: dict[str, str]
    keys: Keys


@contextmanager
def running_lab(data: Path) -> Iterator[Lab]:
    """A service with a key for each of two scopes; then it is ended."""
    service = ServiceProcess(data, workers="1", jobs="0", root_path="/lab")
    database = Database(f"sqlite:///{data}/intertwine.db")
    database.migrate()
    keys = Keys(database)
    tokens = {scope: keys.create("ann", [scope])[1] for scope in ("bases:solve", "jobs:write")}
    with service_process(data, service=service):
        yield Lab(service.address, tokens, keys)
    database.close()
