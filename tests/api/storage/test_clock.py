"""The clock that all who share a database share."""

from __future__ import annotations

import time

import pytest
from intertwine_api.storage.database import Database, now
from sqlalchemy import select


def read(database: Database) -> float:
    with database.read() as connection:
        return float(connection.execute(select(now(connection))).scalar_one())


class TestNow:
    def test_is_now(self, database: Database) -> None:
        before = time.time()
        assert before - 0.001 <= read(database) <= time.time() + 0.001  # one host, one clock

    def test_goes_on_within_a_transaction(self, database: Database) -> None:
        with database.write() as connection:
            first = connection.execute(select(now(connection))).scalar_one()
            time.sleep(0.01)
            assert connection.execute(select(now(connection))).scalar_one() >= first + 0.009

    def test_is_the_clock_of_the_database_where_others_have_their_own(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        true = time.time()
        monkeypatch.setattr(time, "time", lambda: true - 3600)
        off = read(database) - true
        assert off == pytest.approx(-3600 if database.is_sqlite else 0, abs=60)
