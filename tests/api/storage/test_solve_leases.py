"""Leases of keys: one holder at a time, with heartbeats, by the clock of the database alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest
from helpers.databases import Databases
from helpers.example_stores import until
from helpers.patience import in_one_of, quickest, seconds_of
from intertwine_api.storage.database import Database
from intertwine_api.storage.outages import is_outage
from intertwine_api.storage.solve_leases import Lease, SolveLeases
from intertwine_api.storage.tables import solving
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

KEY, OTHER = "a" * 64, "b" * 64
SHARED = ("s3://lab",)

Make = Callable[..., SolveLeases]


@pytest.fixture
def host(database_url: str) -> Iterator[Make]:
    """Makes the leases of another host, which share a bucket unless told otherwise."""
    with ExitStack() as stack:

        def make(
            writes: tuple[str, ...] = SHARED, reads: tuple[str, ...] = SHARED, seconds: float = 60.0
        ) -> SolveLeases:
            database = Database(database_url)
            stack.callback(database.close)
            leases = SolveLeases(database, writes, reads, seconds)
            stack.callback(leases.close)
            return leases

        yield make


def rows(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(solving)).scalar_one()


def taken(lease: Lease | None) -> Lease:
    """The lease, which must be in the database."""
    assert lease is not None
    assert lease.token
    return lease


class TestLeases:
    def test_one_host_has_a_key_until_it_releases_it(self, host: Make, database: Database) -> None:
        here, there = host(), host()
        assert not there.is_elsewhere(KEY)
        lease = taken(here.take(KEY))
        assert there.is_elsewhere(KEY)
        assert there.take(KEY) is None
        assert not there.is_elsewhere(OTHER)
        taken(there.take(OTHER))
        here.release(lease)
        assert not there.is_elsewhere(KEY)
        taken(there.take(KEY))
        assert rows(database) == 2

    def test_many_who_ask_at_once_get_one(self, host: Make) -> None:
        hosts = [host() for _ in range(6)]
        barrier = threading.Barrier(len(hosts))

        def take(leases: SolveLeases) -> list[bool]:
            barrier.wait()
            return [leases.take(f"{number:064x}") is not None for number in range(20)]

        with ThreadPoolExecutor(len(hosts)) as threads:
            found = list(threads.map(take, hosts))
        assert [sum(of_key) for of_key in zip(*found, strict=True)] == [1] * 20

    @pytest.mark.slow
    def test_a_lease_lasts_while_its_holder_lives_and_expires_afterwards(self, host: Make) -> None:
        here, there = host(seconds=2.0), host(seconds=2.0)

        def lasts(key: str) -> bool:  # unless a heartbeat is stopped for as long
            taken(here.take(key))
            give_up = time.monotonic() + 4
            while time.monotonic() < give_up:
                if there.take(key) is not None:
                    return False
                time.sleep(0.05)
            return True

        assert in_one_of([partial(lasts, letter * 64) for letter in "cdefg"])
        lease = taken(here.take(KEY))
        here._closed.set()  # as if the process was killed: no heartbeat any more
        until(lambda: not there.is_elsewhere(KEY))
        taken(there.take(KEY))
        here.release(lease)  # it wakes up again, and ends nothing that is not its own
        assert here.is_elsewhere(KEY)

    def test_an_expired_lease_that_nobody_took_over_revives(
        self, host: Make, database: Database
    ) -> None:
        here, there = host(seconds=1.0), host()
        taken(here.take(KEY))
        with database.write() as connection:
            connection.execute(update(solving).values(until=1.0))
        until(lambda: there.is_elsewhere(KEY))

    def test_no_clock_of_a_host_counts(self, host: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        here, there = host(), host()
        if here._database.is_sqlite:
            pytest.skip("SQLite has no clock but the host's")
        taken(here.take(KEY))
        now = time.time
        for days in (-1, 1):
            with monkeypatch.context() as patch:
                patch.setattr(time, "time", lambda days=days: now() + days * 86_400)
                assert there.is_elsewhere(KEY)
                assert there.take(KEY) is None

    def test_nobody_waits_for_a_result_that_it_cannot_read(
        self, host: Make, database: Database
    ) -> None:
        here, there = host(writes=("/near/here",)), host(reads=("/near/there", *SHARED))
        lease = taken(here.take(KEY))
        assert not there.is_elsewhere(KEY)
        assert there.take(KEY) == Lease(KEY)
        there.release(Lease(KEY))
        assert rows(database) == 1
        here.release(lease)
        assert taken(there.take(KEY))

    def test_a_process_that_ends_leaves_no_lease(self, host: Make, database: Database) -> None:
        here = host()
        for key in (KEY, OTHER):
            taken(here.take(key))
        here.close()
        assert rows(database) == 0

    def test_rows_of_crashed_hosts_are_deleted(self, host: Make, database: Database) -> None:
        here, crashed = host(), host()
        taken(crashed.take(OTHER))
        with database.write() as connection:
            connection.execute(update(solving).values(until=1.0))
        here.release(taken(here.take(KEY)))
        assert rows(database) == 0


@pytest.mark.slow
def test_a_stopped_database_is_an_error_at_once_and_leases_go_on_afterwards() -> None:
    server = Databases()
    try:
        with server.migrated("postgresql") as url:
            here, there = (
                SolveLeases(Database(url, patience=60.0), SHARED, SHARED, 2.0) for _ in range(2)
            )
            lease = taken(here.take(KEY))
            with server.stopped():

                def ask() -> None:
                    for call in (lambda: there.take(KEY), lambda: there.is_elsewhere(KEY)):
                        with pytest.raises(SQLAlchemyError) as error:
                            call()
                        assert is_outage(error.value)

                assert quickest(lambda: seconds_of(ask), 5, tries=3) < 5
                time.sleep(2.5)  # a heartbeat fails
            until(lambda: there.is_elsewhere(KEY))
            here.release(lease)
            there.release(taken(there.take(KEY)))
            for leases in (here, there):
                leases.close()
                leases._database.close()
    finally:
        server.close()
