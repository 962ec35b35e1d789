"""A service with keys under a proxy's path, as a lab runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys

from helpers.service import ServiceProcess, service_process

#: The largest dataset of the lab, in bytes.
LARGEST = 10**7


@dataclass(frozen=True)
class Lab:
    """The address of a service under /lab, its folder, keys by their scope, and all keys."""

    address: str
    data: Path
    tokens: dict[str, str]
    keys: Keys


@contextmanager
def running_lab(data: Path) -> Iterator[Lab]:
    """A service with a key for each of two scopes; then it is ended."""
    service = ServiceProcess(
        data, workers="1", jobs="0", root_path="/lab", dataset_bytes=str(LARGEST)
    )
    database = Database(f"sqlite:///{data}/intertwine.db")
    database.migrate()
    keys = Keys(database)
    tokens = {scope: keys.create("ann", [scope])[1] for scope in ("bases:solve", "jobs:write")}
    with service_process(data, service=service):
        yield Lab(service.address, data, tokens, keys)
    database.close()


def form_of(page: str, action: str) -> dict[str, str]:
    """The hidden fields of a form."""
    form = re.search(rf'<form method="post" action="/lab/{action}">(.*?)</form>', page, re.DOTALL)
    assert form, page
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[1]))


def log_in(visitor: httpx.Client, key: str, after: str = "/") -> httpx.Response:
    """Send the form of the login."""
    page = visitor.get("/lab/login", params={"after": after})
    return visitor.post("/lab/login", data={**form_of(page.text, "login"), "key": key})
