"""An upgrade takes a snapshot, migrates in one transaction and verifies; or it is refused."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import intertwine
import pytest
from helpers.databases import Databases, postgresql_programs
from helpers.example_jobs import GENEROUS
from helpers.example_stores import run_with_mounts
from intertwine.errors import InvalidSetting
from intertwine_api.storage import database as schema
from intertwine_api.storage.database import HEAD, Database, migrate, version_of, written_by
from intertwine_api.storage.tables import keys
from intertwine_api.storage.upgrades import KEPT, list_snapshots, plan, upgrade
from intertwine_api.work.job import NewJob
from intertwine_api.work.queue import Queue
from sqlalchemy import insert, select, text

MIGRATIONS = Path(schema.__file__).parent / "migrations"


@pytest.fixture
def with_pg_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{postgresql_programs()}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def old(
    databases: Databases, database_kind: str, with_pg_dump: None, tmp_path: Path
) -> Iterator[Database]:
    """A database of the first schema, with one key."""
    if database_kind == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'data' / 'intertwine.db'}")
        first(database)
        yield database
        database.close()
        return
    with databases.empty(database_kind) as url:
        database = Database(url)
        first(database)
        yield database
        database.close()


def first(database: Database) -> None:
    migrate(database, "0001")
    with database.write() as connection:
        connection.execute(text("ALTER TABLE alembic_version DROP COLUMN intertwine"))
    add_key(database, "before")


def add_key(database: Database, name: str) -> None:
    row = {"id": name, "digest": name, "owner": "alice", "scopes": ["admin"], "created": 1.0}
    with database.write() as connection:
        connection.execute(insert(keys).values(row))


def key_ids(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(select(keys.c.id)).scalars())


def version(database: Database) -> str | None:
    with database.read() as connection:
        return version_of(connection)


def go_back(database: Database, snapshot: Path) -> None:
    """Restore a snapshot as docs/service.md says."""
    database.close()
    if database.is_sqlite:
        file = Path(str(database.url.database))
        for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
            name.unlink(missing_ok=True)
        shutil.copyfile(snapshot, file)
        return
    with database.write() as connection:  # an empty database, which dropdb and createdb make
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = ("--no-owner", "--exit-on-error", f"--dbname={address}")
    subprocess.run(["pg_restore", *options, snapshot], check=True)


class TestSnapshots:
    def test_undo_an_upgrade(self, old: Database, tmp_path: Path) -> None:
        data = tmp_path / "data"
        snapshot = upgrade(old, data)
        assert snapshot is not None
        assert f".0001-before-{HEAD}-" in snapshot.name
        assert (snapshot.parent, stat.S_IMODE(snapshot.stat().st_mode)) == (data, 0o600)
        assert list_snapshots(old, data) == [snapshot]
        assert version(old) == HEAD
        add_key(old, "after")
        go_back(old, snapshot)
        assert version(old) == "0001"
        assert key_ids(old) == ["before"]
        assert upgrade(old, data) is not None  # and once more
        assert version(old) == HEAD
        assert key_ids(old) == ["before"]

    def test_are_not_taken_of_an_empty_database_or_one_that_is_up_to_date(
        self, databases: Databases, database_kind: str, tmp_path: Path
    ) -> None:
        with databases.empty(database_kind) as url:
            database = Database(url)
            assert upgrade(database, tmp_path) is None
            assert version(database) == HEAD
            assert upgrade(database, tmp_path) is None
            assert list_snapshots(database, tmp_path) == []
            database.close()

    def test_are_not_taken_if_none_is_wanted(self, old: Database, tmp_path: Path) -> None:
        assert upgrade(old, tmp_path / "data", "never") is None
        assert version(old) == HEAD
        assert list_snapshots(old, tmp_path / "data") == []

    def test_only_the_newest_are_kept(self, old: Database, tmp_path: Path) -> None:
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        made = upgrade(old, data)
        assert made is not None
        for day in range(1, KEPT + 2):
            name = made.name.replace(
                made.name.partition(f"-before-{HEAD}-")[2][:8], f"2020010{day}"
            )
            os.utime(shutil.copyfile(made, data / name), (day, day))
        (data / "other.0001-before-0002-20200101T000000Z").touch()
        go_back(old, made)
        made.unlink()
        assert upgrade(old, data) is not None
        found = list_snapshots(old, data)
        assert len(found) == KEPT
        assert f"2020010{KEPT + 1}" in found[1].name
        assert (data / "other.0001-before-0002-20200101T000000Z").exists()

    def test_are_taken_once_by_many_services_that_start(
        self, old: Database, tmp_path: Path
    ) -> None:
        url = old.url.render_as_string(hide_password=False)
        services = [Database(url) for _ in range(4)]
        with ThreadPoolExecutor(4) as threads:
            taken = list(threads.map(lambda each: upgrade(each, tmp_path / "data"), services))
        for each in services:
            each.close()
        assert sum(snapshot is not None for snapshot in taken) == 1
        assert len(list_snapshots(old, tmp_path / "data")) == 1


class TestFailures:
    @pytest.fixture
    def step(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The file of a version 9999, in a folder of its own."""
        folder = tmp_path / "migrations"
        shutil.copytree(MIGRATIONS, folder)
        monkeypatch.setattr(schema, "_MIGRATIONS", str(folder))
        monkeypatch.setattr(schema, "HEAD", "9999")
        return folder / "versions" / "9999_next.py"

    def write(self, step: Path, line: str) -> None:
        head = f'from alembic import op\nrevision = "9999"\ndown_revision = "{HEAD}"\n'
        step.write_text(f"{head}def upgrade():\n    {line}\n")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('op.execute("no statement")', "syntax error"),
            ('op.drop_index("ix_jobs_created", "jobs")', "was undone, because the tables"),
            ('op.drop_column("api_keys", "revoked")', "was undone, because the tables"),
        ],
    )
    def test_of_a_migration_change_nothing(
        self, old: Database, step: Path, tmp_path: Path, line: str, message: str
    ) -> None:
        self.write(step, line)
        with pytest.raises(InvalidSetting, match=message):
            upgrade(old, tmp_path / "data")
        assert version(old) == "0001"
        assert key_ids(old) == ["before"]
        assert list_snapshots(old, tmp_path / "data") == []  # a service that restarts fills no disk

    def test_tables_of_others_are_none(self, old: Database, tmp_path: Path) -> None:
        with old.write() as connection:
            connection.execute(text("CREATE TABLE report (id INTEGER)"))
            connection.execute(text("CREATE INDEX mine ON jobs (priority)"))
        upgrade(old, tmp_path / "data")
        assert version(old) == HEAD


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_postgresql_without_pg_dump_is_upgraded_only_with_a_warning(
    old: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "pg_dump is not installed" in plan(old, tmp_path).obstacle
    with pytest.raises(InvalidSetting, match=r"postgresql-client.*--no-snapshot"):
        upgrade(old, tmp_path, "always")
    assert version(old) == "0001"
    assert upgrade(old, tmp_path) is None
    assert version(old) == HEAD
    assert "no snapshot is taken before the upgrade" in caplog.text


FULL_DISK = """
from pathlib import Path
from intertwine.errors import InvalidSetting
from intertwine_api.storage.database import Database, migrate, version_of
from intertwine_api.storage.upgrades import list_snapshots, plan, upgrade
folder = Path(sys.argv[1])
mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", folder)  # all of it is the disk's reserve
database = Database(f"sqlite:///{folder / 'intertwine.db'}")
migrate(database, "0001")
assert "bytes are free on the disk" in plan(database, folder).obstacle
for snapshots in ("if-possible", "always"):
    try:
        upgrade(database, folder, snapshots)
    except InvalidSetting as error:
        assert "a snapshot cannot be taken" in str(error) and "--no-snapshot" in str(error), error
    else:
        raise AssertionError("it was upgraded")
assert list_snapshots(database, folder) == []
with database.read() as connection:
    assert version_of(connection) == "0001"
upgrade(database, folder, "never")
"""


def test_sqlite_is_not_upgraded_without_room_for_the_snapshot(tmp_path: Path) -> None:
    done = run_with_mounts(FULL_DISK, tmp_path)
    assert done.returncode == 0, done.stderr


class TestPlans:
    @pytest.mark.slow
    def test_say_what_would_be_done_and_change_nothing(self, old: Database, tmp_path: Path) -> None:
        found = plan(old, tmp_path / "data")
        assert (found.schema, found.newest, found.written_by) == ("0001", HEAD, None)
        assert found.is_due
        assert next(iter(found.steps)) == "0002"
        assert list(found.steps)[-1] == HEAD
        assert 0 < found.snapshot_bytes < found.free_bytes
        assert found.obstacle == ""
        assert version(old) == "0001"
        assert list_snapshots(old, tmp_path / "data") == []
        upgrade(old, tmp_path / "data")
        found = plan(old, tmp_path / "data")
        assert (found.schema, found.written_by) == (HEAD, intertwine.__version__)
        assert not found.is_due

    def test_count_jobs_that_run(self, old: Database, tmp_path: Path) -> None:
        upgrade(old, tmp_path / "data")
        queue = Queue(old)
        for number in range(3):
            queue.submit(NewJob("train", "alice", {"number": number}, GENEROUS))
        assert plan(old, tmp_path / "data").held_jobs == 0
        job = queue.claim("this host", 1)
        assert job is not None
        assert plan(old, tmp_path / "data").held_jobs == 1


class TestNewerSchemas:
    def from_the_future(self, database: Database) -> None:
        with database.write() as connection:
            change = "UPDATE alembic_version SET version_num = '9999', intertwine = '7.1.0'"
            connection.execute(text(change))

    def test_are_refused_with_who_wrote_them_and_the_way_back(
        self, old: Database, tmp_path: Path
    ) -> None:
        snapshot = upgrade(old, tmp_path / "data")
        assert snapshot is not None
        self.from_the_future(old)
        for refuse in (plan, upgrade):
            with pytest.raises(InvalidSetting) as refused:
                refuse(old, tmp_path / "data")
            message = str(refused.value)
            assert "of version 9999, written by Intertwine 7.1.0" in message
            assert f"to Intertwine {intertwine.__version__}, is {HEAD}" in message
            assert "install a newer Intertwine (7.1.0 or later)" in message
            assert f"restore the snapshot {snapshot}" in message
        assert version(old) == "9999"
        assert list_snapshots(old, tmp_path / "data") == [snapshot]

    def test_without_a_snapshot_that_fits_name_the_backup(
        self, old: Database, tmp_path: Path
    ) -> None:
        snapshot = upgrade(old, tmp_path / "data")
        assert snapshot is not None
        snapshot.rename(snapshot.with_name(snapshot.name.replace("0001-before", "9998-before")))
        self.from_the_future(old)
        with old.read() as connection:
            assert written_by(connection) == "7.1.0"
        with pytest.raises(InvalidSetting, match=r"restore a backup \(intertwine admin restore\)"):
            upgrade(old, tmp_path / "data")
