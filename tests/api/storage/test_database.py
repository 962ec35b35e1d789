"""Connections to either database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from intertwine.errors import InvalidSetting
from intertwine_api.storage.database import Database
from intertwine_api.storage.tables import events, keys, models
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

MODEL = {"name": "inertia", "owner": "ada", "created": 0.0, "last_version": 0}


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(models)).scalar_one())


class TestURLs:
    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("mysql://ada@host/name", "begins with mysql: give sqlite:///path or postgresql://"),
            ("/var/lib/intertwine.db", "cannot be read: give sqlite:///path"),
            ("postgresql://ada:secret@host:port/name", "cannot be read"),
            ("", "cannot be read"),
            ("sqlite://", "in memory would be forgotten"),
            ("sqlite:///:memory:", "in memory would be forgotten"),
        ],
    )
    def test_that_name_no_database_are_refused(self, url: str, said: str) -> None:
        with pytest.raises(InvalidSetting, match=said) as refused:
            Database(url)
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("ada:secret@host/name", "ada:***@host/name"),
            ("ada@host/name?password=secret", "ada@host/name"),
            ("ada@host/name?sslmode=require&sslpassword=secret", "ada@host/name?sslmode=require"),
        ],
    )
    def test_passwords_are_not_shown(self, url: str, shown: str) -> None:
        database = Database(f"postgres://{url}")
        assert str(database) == f"postgresql+psycopg://{shown}"
        assert "secret" not in repr(database)

    def test_nothing_is_made_before_it_is_needed(self, tmp_path: Path) -> None:
        Database(f"sqlite:///{tmp_path / 'data' / 'intertwine.db'}").close()
        assert list(tmp_path.iterdir()) == []

    def test_a_driver_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
        with pytest.raises(InvalidSetting, match=r"pip install 'intertwine\[postgres\]'"):
            Database("postgresql://ada@host/name")


class TestWrites:
    def test_are_kept_together(self, database: Database) -> None:
        with database.write() as connection:
            connection.execute(insert(models).values(MODEL))
        assert count(database) == 1

    def test_leave_nothing_where_one_fails(self, database: Database) -> None:
        def write() -> None:
            with database.write() as connection:
                connection.execute(insert(models).values(MODEL))
                connection.execute(insert(models).values(MODEL))

        with pytest.raises(IntegrityError):
            write()
        assert count(database) == 0

    def test_that_break_the_rules_are_refused(self, database: Database) -> None:
        row = {"job": "none", "seq": 1, "at": 0.0, "type": "state", "data": {}}
        with pytest.raises(IntegrityError), database.write() as connection:
            connection.execute(insert(events).values(row))

    def test_on_sqlite_come_one_after_the_other(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path / 'intertwine.db'}")
        database.migrate()
        with database.write() as connection:
            connection.execute(insert(models).values(MODEL))

        def count_up(_: int) -> None:
            for _ in range(10):
                with database.write() as connection:
                    read = connection.execute(select(models.c.last_version)).scalar_one()
                    connection.execute(update(models).values(last_version=read + 1))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(count_up, range(8)))
        with database.read() as connection:
            assert connection.execute(select(models.c.last_version)).scalar() == 80
        database.close()


class TestReads:
    def test_do_not_wait_for_a_write(self, database: Database) -> None:
        with database.write() as connection:
            connection.execute(insert(models).values(MODEL))
            assert count(database) == 0  # in another connection, while the first goes on
        assert count(database) == 1

    def test_by_more_threads_than_there_are_connections(self, database: Database) -> None:
        together = threading.Barrier(8)

        def read(_: int) -> int:
            together.wait(timeout=300)
            return sum(count(database) for _ in range(5))

        with ThreadPoolExecutor(40) as threads:
            assert list(threads.map(read, range(40))) == [0] * 40

    def test_a_connection_that_was_cut_is_replaced(self, database: Database) -> None:
        assert count(database) == 0
        if not database.is_sqlite:
            other = Database(database.url.render_as_string(hide_password=False))
            with other.read() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                        "datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            other.close()
        assert count(database) == 0


class TestInsert:
    def test_may_meet_what_is_there(self, database: Database) -> None:
        row = {"id": "a", "digest": "0", "owner": "ada", "scopes": [], "created": 0.0}
        put = database.insert(keys).values(row)
        with database.write() as connection:
            connection.execute(put)
            again = put.on_conflict_do_nothing().returning(keys.c.id)
            assert connection.execute(again).all() == []
            renamed = put.on_conflict_do_update(index_elements=["id"], set_={"owner": "bea"})
            connection.execute(renamed)
            assert connection.execute(select(keys.c.owner)).scalars().all() == ["bea"]
