"""Upgrade a service's database: plan, take a snapshot, migrate, and verify.

A migration is one transaction, so a failed one changes nothing. The snapshot lets the operator undo
a successful one.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import intertwine
from intertwine.bases.certificate import SOLVER_VERSION
from intertwine.errors import InvalidSetting
from intertwine_cache import Store
from intertwine_cache.manifest import Manifest
from intertwine_cache.store import require_room
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from intertwine_api.storage import database as schema
from intertwine_api.storage.backup import dump_postgresql, dump_sqlite
from intertwine_api.storage.database import Database, NewerSchema
from intertwine_api.storage.tables import jobs, metadata
from intertwine_api.wire.vocabulary import HELD

#: The number of snapshots of a database that are kept.
KEPT = 3

#: `if-possible` continues with a warning if PostgreSQL cannot be dumped. A snapshot of SQLite needs
#: only disk space, which the migration needs too.
Snapshots = Literal["always", "if-possible", "never"]

_LOG = logging.getLogger("intertwine.service")
_NAME = re.compile(r"(.+)\.(\w+)-before-(\w+)-\d{8}T\d{6}Z(\.dump)?")
_WITHOUT = "to go on without a snapshot, run `intertwine admin upgrade --no-snapshot`"


@dataclass(frozen=True)
class Plan:
    """What an upgrade of a database would do.

    `schema` is its version, None without tables. `written_by` is the Intertwine that last migrated
    it, None if that is not recorded. `steps` has the first line of each migration by its version.
    `held_jobs` counts running jobs. `obstacle` is the reason why no snapshot can be taken, or "".
    """

    database: str
    schema: str | None
    newest: str
    written_by: str | None
    steps: Mapping[str, str]
    snapshot_bytes: int
    free_bytes: int
    held_jobs: int
    obstacle: str

    @property
    def is_due(self) -> bool:
        """Whether the schema is older than the newest one."""
        return bool(self.steps)


def plan(database: Database, home: Path) -> Plan:
    """Return what an upgrade would do. Changes nothing.

    Raises `InvalidSetting` if the database cannot be used, or `NewerSchema` if it is of a newer
    version.
    """
    with _explained(database, home), database.read() as connection:
        schema.require_known(database, connection)
        version = schema.version_of(connection)
        steps = schema.migration_steps()
        known = list(steps)
        missing = known if version is None else known[known.index(version) + 1 :]
        size = 0 if version is None else _size(database, connection)
        held = select(func.count()).select_from(jobs).where(jobs.c.state.in_(HELD))
        return Plan(
            database=str(database),
            schema=version,
            newest=schema.HEAD,
            written_by=schema.written_by(connection),
            steps={name: steps[name] for name in missing},
            snapshot_bytes=size,
            free_bytes=shutil.disk_usage(_existing(_folder(database, home))).free,
            held_jobs=0 if version is None else connection.execute(held).scalar_one(),
            obstacle=_obstacle(database, home, size) if missing and size else "",
        )


def upgrade(database: Database, home: Path, snapshots: Snapshots = "if-possible") -> Path | None:
    """Take a snapshot, migrate the database to the newest schema, and verify it.

    Return the file of the snapshot; None if no upgrade was due, the database was empty, or no
    snapshot was requested or possible. One process at a time does this, in one transaction: after
    an error, the database is unchanged and there is no snapshot. Raises `InvalidSetting`, or
    `NewerSchema` if the database is of a newer version.
    """
    taken: list[Path] = []
    is_new = False

    def before(connection: Connection, version: str | None) -> None:
        nonlocal is_new
        is_new = version is None
        if version is None or snapshots == "never":
            return
        try:
            taken.append(_take(database, home, connection, version))
        except InvalidSetting as error:
            if snapshots == "always" or database.is_sqlite:
                raise
            _LOG.warning("no snapshot is taken before the upgrade of %s: %s", database, error)

    def after(connection: Connection, version: str | None) -> None:
        _verify(database, connection)
        if not is_new:
            _LOG.info("the schema of %s is upgraded to version %s", database, version)

    try:
        with _explained(database, home):
            schema.migrate(database, before=before, after=after)
    except BaseException:
        for file in taken:
            file.unlink(missing_ok=True)
        raise
    if not taken:
        return None
    _LOG.info("the snapshot from before the upgrade is %s", taken[0])
    for old in list_snapshots(database, home)[KEPT:]:
        old.unlink(missing_ok=True)
    return taken[0]


def list_snapshots(database: Database, home: Path) -> list[Path]:
    """Return the snapshots of a database, the newest first."""
    folder = _folder(database, home)
    if not folder.is_dir():
        return []
    found = [file for file in folder.iterdir() if _is_snapshot(file.name, _stem(database))]
    return sorted(found, key=lambda file: file.stat().st_mtime_ns, reverse=True)


def _is_snapshot(name: str, stem: str) -> bool:
    found = _NAME.fullmatch(name)
    return found is not None and found[1] == stem


@contextmanager
def _explained(database: Database, home: Path) -> Iterator[None]:
    """Name the snapshot that this version can use in the error of a newer schema."""
    try:
        yield
    except NewerSchema as error:
        known = schema.migration_steps()
        usable = [
            file
            for file in list_snapshots(database, home)
            if (found := _NAME.fullmatch(file.name)) is not None and found[2] in known
        ]
        last = f"the snapshot {usable[0]}" if usable else "a backup (intertwine admin restore)"
        raise NewerSchema(
            f"{error}. To go back to Intertwine {intertwine.__version__}, stop the service and "
            f"restore {last}, which loses everything written since then"
        ) from error
    except DBAPIError as error:
        said = " ".join(str(error.orig or error).split())
        raise InvalidSetting(f"the database {database} cannot be used: {said}") from error


# -- snapshots


def _take(database: Database, home: Path, connection: Connection, version: str) -> Path:
    """Take a snapshot of the database that the connection is about to migrate; return its file."""
    folder = _folder(database, home)
    folder.mkdir(parents=True, exist_ok=True)
    obstacle = _obstacle(database, home, _size(database, connection))
    if obstacle:
        raise InvalidSetting(f"a snapshot cannot be taken before the upgrade: {obstacle}")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    suffix = "" if database.is_sqlite else ".dump"
    name = f"{_stem(database)}.{version}-before-{schema.HEAD}-{stamp}{suffix}"
    partial, target = folder / f".{name}.partial", folder / name
    try:
        partial.touch(mode=0o600)
        if database.is_sqlite:
            # SQLite cannot copy over a connection that may write; no other connection can write now
            with database.read() as reader:
                dump_sqlite(reader, partial)
        else:
            dump_postgresql(database, partial)
        partial.chmod(0o600)
        _sync(partial)
        partial.replace(target)
        _sync(folder)
    except (OSError, sqlite3.Error) as error:
        raise InvalidSetting(
            f"the snapshot {target} cannot be written: {error}. Free disk space or repair the "
            f"folder; {_WITHOUT}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _obstacle(database: Database, home: Path, size: int) -> str:
    """Return why a snapshot of this size cannot be taken, and what to do; else ""."""
    if not database.is_sqlite and shutil.which("pg_dump") is None:
        return (
            f"pg_dump is not installed: install the client programs of PostgreSQL "
            f"(postgresql-client on Debian), of the server's version or later; {_WITHOUT}"
        )
    folder = _existing(_folder(database, home))
    # SQLite also writes tables that a migration rebuilds to its journal, beside the snapshot
    wanted = 2 * size if database.is_sqlite else size
    try:
        require_room(folder, wanted)
    except OSError as error:
        return f"{folder} needs {wanted:,} bytes, and {error.strerror}: free disk space; {_WITHOUT}"
    return ""


def _size(database: Database, connection: Connection) -> int:
    """Return the bytes of a snapshot: the size of SQLite's file, or an upper bound of a dump."""
    if not database.is_sqlite:
        query = "SELECT pg_database_size(current_database())"
        return int(connection.execute(text(query)).scalar_one())
    pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    return int(pages) * int(connection.execute(text("PRAGMA page_size")).scalar_one())


def _folder(database: Database, home: Path) -> Path:
    """Return the folder of the snapshots: beside SQLite's file, or the data folder."""
    return Path(str(database.url.database)).absolute().parent if database.is_sqlite else home


def _stem(database: Database) -> str:
    name = Path(str(database.url.database)).name
    return name if database.is_sqlite else f"postgresql-{name}"


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _sync(path: Path) -> None:
    """Sync a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- the store of bases


def count_bases(store: Store) -> tuple[int, int]:
    """Return how many bases a store has, and how many of them are from an older solver.

    The latter are solved again on their next request. Reads every manifest, and changes nothing.
    """
    total = older = 0
    for path in store.layout.all_manifests():
        try:
            certificate = Manifest.from_bytes(path.stem, path.read_bytes()).details["certificate"]
            older += int(certificate.get("solver", 1)) < SOLVER_VERSION
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # damaged (see `intertwine cache verify`), or not a basis
        total += 1
    return total, older


# -- verification


def _verify(database: Database, connection: Connection) -> None:
    """Raise `InvalidSetting` if a migrated database is damaged or incomplete.

    Additional tables, columns and indexes are allowed.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    if database.is_sqlite:
        found = connection.execute(text("PRAGMA integrity_check(3)")).scalars().all()
        if list(found) != ["ok"]:
            raise InvalidSetting(
                f"the database {database} is damaged, and was not upgraded: {'; '.join(found)}. "
                f"Restore a backup"
            )
    options = {"compare_type": True, "target_metadata": metadata}
    context = MigrationContext.configure(connection, opts=options)
    differences = [_first(change) for change in compare_metadata(context, metadata)]
    lacking = [change for change in differences if not change[0].startswith("remove_")]
    if lacking:
        raise InvalidSetting(
            f"the upgrade of {database} was undone, because the tables are not those of version "
            f"{schema.HEAD}: {lacking[:3]}. Were they changed by hand? Restore a backup, or report "
            f"this as a bug"
        )


def _first(change: tuple[str, ...] | list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return a difference. The changes of one column are a list."""
    return change[0] if isinstance(change, list) else change
