"""The database: SQLite in a file, or PostgreSQL; its clock, and the migration of its schema."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import intertwine
from intertwine.errors import InvalidSetting
from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Float,
    Table,
    cast,
    create_engine,
    event,
    exists,
    func,
    inspect,
    literal,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from intertwine_api.storage.outages import is_outage, retry
from intertwine_api.storage.tables import plain

if TYPE_CHECKING:
    from alembic.config import Config


def now(connection: Connection) -> ColumnElement[float]:
    """Return the time as SQL, in seconds since 1970: by the clock of the database's host.

    All hosts compare leases by it, so that a host with another clock takes no jobs from others.
    """
    if connection.dialect.name == "sqlite":
        return literal(time.time())
    return cast(func.extract("epoch", func.clock_timestamp()), Float)


def has_item(connection: Connection, column: Column[Any], item: str) -> ColumnElement[bool]:
    """Return whether a column of lists of texts has a text, as SQL."""
    each = func.json_each if connection.dialect.name == "sqlite" else func.json_array_elements_text
    items = each(column).table_valued("value")
    return exists(select(items.c.value).where(items.c.value == plain(item)))


def take_turns(connection: Connection, table: Table) -> None:
    """Wait until no other transaction that calls this for the table is open.

    SQLite needs no lock, because it has one writer at a time.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))


_LOG = logging.getLogger("intertwine.service")
_OF_NETWORKS = (
    "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb2", "smb3",
    "smbfs",
)  # fmt: skip


def warn_of_a_network(file: Path) -> None:
    """Log a warning if the file is on a network file system, as homes on a cluster are."""
    kind = file_system(file)
    if kind in _OF_NETWORKS:
        _LOG.warning(
            "%s is on a file system of type %s, where the locks of SQLite hold among the processes "
            "of one host at best: keep the data on a local disk, or use PostgreSQL",
            file,
            kind,
        )


def file_system(file: Path) -> str | None:
    """Return the type of the file system of a file; None if the operating system does not say."""
    import psutil

    mounted = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    absolute = file.resolve()
    return next((mounted[folder] for folder in absolute.parents if folder in mounted), None)


_POLL = 0.2  # seconds
_WAIT_SECONDS = 30  # for SQLite's one writer, or for a connection to PostgreSQL
_WAITS_FOR_POSTGRESQL = {
    "connect_timeout": _WAIT_SECONDS,
    "tcp_user_timeout": 1000 * _WAIT_SECONDS,  # ms, until a server that does not answer is noticed
}
_CONNECTIONS = {"pool_size": 5, "max_overflow": 11}  # PostgreSQL takes 100 from all processes
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
_FORMS = "give sqlite:///path or postgresql://user@host/name"


class Database:
    """The database at a URL, ``sqlite:///path`` or ``postgresql://user@host/name``.

    It connects when it is first used, from any thread. Classes that are `retried` wait up to
    `patience` seconds for the end of an outage; with 0, errors are raised at once. Raises
    `InvalidSetting` for any other URL, and for PostgreSQL if its driver is not installed.
    """

    def __init__(self, url: str, patience: float = 0.0) -> None:
        self.url, self.patience = _parsed(url), patience
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading, which blocks no other connection."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a transaction, committed at the end or rolled back by an exception.

        On SQLite it locks the database from the start, so that no row that it has read changes.
        On PostgreSQL each statement sees what other transactions have committed before it.

        If the connection breaks during the commit, a database with patience finds out whether the
        transaction was committed, and repeats it only if it was not.
        """
        with (
            self.engine.connect().execution_options(intertwine_writes=True) as connection,
            connection.begin() as transaction,
        ):
            number = self._number(connection)
            yield connection
            try:
                transaction.commit()
            except DBAPIError as error:
                if number is None or not is_outage(error) or not self._was_committed(number):
                    raise
                _LOG.info("transaction %s was committed before the connection broke", number)

    def _number(self, connection: Connection) -> str | None:
        """Return PostgreSQL's number of a transaction; None if its outcome is not needed later.

        A commit of SQLite is a call in this process, so its outcome is known.
        """
        if self.is_sqlite or not self.patience:
            return None
        number = connection.execute(text("SELECT CAST(pg_current_xact_id() AS text)"))
        return str(number.scalar_one())

    def _was_committed(self, number: str) -> bool:
        """Return whether a transaction was committed. Raises the error of an outage that lasts."""
        give_up = time.monotonic() + self.patience
        while (status := retry(lambda: self._status(number), self.patience)) == "in progress":
            if time.monotonic() > give_up:
                return False
            time.sleep(_POLL)  # the server has not yet noticed that the connection is broken
        return status == "committed"

    def _status(self, number: str) -> str | None:
        asked = text("SELECT pg_xact_status(CAST(:number AS xid8))")
        try:
            with self.read() as connection:
                return connection.execute(asked, {"number": number}).scalar()
        except DataError:  # unknown, because a standby has taken over without it
            return None

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """Return an INSERT with ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def migrate(self) -> None:
        """Create the schema, or upgrade it to the newest version.

        Concurrent migrations wait for each other. Raises `InvalidSetting` if the database cannot
        be reached or used, or is of a newer version.
        """

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
    except (ArgumentError, ValueError) as error:  # its text may have a password
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
            connect_args=_unless_in(url, _WAITS_FOR_POSTGRESQL),
            **_CONNECTIONS,
        )
    except ModuleNotFoundError as error:
        raise InvalidSetting(
            "PostgreSQL needs its driver: pip install 'intertwine[postgres]'"
        ) from error


def _unless_in(url: URL, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the connection settings that are not in the URL."""
    return {name: value for name, value in settings.items() if name not in url.query}


def _sqlite(url: URL) -> Engine:
    waits = _unless_in(url, {"timeout": _WAIT_SECONDS})
    engine = create_engine(url, connect_args=waits, **_CONNECTIONS)

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


#: The newest version of the schema; a constant, because Alembic is slow to import.
HEAD = "0005"

_MIGRATIONS = "intertwine_api.storage:migrations"  # a package resource, which a wheel has too
_LOCK = 1_769_236_838  # among PostgreSQL's advisory locks
_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps its state in global variables


#: Called in the transaction of a migration, with the version of the schema, or None without one.
Step = Callable[[Connection, str | None], None]


def migrate(
    database: Database,
    target: str = "head",
    before: Step | None = None,
    after: Step | None = None,
) -> None:
    """Upgrade the schema to a version, by default the newest, in one transaction.

    If there is something to upgrade, `before` and `after` are called in this transaction with the
    old and the new version. If they raise, the database is unchanged. Raises `InvalidSetting` if
    the database cannot be reached or used, or if its schema is of an unknown version.
    """
    newest = HEAD if target == "head" else target
    with _ONE_AT_A_TIME, _alone(database) as connection:
        version = version_of(connection)
        if version == newest:
            return
        if before is not None:
            require_known(database, connection)
            before(connection, version)
        _upgrade(database, connection, target)
        if after is not None:
            after(connection, newest)


def version_of(connection: Connection) -> str | None:
    """Return the version of a database's schema; None before the first migration."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def alembic_config() -> Config:
    """Return the configuration of Alembic, which has no file."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", _MIGRATIONS)
    return settings


def written_by(connection: Connection) -> str | None:
    """Return the version of Intertwine that last migrated a database; None if it is not recorded.

    It is a column of Alembic's table, because it must be readable also if the schema is unknown.
    """
    if version_of(connection) is None or not _records_writer(connection):
        return None
    return connection.execute(text("SELECT intertwine FROM alembic_version")).scalar()


def _records_writer(connection: Connection) -> bool:
    columns = inspect(connection).get_columns("alembic_version")
    return any(column["name"] == "intertwine" for column in columns)


def _record_writer(connection: Connection) -> None:
    if not _records_writer(connection):
        connection.execute(text("ALTER TABLE alembic_version ADD COLUMN intertwine VARCHAR(64)"))
    connection.execute(
        text("UPDATE alembic_version SET intertwine = :version"),
        {"version": intertwine.__version__},
    )


def migration_steps() -> dict[str, str]:
    """Return the first line of each migration by its version, the oldest first."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(alembic_config())
    return {step.revision: step.doc for step in reversed(list(script.walk_revisions()))}


class NewerSchema(InvalidSetting):
    """The schema is of an unknown version: a newer Intertwine has written it."""


def require_known(database: Database, connection: Connection) -> None:
    """Raise `NewerSchema` if a newer Intertwine has written the database."""
    version = version_of(connection)
    if version is None or version in migration_steps():
        return
    writer = written_by(connection)
    by = f", written by Intertwine {writer}," if writer else ","
    newer = f" ({writer} or later)" if writer else ""
    raise NewerSchema(
        f"the schema of {database} is of version {version}{by} and the newest known here, to "
        f"Intertwine {intertwine.__version__}, is {HEAD}: install a newer Intertwine{newer}, or "
        f"give another database"
    )


def _upgrade(database: Database, connection: Connection, target: str) -> None:
    from alembic import command

    require_known(database, connection)
    settings = alembic_config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, target)
    _record_writer(connection)


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """Yield a transaction in which no other process migrates."""
    try:
        with _locked_file(database) if database.is_sqlite else database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield connection
    except (DBAPIError, OSError) as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise InvalidSetting(f"the database {database} cannot be used: {said}") from error


@contextmanager
def _locked_file(database: Database) -> Iterator[Connection]:
    """Yield a transaction that has the file to itself, by a lock that is held before it exists.

    Foreign keys are off: SQLite changes a table by creating it anew, which would delete the rows
    that refer to it.
    """
    from filelock import FileLock

    file = Path(str(database.url.database))
    file.parent.mkdir(parents=True, exist_ok=True)
    warn_of_a_network(file)
    with (
        FileLock(f"{file}.lock"),
        database.engine.connect().execution_options(intertwine_writes=True) as connection,
    ):
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys = OFF")  # which no transaction can do
        try:
            with connection.begin():
                yield connection
                broken = connection.execute(text("PRAGMA foreign_key_check")).all()
                assert not broken, f"a migration has left rows that refer to nothing: {broken[:3]}"
        finally:
            driver.execute("PRAGMA foreign_keys = ON")
