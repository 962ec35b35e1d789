"""The schema of a database, brought up to date.

`migrations/versions` holds the steps, one file each, in Alembic's form. A change of `tables` needs
a new one, ``NNNN_words.py``, and `HEAD` to name it; the tests compare the two, and say what is
missing. What was released is changed no more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from intertwine.errors import InvalidSetting
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from intertwine_api.database.place import warn_of_a_network

if TYPE_CHECKING:
    from alembic.config import Config

    from intertwine_api.database.database import Database

#: The newest version of the schema. Known without Alembic, which takes long to import.
HEAD = "0001"

_MIGRATIONS = "intertwine_api.database:migrations"  # where the package is, in a wheel too
_LOCK = 1_769_236_838  # among PostgreSQL's advisory locks
_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps what it does in global variables


def migrate(database: Database, target: str = "head") -> None:
    """Bring the schema to a version, the newest if none is named; in one transaction.

    Raises `InvalidSetting` where the database cannot be reached or used, or its schema is of a
    version that is not known here.
    """
    with _ONE_AT_A_TIME, _alone(database) as connection:
        version = version_of(connection)
        if version != (HEAD if target == "head" else target):
            _upgrade(database, connection, version, target)


def version_of(connection: Connection) -> str | None:
    """The version of a database's schema; None where it has none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def alembic_config() -> Config:
    """Alembic's configuration, for which there is no file."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", _MIGRATIONS)
    return settings


def _upgrade(database: Database, connection: Connection, version: str | None, target: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    settings = alembic_config()
    known = {step.revision for step in ScriptDirectory.from_config(settings).walk_revisions()}
    if version is not None and version not in known:
        raise InvalidSetting(
            f"the schema of {database} is of version {version}, and the newest known here is "
            f"{HEAD}: install a newer Intertwine, or give it another database"
        )
    settings.attributes["connection"] = connection
    command.upgrade(settings, target)


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A transaction in which no other process migrates."""
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
    """The file for itself, by a lock beside it that is held before the file is made.

    Foreign keys are off meanwhile: to change a table is to make it anew, which would delete what
    refers to it.
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
