"""The identity of a service: a random id in its database and in its data folder.

Rows of the database refer to files of the folder: datasets, weights, logs, checkpoints. A service
with a database and a folder that do not belong together would lose data, so it compares the ids.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from pathlib import Path
from typing import Any

from intertwine.errors import InvalidSetting
from intertwine.whole_files import whole_file
from sqlalchemy import Connection, delete, exists, insert, select

from intertwine_api.storage.database import Database, now
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.references import required
from intertwine_api.storage.tables import datasets, identity, jobs, versions

#: The file in the data folder. A copy of the folder must have it too.
FILE = "identity.json"

_FORMAT, _VERSION = "intertwine-data", 1


def require_same_service(database: Database, home: Path) -> str:
    """Check that a database and a data folder belong together. Return the service's id.

    Both get an id when they are first used together, also by several hosts at once that share the
    folder. Raises `InvalidSetting` if their ids differ, if only the database has one (the folder
    is wrong, or its volume is not mounted), or if neither has one and their contents do not match.
    Raises `OSError` if the folder cannot be written.
    """
    own, its = folder_id(home), database_id(database)
    if its is None:
        with database.read() as connection:
            _require_fit(connection, database, home)
        # the file first: another host that sees the id in the database finds the file as well
        own = own or _mark(home, secrets.token_hex(16))
        its = _mark_database(database, own)
    elif own is None:
        own = folder_id(home)  # another host may have written both meanwhile
    if own == its:
        return its
    if own is None:
        raise InvalidSetting(
            f"the data folder {home} is not that of the database {database}: it has no {FILE}. "
            f"Mount its volume, or name the right folder with --data: every host of a service "
            f"needs the same folder. {_IF_LOST}"
        )
    raise InvalidSetting(
        f"the data folder {home} belongs to another database than {database} (its id is {own}, "
        f"and the database's {its}): name the right ones with --data and --database. {_IF_LOST}"
    )


_IF_LOST = (
    "If the right one is lost, restore a backup; to go on without it, run `intertwine admin adopt`"
)


def adopt(database: Database, home: Path) -> str:
    """Declare that a database and a data folder belong together, with a new id. Return the id.

    Files that the database refers to may be missing. Unreferenced files are deleted after a day, by
    default. Raises `OSError` if the folder cannot be written.
    """
    name = secrets.token_hex(16)
    home.mkdir(parents=True, exist_ok=True)
    with database.write() as connection:
        connection.execute(delete(identity))
        connection.execute(insert(identity).values(_row(connection, name)))
        with whole_file(home / FILE) as file:
            file.write(_content(name))
    return name


def folder_id(home: Path) -> str | None:
    """Return the id in a data folder; None before its first use by a service.

    Raises `InvalidSetting` if the file is damaged.
    """
    file = home / FILE
    try:
        document = json.loads(file.read_bytes())
        found = document["id"]
        is_known = (document["format"], document["version"]) == (_FORMAT, _VERSION)
        if is_known and isinstance(found, str):
            return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InvalidSetting(
        f"{file} is damaged: restore it from a backup of the folder, or run `intertwine admin "
        f"adopt` if you are sure that this folder is that of the database"
    )


def database_id(database: Database) -> str | None:
    """Return the id in a migrated database; None before its first use by a service."""
    with database.read() as connection:
        return connection.execute(select(identity.c.id)).scalar()


def _mark(home: Path, name: str) -> str:
    """Write the id of a folder, unless another process does so first. Return the folder's id."""
    home.mkdir(parents=True, exist_ok=True)
    temporary = home / f".{FILE}.{name}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(_content(name))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, home / FILE)  # fails if the file exists, also on NFS
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise
            temporary.replace(home / FILE)  # a file system without links, such as exFAT
    finally:
        temporary.unlink(missing_ok=True)
    found = folder_id(home)
    assert found is not None
    return found


def _mark_database(database: Database, name: str) -> str:
    """Write the id of a database, unless another process does so first. Return its id."""
    with database.write() as connection:
        new = database.insert(identity).values(_row(connection, name))
        connection.execute(new.on_conflict_do_nothing())
    found = database_id(database)
    assert found is not None
    return found


def _require_fit(connection: Connection, database: Database, home: Path) -> None:
    """Raise `InvalidSetting` if contents without ids are of two services."""
    objects = Objects(home / "objects")
    needed = required(connection)
    if needed and all(objects.path(digest) is None for digest in needed):
        raise InvalidSetting(
            f"the data folder {home} is not that of the database {database}, which refers to "
            f"{len(needed)} datasets and weights, and the folder has none of them. Mount its "
            f"volume, or name the right folder with --data. {_IF_LOST}"
        )
    has_rows = any(
        connection.execute(select(exists(select(table)))).scalar()
        for table in (jobs, datasets, versions)
    )
    if not has_rows and (not objects.is_empty() or _has_files(home / "jobs")):
        raise InvalidSetting(
            f"the data folder {home} belongs to another database than {database}: the folder has "
            f"datasets, weights or jobs, and the database is empty. Name the right database with "
            f"--database, or an empty folder with --data. {_IF_LOST}"
        )


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _row(connection: Connection, name: str) -> dict[str, Any]:
    return {"one": 1, "id": name, "created": now(connection)}  # the table has one row


def _content(name: str) -> bytes:
    return json.dumps({"format": _FORMAT, "version": _VERSION, "id": name}).encode()
