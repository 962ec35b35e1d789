"""One service for all tests that only ask it things, and databases of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from helpers.databases import Databases
from helpers.service import SO3, running_service
from intertwine_api.storage.database import Database


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_service(tmp_path_factory.mktemp("service") / "data") as client:
        yield client


@pytest.fixture(scope="session")
def known(client: httpx.Client) -> dict[str, Any]:
    """The manifest of a basis that the service has."""
    document: dict[str, Any] = client.post("/v1/bases", json=SO3).json()
    return document


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Makes databases, for tests that need more than one."""
    databases = Databases()
    yield databases
    databases.close()


@pytest.fixture
def server() -> Iterator[Databases]:
    """A PostgreSQL of its own, which a test may stop."""
    databases = Databases()
    yield databases
    databases.close()


@pytest.fixture
def dead_bucket(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a bucket at a server to which nobody listens."""
    for name, value in (
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ):
        monkeypatch.setenv(name, value)
    return "s3://lab/none"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 server for all tests; the environment with which clients find it."""
    from helpers.example_tiers import s3_server

    with s3_server(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture
def bucket(s3: dict[str, str]) -> Iterator[str]:
    """The address of an empty bucket."""
    from helpers.example_tiers import bucket_of

    with bucket_of(s3) as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in its turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(databases: Databases, database_kind: str) -> Iterator[str]:
    """The URL of a database with all tables and no rows, for processes that a test starts."""
    with databases.migrated(database_kind) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with all tables and no rows: of SQLite, and of PostgreSQL."""
    database = Database(database_url)
    yield database
    database.close()
