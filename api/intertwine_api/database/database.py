"""A connection to the database: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from intertwine.errors import InvalidSetting
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError

_WAIT_SECONDS = 30  # for SQLite's one writer, or for a connection to PostgreSQL
_CONNECTIONS = {"pool_size": 5, "max_overflow": 11}  # PostgreSQL takes 100 from all processes
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
_FORMS = "give sqlite:///path or postgresql://user@host/name"


class Database:
    """The database at a URL, ``sqlite:///path`` or ``postgresql://user@host/name``.

    Opening one connects to nothing yet. It may be used from any thread. Raises `InvalidSetting`
    for a URL that names neither, and for PostgreSQL where its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading, which holds up nobody."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, committed at the end or rolled back by an exception.

        On SQLite it has the database for itself from the start, so that what it read stays true.
        On PostgreSQL it sees at each statement what others have committed by then.
        """
        with (
            self.engine.connect().execution_options(intertwine_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that may say ``on_conflict_do_nothing`` or ``on_conflict_do_update``."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def migrate(self) -> None:
        """Bring the schema up to date, in a new database from nothing.

        Processes that do so at once wait for each other. Raises `InvalidSetting` where the
        database cannot be reached or used, or is that of a newer version.
        """
        from intertwine_api.database.migration import migrate

        migrate(self)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"Database({str(self)!r})"


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:  # which may hold a password
        raise InvalidSetting(f"the URL of the database cannot be read: {_FORMS}") from error
    kind = url.get_backend_name()
    if kind not in _DRIVERS:
        raise InvalidSetting(f"the URL of the database begins with {kind}: {_FORMS}")
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise InvalidSetting(f"a database in memory would be forgotten: {_FORMS}")
    return url.set(drivername=_DRIVERS[kind])


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _WAIT_SECONDS},
            **_CONNECTIONS,
        )
    except ModuleNotFoundError as error:
        raise InvalidSetting(
            "PostgreSQL needs its driver: pip install 'intertwine[postgres]'"
        ) from error


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _WAIT_SECONDS}, **_CONNECTIONS)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
        connection.execute("PRAGMA journal_mode = WAL")  # readers and a writer at once
        connection.execute("PRAGMA synchronous = NORMAL")  # safe with WAL: no commit is half done
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("intertwine_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
