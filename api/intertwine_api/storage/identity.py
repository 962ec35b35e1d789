"""The identity of a service: a random id in its database, its data folder and its bucket.

Rows of the database refer to files: datasets, weights, logs, checkpoints. A service with a
database and files that do not belong together would lose data, so it compares the ids. They are in
the data folder, which all hosts share, or in a bucket: then each host has a data folder of its own,
which gets the same id.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from dataclasses import dataclass
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
_MOST_BYTES = 2**16  # of the file


def require_same_service(database: Database, home: Path, objects: Objects) -> str:
    """Check that a database, a data folder and a bucket belong together. Return the service's id.

    They get an id when they are first used together, also by several hosts at once that share
    the folder or the bucket. With a bucket, a data folder without an id is that of a new host.
    Raises `InvalidSetting` if ids differ, if only the database has one (the folder is wrong, or
    its volume is not mounted), or if neither has one and their contents do not match. Raises
    `OSError` if the folder or the bucket cannot be written.
    """
    _require_known_place(home, objects)
    place = _Place(home, objects)
    own, its = place.id(), database_id(database)
    if its is None:
        with database.read() as connection:
            _require_fit(connection, database, place)
        if objects.bucket is None:
            # the file first: another host that sees the id in the database finds the file as well
            own = own or place.mark(secrets.token_hex(16))
            its = _mark_database(database, own)
        elif own is None:
            # the database first: so a bucket with an id is never that of a database without one
            its = _mark_database(database, secrets.token_hex(16))
            own = place.mark(its)
    elif own is None:
        own = place.id()  # another host may have written both meanwhile
        if own is None and objects.bucket is not None:
            with database.read() as connection:
                _require_new_bucket(connection, database, objects)
            own = place.mark(its)
    if own is None:
        raise InvalidSetting(
            f"the {place} is not that of the database {database}: it has no {FILE}. "
            f"Mount its volume, or name the right folder with --data: every host of a service "
            f"needs the same folder, or a bucket, INTERTWINE_OBJECTS. {_IF_LOST}"
        )
    if its is None or own != its:
        known = "none" if its is None else its
        raise InvalidSetting(
            f"the {place} belongs to another database than {database} (its id is {own}, and that "
            f"of the database is {known}): name the right ones with {place.option} and "
            f"--database. {_IF_LOST}"
        )
    if objects.bucket is not None:
        _mark_host(database, home, objects, its)
    return its


_IF_LOST = (
    "If the right one is lost, restore a backup; to go on without it, run `intertwine admin adopt`"
)


def adopt(database: Database, home: Path, objects: Objects) -> str:
    """Declare that a database, a data folder and a bucket belong together, with a new id.

    Return the id. Files that the database refers to may be missing. Unreferenced files are deleted
    after a day, by default. Raises `OSError` if the folder or the bucket cannot be written.
    """
    name = secrets.token_hex(16)
    home.mkdir(parents=True, exist_ok=True)
    with database.write() as connection:
        connection.execute(delete(identity))
        connection.execute(insert(identity).values(_row(connection, name)))
        if objects.bucket is not None:
            objects.bucket.put(FILE, _content(name))
        _write(home, name, objects)
    return name


def folder_id(home: Path) -> str | None:
    """Return the id in a data folder; None before its first use by a service.

    Raises `InvalidSetting` if the file is damaged.
    """
    document = _read(home)
    return None if document is None else str(document["id"])


def _read(home: Path) -> dict[str, Any] | None:
    try:
        content = (home / FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _parsed(content, home / FILE)


def _parsed(content: bytes, file: object) -> dict[str, Any]:
    try:
        document = json.loads(content)
        is_known = (document["format"], document["version"]) == (_FORMAT, _VERSION)
        if is_known and isinstance(document["id"], str):
            return dict(document)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InvalidSetting(
        f"{file} is damaged: restore it from a backup of the folder, or run `intertwine admin "
        f"adopt` if you are sure that this folder is that of the database"
    )


@dataclass(frozen=True)
class _Place:
    """The place whose id is compared with that of the database: the data folder, or the bucket."""

    home: Path
    objects: Objects

    def id(self) -> str | None:
        """Return its id, or None."""
        bucket = self.objects.bucket
        if bucket is None:
            return folder_id(self.home)
        try:
            content = bucket.get(FILE, _MOST_BYTES)
        except ValueError:  # more bytes than any that a service has written
            content = b""
        return None if content is None else str(_parsed(content, f"{self}/{FILE}")["id"])

    def mark(self, name: str) -> str:
        """Write its id, unless another process does so first. Return its id."""
        bucket = self.objects.bucket
        if bucket is None:
            return _mark(self.home, name)
        bucket.create(FILE, _content(name))
        found = self.id()
        assert found is not None
        return found

    @property
    def option(self) -> str:
        """The option or the variable that names it."""
        return "--data" if self.objects.bucket is None else "INTERTWINE_OBJECTS"

    def __str__(self) -> str:
        if self.objects.bucket is None:
            return f"data folder {self.home}"
        return f"bucket {self.objects.address}"


def _require_known_place(home: Path, objects: Objects) -> None:
    """Raise `InvalidSetting` if the data folder is of a service with a bucket, and none is set."""
    document = _read(home) if objects.bucket is None else None
    if document is not None and document.get("objects"):
        raise InvalidSetting(
            f"the datasets and weights of this service are in {document['objects']}: set "
            f"INTERTWINE_OBJECTS to it. To have them in the data folder again, back the service up "
            f"and restore the backup without the setting"
        )


def _require_new_bucket(connection: Connection, database: Database, objects: Objects) -> None:
    """Raise `InvalidSetting` if the bucket has objects, or the database refers to any."""
    if not objects.is_empty():
        raise InvalidSetting(
            f"the bucket {objects.address} is not that of the database {database}: it has objects "
            f"and no {FILE}. Name the right one with INTERTWINE_OBJECTS. {_IF_LOST}"
        )
    needed = required(connection)
    if needed:
        raise InvalidSetting(
            f"the bucket {objects.address} is empty, and the database {database} refers to "
            f"{len(needed)} datasets and weights, which are elsewhere. To move them from the data "
            f"folder into the bucket: run `intertwine admin backup DIR` without INTERTWINE_OBJECTS "
            f"and then, with it, `intertwine admin restore DIR` into an empty data folder and an "
            f"empty database. If this is the wrong bucket, name the right one"
        )


def _mark_host(database: Database, home: Path, objects: Objects, name: str) -> None:
    """Write the service's id and the address of its bucket in the data folder of a host."""
    document = _read(home)
    if document is not None and document["id"] != name:
        raise InvalidSetting(
            f"the data folder {home} belongs to another database than {database} (its id is "
            f"{document['id']}, and the database's {name}): name another folder with --data, which "
            f"may be empty, because the datasets and weights are in {objects.address}"
        )
    if document is None or document.get("objects") != objects.address:
        home.mkdir(parents=True, exist_ok=True)
        _write(home, name, objects)


def _write(home: Path, name: str, objects: Objects) -> None:
    with whole_file(home / FILE) as file:
        file.write(_content(name, "" if objects.bucket is None else objects.address))


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


def _require_fit(connection: Connection, database: Database, place: _Place) -> None:
    """Raise `InvalidSetting` if contents without ids are of two services."""
    needed = required(connection)
    if needed and not any(map(place.objects.has, needed)):
        is_folder = place.objects.bucket is None
        what, remedy = ("folder", "Mount its volume, or name") if is_folder else ("bucket", "Name")
        raise InvalidSetting(
            f"the {place} is not that of the database {database}, which refers to "
            f"{len(needed)} datasets and weights, and the {what} has none of them. {remedy} the "
            f"right one with {place.option}. {_IF_LOST}"
        )
    has_rows = any(
        connection.execute(select(exists(select(table)))).scalar()
        for table in (jobs, datasets, versions)
    )
    if not has_rows and (not place.objects.is_empty() or _has_files(place.home / "jobs")):
        raise InvalidSetting(
            f"the {place} belongs to another database than {database}: it has "
            f"datasets, weights or jobs, and the database is empty. Name the right database with "
            f"--database, or an empty place with {place.option}. {_IF_LOST}"
        )


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _row(connection: Connection, name: str) -> dict[str, Any]:
    return {"one": 1, "id": name, "created": now(connection)}  # the table has one row


def _content(name: str, objects: str = "") -> bytes:
    document = {"format": _FORMAT, "version": _VERSION, "id": name}
    return json.dumps(document | ({"objects": objects} if objects else {})).encode()
