"""One service with keys for all tests of the pages of jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.driven_jobs import DrivenJobs, driven_jobs
from intertwine_api.storage.keys import Keys
from intertwine_api.wire.vocabulary import USER_SCOPES

_SCOPES = {"ada": USER_SCOPES, "bob": USER_SCOPES, "root": ("admin",), "reader": ("bases:read",)}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenJobs]:
    """A service whose jobs tests run themselves. Its client has the key of an admin, `root`."""
    with driven_jobs(tmp_path_factory.mktemp("jobs") / "data", require_keys="true") as lab:
        keys = Keys(lab.database)
        for owner, scopes in _SCOPES.items():
            lab.keys[owner] = {"authorization": f"Bearer {keys.create(owner, scopes)[1]}"}
        lab.client.headers.update(lab.keys["root"])
        yield lab
        keys.close()
