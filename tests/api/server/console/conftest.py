"""One service with keys for all tests of the console."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.browser import Browser, browser
from helpers.driven_jobs import DrivenJobs, driven_jobs
from helpers.example_lab import Lab, running_lab
from intertwine_api.wire.vocabulary import USER_SCOPES

_SCOPES = {"ada": USER_SCOPES, "bob": USER_SCOPES, "root": ("admin",), "reader": ("bases:read",)}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab") / "data") as lab:
        yield lab


@pytest.fixture(scope="session")
def driven(lab: Lab) -> Iterator[DrivenJobs]:
    """The jobs of that service, which tests run themselves; the client has the key of `root`."""
    with driven_jobs(lab.address, lab.data) as driven:
        for owner, scopes in _SCOPES.items():
            token = lab.keys.create(owner, scopes)[1]
            driven.keys[owner] = {"authorization": f"Bearer {token}"}
        driven.client.headers.update(driven.keys["root"])
        yield driven


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser, for the tests of one module."""
    with browser(tmp_path_factory.mktemp("profile")) as visitor:
        yield visitor
