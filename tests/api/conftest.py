"""One service for all tests that only ask it things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from service import SO3, running_service


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_service(tmp_path_factory.mktemp("service") / "data") as client:
        yield client


@pytest.fixture(scope="session")
def known(client: httpx.Client) -> dict[str, Any]:
    """The manifest of a basis that the service has."""
    document: dict[str, Any] = client.post("/v1/bases", json=SO3).json()
    return document
