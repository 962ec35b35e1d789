"""Back up and restore the persistent data of a service: database, objects, folders of jobs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from intertwine.errors import FormatError, InvalidSetting, NotFound
from intertwine_cache import SIGNING_KEY
from sqlalchemy import URL, Connection, inspect, select, text

from intertwine_api.storage.database import HEAD, Database, migration_steps, version_of
from intertwine_api.storage.identity import FILE, adopt
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.quota import UploadedWeights
from intertwine_api.storage.references import referred_to, required
from intertwine_api.storage.tables import jobs

FORMAT, VERSION = "intertwine-backup", 1
_CONTENTS = "backup.json"
_PIECE = 2**20  # bytes
_SNAPSHOTS = 100  # the most attempts, if objects are deleted at the same time; later ones are short
_DUMPS = {"sqlite": "database.sqlite", "postgresql": "database.dump"}


@dataclass(frozen=True)
class Backup:
    """What a backup contains: its files with their sizes in bytes and sha256.

    `missing` lists the digests of objects that the database refers to and the service has lost.
    """

    database: str
    schema: str
    created: float
    files: Mapping[str, tuple[int, str]]
    missing: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Return the size in bytes."""
        return sum(size for size, _ in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """Return the backup as the document of its file ``backup.json``."""
        fields = {name: getattr(self, name) for name in ("database", "schema", "created")}
        files = {name: list(entry) for name, entry in self.files.items()}
        lists = {"missing": list(self.missing), "files": files}
        return {"format": FORMAT, "version": VERSION, **fields, **lists}

    @classmethod
    def read(cls, folder: Path) -> Backup:
        """Read the backup in a folder. Raises `NotFound`, or `FormatError` if it is damaged."""
        file = folder / _CONTENTS
        try:
            document = json.loads(file.read_bytes())
            if (document["format"], document["version"]) != (FORMAT, VERSION):
                raise FormatError(f"{file} is not of {FORMAT} version {VERSION}")
            files = {name: (int(n), str(sha)) for name, (n, sha) in document["files"].items()}
            found = cls(
                str(document["database"]),
                str(document["schema"]),
                float(document["created"]),
                files,
                tuple(document["missing"]),
            )
        except FileNotFoundError as error:
            raise NotFound(f"{folder} has no {_CONTENTS}: it is not a complete backup") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(f"{file} is damaged: {error!r}") from error
        if found.database not in _DUMPS or not all(map(_is_inside, files)):
            raise FormatError(f"{file} is damaged: it names files outside the backup")
        return found


def back_up(database: Database, data: Path, objects: Objects, target: Path) -> Backup:
    """Write a consistent backup of a service to a new folder. The service may be running.

    All objects that a snapshot of the database refers to are copied, and then the snapshot. Objects
    do not change; if one is deleted meanwhile, a new snapshot is taken, and only new objects are
    copied. Raises `InvalidSetting` if the folder is not empty or the database has no tables, and
    `OSError` for errors of the disk.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidSetting(f"{target} is not empty: give a new folder for each backup")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    partial.mkdir(mode=0o700)
    try:
        backup = _write(database, data, objects, partial)
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return backup


def _write(database: Database, data: Path, objects: Objects, folder: Path) -> Backup:
    kind = database.url.get_backend_name()
    files = _Files(folder)
    (folder / "objects").mkdir()
    for attempt in range(1, _SNAPSHOTS + 1):
        created = time.time()
        with _snapshot(database) as (connection, dump):
            wanted, needed = referred_to(connection), required(connection)
            absent = [digest for digest in sorted(wanted) if not files.add(objects, digest)]
            missing = tuple(digest for digest in absent if digest in needed)
            if missing and attempt < _SNAPSHOTS:
                continue
            schema = version_of(connection)
            job_ids = connection.execute(select(jobs.c.id)).scalars().all()
            dump(folder / _DUMPS[kind])
            break
    files.note(_DUMPS[kind])
    for job_id in job_ids:
        files.add_folder(data, Path("jobs") / job_id)
    files.add_folder(data, Path("weights"))  # records that no new version has imported yet
    files.add_file(data, data / SIGNING_KEY)  # or clients must trust another key
    backup = Backup(kind, str(schema), created, files.noted, missing)
    (folder / _CONTENTS).write_text(json.dumps(backup.to_json(), indent=1))
    return backup


@dataclass(frozen=True)
class _Files:
    """The files of a backup that is being written."""

    folder: Path
    noted: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, objects: Objects, digest: str) -> bool:
        """Copy an object. Return whether the copy has its digest."""
        name = f"objects/{digest}"
        if name in self.noted:
            return True
        if not objects.copy(digest, self.folder / name):
            (self.folder / name).unlink(missing_ok=True)
            return False
        self.note(name)
        return self.noted[name][1] == digest

    def add_folder(self, root: Path, folder: Path) -> None:
        """Copy the files of a folder below the root, except files that are deleted meanwhile."""
        for file in sorted((root / folder).rglob("*")):
            self.add_file(root, file)

    def add_file(self, root: Path, file: Path) -> None:
        """Copy a file below the root, if it exists and is not a link."""
        if file.is_symlink() or not file.is_file():
            return
        name = file.relative_to(root).as_posix()
        copy = self.folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(file, copy)
        except FileNotFoundError:  # deleted meanwhile
            return
        self.note(name)

    def note(self, name: str) -> None:
        """Sync a copied file to the disk, and record its size and digest."""
        path = self.folder / name
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.noted[name] = path.stat().st_size, _digest_of(path)


def restore(source: Path, database: Database, data: Path, objects: Objects) -> Backup:
    """Restore a backup into an empty data folder and an empty database, and upgrade its schema.

    The digests of all files are checked first. Raises `NotFound` or `FormatError` if the backup is
    incomplete or damaged, and `InvalidSetting` if it is of a newer version or the folder or the
    database is not empty.
    """
    backup = Backup.read(source)
    damaged = [fault for name in backup.files if (fault := _fault(source, name, backup))]
    if damaged:
        raise FormatError(f"the backup {source} is damaged: {'; '.join(damaged[:3])}")
    if backup.schema not in migration_steps():
        raise InvalidSetting(
            f"the backup {source} has a schema of version {backup.schema}, and the newest known "
            f"here is {HEAD}: install the Intertwine that made it, or a newer one"
        )
    _require_empty(backup, database, data, objects)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in backup.files:
        file = source / name
        if name.startswith("objects/"):
            objects.put(file)
        elif name == SIGNING_KEY or name.startswith(("jobs/", "weights/")):
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, data / name)
    _load(source / _DUMPS[backup.database], database)
    database.migrate()
    UploadedWeights(database, objects).import_files(data / "weights")
    # a new id: the service that was backed up may go on beside this one
    adopt(database, data, objects)
    return backup


def _fault(source: Path, name: str, backup: Backup) -> str:
    size, digest = backup.files[name]
    path = source / name
    if not path.is_file():
        return f"{name} is missing"
    is_whole = path.stat().st_size == size and _digest_of(path) == digest
    return "" if is_whole else f"{name} has changed"


def _require_empty(backup: Backup, database: Database, data: Path, objects: Objects) -> None:
    kind = database.url.get_backend_name()
    if kind != backup.database:
        raise InvalidSetting(
            f"the backup is of {backup.database}, and {database} is of {kind}: give a database of "
            f"{backup.database}"
        )
    for folder in (data / "objects", data / "jobs"):
        if folder.is_dir() and any(folder.iterdir()):
            raise InvalidSetting(f"{folder} is not empty: restore into an empty data folder")
    is_of_a_service = objects.bucket is not None and objects.bucket.head(FILE) is not None
    if is_of_a_service or not objects.is_empty():
        raise InvalidSetting(
            f"{objects.address} is not empty: name another prefix with INTERTWINE_OBJECTS"
        )
    if database.is_sqlite:  # also its log, which SQLite would replay into the restored file
        file = str(database.url.database)
        parts = ("", "-wal", "-shm", "-journal")
        has_contents = any(Path(f"{file}{part}").exists() for part in parts)
    else:
        with database.read() as connection:
            has_contents = bool(inspect(connection).get_table_names())
    if has_contents:
        raise InvalidSetting(f"the database {database} is not empty: restore into an empty one")


def verify_objects(database: Database, objects: Objects) -> Iterator[str]:
    """Hash every object, and yield a message for each one that is damaged or missing."""
    damaged = set()
    for finding in objects.verify():
        damaged.add(finding.digest)
        yield f"{finding.place}: {finding.reason}"
    with database.read() as connection:
        needed = required(connection)
    for digest in sorted(needed - damaged):
        if not objects.has(digest):
            yield f"the object {digest}, which the database refers to, is missing"


# -- databases


@contextmanager
def _snapshot(database: Database) -> Iterator[tuple[Connection, Callable[[Path], None]]]:
    """Yield a connection with a snapshot of the database, and a function that dumps it."""
    if database.is_sqlite and not Path(str(database.url.database)).is_file():
        raise NotFound(f"there is no database {database}: name the folder of the data with --data")
    if database.is_sqlite:
        with database.read() as connection:
            connection.execute(text("SELECT count(*) FROM sqlite_master"))  # starts the snapshot
            yield connection, lambda file: dump_sqlite(connection, file)
        return
    engine = database.engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        option = f"--snapshot={snapshot}"
        yield connection, lambda file: dump_postgresql(database, file, option)


def dump_sqlite(connection: Connection, file: Path) -> None:
    """Copy the database as the connection's transaction sees it."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    with closing(sqlite3.connect(file)) as copy:
        driver.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file; the service sets it to WAL again


def dump_postgresql(database: Database, file: Path, *options: str) -> None:
    """Dump the database with ``pg_dump``. Raises `InvalidSetting` if it is missing or fails."""
    usual = ("--format=custom", "--no-owner", "--no-privileges")
    _run("pg_dump", *usual, *options, f"--file={file}", database=database)


def _load(dump: Path, database: Database) -> None:
    """Load the copy of a database into an empty one."""
    if not database.is_sqlite:
        options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
        _run("pg_restore", *options, str(dump), database=database)
        return
    path = Path(str(database.url.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.restored")
    shutil.copyfile(dump, partial)
    partial.chmod(0o600)
    partial.replace(path)


def _run(program: str, *arguments: str, database: Database) -> None:
    """Run a program of PostgreSQL. The password is passed in the environment, which is private.

    Raises `InvalidSetting` if the program is not installed or fails.
    """
    url = database.url
    address = URL.create(
        "postgresql", url.username, None, url.host, url.port, url.database, url.query
    )
    command = [program, f"--dbname={address.render_as_string(hide_password=False)}", *arguments]
    password = {} if url.password is None else {"PGPASSWORD": str(url.password)}
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise InvalidSetting(
            f"{program} is not installed: install the client programs of PostgreSQL "
            f"(postgresql-client on Debian), of the server's version or later"
        ) from error
    if done.returncode:
        raise InvalidSetting(f"{program} failed on {database}: {done.stderr.strip()}")


# -- files


def _is_inside(name: str) -> bool:
    """Return whether a name in a backup is a relative path inside its folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
