"""The schema, from nothing and from every version that there was, on both databases."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from hatchling.builders.wheel import WheelBuilder
from helpers.databases import Databases
from intertwine.errors import InvalidSetting
from intertwine_api.storage import database as migration
from intertwine_api.storage.database import HEAD, Database, alembic_config, migrate, version_of
from intertwine_api.storage.tables import metadata
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    insert,
    inspect,
    select,
    text,
)

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "api" / "intertwine_api"
PROGRAM = Path(__file__).with_name("migrating.py")

#: Every version, the oldest first.
VERSIONS = [
    step.revision for step in ScriptDirectory.from_config(alembic_config()).walk_revisions()
][::-1]


@pytest.fixture
def empty(databases: Databases, database_kind: str) -> Iterator[Database]:
    """A database in which nothing is."""
    with databases.empty(database_kind) as url:
        database = Database(url)
        yield database
        database.close()


def differences(database: Database) -> list[Any]:
    """How the tables of the database differ from those in the code."""
    with database.read() as connection:
        options = {"compare_type": True, "target_metadata": metadata}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))


def version(database: Database) -> str | None:
    with database.read() as connection:
        return version_of(connection)


def value(column: Column[Any]) -> Any:
    """A value that the column can hold."""
    if isinstance(column.type, JSON):
        return {"some": ["document"]}
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Float):
        return 1.5
    return 7 if isinstance(column.type, Integer) else "text"


def reflected(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    found.remove(found.tables["alembic_version"])
    return found


def fill(database: Database) -> dict[str, dict[str, Any]]:
    """A row in each of the tables that there are; the rows."""
    with database.write() as connection:
        tables = reflected(connection)
        for table in tables.sorted_tables:  # whoever is referred to has the same values
            connection.execute(
                insert(table).values({column.name: value(column) for column in table.c})
            )
        return rows(connection, tables)


def rows(connection: Connection, tables: MetaData) -> dict[str, dict[str, Any]]:
    found = {
        name: connection.execute(select(table)).mappings().one_or_none()
        for name, table in tables.tables.items()
    }
    return {name: dict(row) for name, row in found.items() if row is not None}


class TestMigration:
    def test_of_an_empty_database_makes_the_tables_of_the_code(self, empty: Database) -> None:
        assert version(empty) is None
        empty.migrate()
        assert version(empty) == HEAD
        assert differences(empty) == []

    @pytest.mark.parametrize("start", VERSIONS)
    def test_from_every_version_keeps_the_rows(self, empty: Database, start: str) -> None:
        migrate(empty, start)
        assert version(empty) == start
        before = fill(empty)
        assert {"jobs", "job_events"} <= set(before)
        for step in VERSIONS[VERSIONS.index(start) :]:
            migrate(empty, step)
            assert version(empty) == step
        empty.migrate()
        assert differences(empty) == []
        with empty.read() as connection:
            after = rows(connection, reflected(connection))
        for table, row in before.items():
            kept = {name: after[table][name] for name in row if name in after.get(table, ())}
            assert kept == {name: row[name] for name in kept}, table

    def test_of_what_is_up_to_date_does_nothing(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(migration, "_upgrade", None)
        database.migrate()

    def test_by_many_processes_at_once_is_done_once(
        self, databases: Databases, database_kind: str
    ) -> None:
        with databases.empty(database_kind) as url:
            done = subprocess.run(
                [sys.executable, PROGRAM, url, "6"], capture_output=True, timeout=300, check=False
            )
        assert done.returncode == 0, done.stderr.decode()
        said = json.loads(done.stdout)
        assert said["ended"] == [0] * 6, done.stderr.decode()
        assert said["answers"] == [[HEAD, False]] * 6

    def test_waits_for_another_process_that_migrates_the_file(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path / 'intertwine.db'}")
        with ThreadPoolExecutor(1) as threads:
            with FileLock(tmp_path / "intertwine.db.lock"):
                migrating = threads.submit(database.migrate)
                with pytest.raises(TimeoutError):
                    migrating.result(timeout=0.3)
                assert not (tmp_path / "intertwine.db").exists()
            migrating.result(timeout=300)
        assert version(database) == HEAD
        database.close()


class TestRefusals:
    def test_of_a_schema_from_the_future(self, empty: Database) -> None:
        empty.migrate()
        with empty.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(InvalidSetting, match=r"of version 9999.*install a newer Intertwine"):
            empty.migrate()
        assert version(empty) == "9999"

    def test_of_a_server_that_does_not_answer(self) -> None:
        database = Database("postgresql://ada:secret@127.0.0.1:1/none")
        with pytest.raises(InvalidSetting, match=r"\*\*\*@127\.0\.0\.1.*refused") as refused:
            database.migrate()
        assert "secret" not in str(refused.value)
        database.close()

    def test_of_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "intertwine.db").write_text("a diary, in a thousand words " * 100)
        database = Database(f"sqlite:///{tmp_path / 'intertwine.db'}")
        with pytest.raises(InvalidSetting, match="file is not a database"):
            database.migrate()
        database.close()

    def test_of_a_place_where_no_file_can_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        database = Database(f"sqlite:///{tmp_path / 'file' / 'intertwine.db'}")
        with pytest.raises(InvalidSetting, match=r"file.*cannot be used"):
            database.migrate()
        database.close()


class TestSteps:
    """What a later version may do: here one after the newest, in a folder of its own."""

    @pytest.fixture
    def step(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The file of a version 9999."""
        folder = tmp_path / "migrations"
        shutil.copytree(PACKAGE / "storage" / "migrations", folder)
        monkeypatch.setattr(migration, "_MIGRATIONS", str(folder))
        monkeypatch.setattr(migration, "HEAD", "9999")
        return folder / "versions" / "9999_next.py"

    def write(self, step: Path, *lines: str) -> None:
        head = f'from alembic import op\nrevision = "9999"\ndown_revision = "{HEAD}"\n'
        step.write_text(head + "def upgrade():\n" + "".join(f"    {line}\n" for line in lines))

    def test_that_make_a_table_anew_keep_what_refers_to_it(
        self, empty: Database, step: Path
    ) -> None:
        migrate(empty, HEAD)
        before = fill(empty)
        self.write(
            step,
            'with op.batch_alter_table("jobs", recreate="auto") as batch:',
            '    batch.alter_column("name", new_column_name="title")',
        )
        empty.migrate()
        with empty.read() as connection:
            after = rows(connection, reflected(connection))
            keys = inspect(connection).get_foreign_keys("job_events")
        assert after["job_events"] == before["job_events"]
        assert after["jobs"]["title"] == "text"
        assert keys[0]["referred_table"] == "jobs"
        with empty.write() as connection:  # references count again
            connection.execute(text("DELETE FROM jobs"))
            assert connection.execute(text("SELECT * FROM job_events")).all() == []

    def test_that_fail_leave_all_as_it_was(self, empty: Database, step: Path) -> None:
        migrate(empty, HEAD)
        self.write(step, 'op.drop_table("api_keys")', 'op.execute("no statement")')
        with pytest.raises(InvalidSetting, match="syntax error"):
            empty.migrate()
        assert version(empty) == HEAD
        assert differences(empty) == []


class TestFiles:
    def test_are_in_one_line_and_named_by_their_versions(self) -> None:
        script = ScriptDirectory.from_config(alembic_config())
        assert script.get_heads() == [HEAD] == VERSIONS[-1:]
        assert [f"{number + 1:04}" for number in range(len(VERSIONS))] == VERSIONS
        for step in script.walk_revisions():
            assert Path(step.path).name.startswith(f"{step.revision}_")
            assert step.doc

    def test_are_in_the_wheel(self) -> None:
        builder = WheelBuilder(str(ROOT))
        packed = {file.distribution_path for file in builder.recurse_included_files()}
        folder = "intertwine_api/storage/migrations"
        steps = {path.name for path in (PACKAGE / "storage/migrations/versions").glob("*.py")}
        wanted = {f"{folder}/env.py", *(f"{folder}/versions/{name}" for name in steps)}
        assert wanted <= packed
