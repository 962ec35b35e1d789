"""Calls that wait for the end of an outage of a real database, and are not repeated twice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers.databases import Databases, write_lock
from helpers.example_jobs import soon
from helpers.patience import PATIENCE, in_one_of
from intertwine_api.storage.database import Database
from intertwine_api.storage.outages import is_outage, retried
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


@retried
class Counter:
    """Counts in a table; `calls` is the number of tries."""

    def __init__(self, database: Database) -> None:
        self._database, self.calls = database, 0
        with database.write() as connection:
            connection.execute(text("DROP TABLE IF EXISTS counted"))
            connection.execute(text("CREATE TABLE counted (number INTEGER UNIQUE)"))

    def count(self, number: int | None = None) -> int:
        self.calls += 1
        with self._database.write() as connection:
            values = {"number": number}
            connection.execute(text("INSERT INTO counted VALUES (:number)"), values)
            return int(connection.execute(text("SELECT count(*) FROM counted")).scalar_one())

    def read(self, table: str = "counted") -> int:
        self.calls += 1
        with self._database.read() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.fixture
def away(server: Databases) -> Iterator[Database]:
    with server.empty("postgresql") as url:
        database = Database(url, patience=PATIENCE)
        yield database
        database.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'counted.db'}?timeout=0.2", patience=PATIENCE)
    yield database
    database.close()


class TestALockedFile:
    @pytest.mark.slow
    def test_is_waited_for_longer_than_sqlite_does(self, file: Database) -> None:
        counter = Counter(file)
        with ThreadPoolExecutor(1) as threads:
            with write_lock(str(file)):
                counted = threads.submit(counter.count)
                soon(lambda: counter.calls > 2)
                assert not counted.done()
                assert counter.read() == 0  # readers are not in the way
            assert counted.result(PATIENCE) == 1

    def test_is_an_outage_at_once_without_patience_and_in_the_end_with_it(
        self, file: Database
    ) -> None:
        counter = Counter(file)

        def is_kept(patience: float) -> bool:  # unless this call is stopped for as long
            file.patience, counter.calls = patience, 0
            begun = time.monotonic()
            with write_lock(str(file)), pytest.raises(DBAPIError) as caught:
                counter.count()
            assert is_outage(caught.value)
            assert patience > 0 or counter.calls == 1
            is_repeated = patience == 0 or counter.calls > 1
            return is_repeated and time.monotonic() - begun < patience + 1

        for patience in (0.0, 0.8):
            assert in_one_of([partial(is_kept, patience)] * 5)


def test_errors_of_a_statement_are_no_outage(database: Database) -> None:
    database.patience = 10
    counter = Counter(database)
    counter.count(1)
    counter.calls = 0
    for call in (lambda: counter.count(1), lambda: counter.read("what_is_not_there")):
        with pytest.raises(DBAPIError) as caught:
            call()
        assert not is_outage(caught.value)
    assert counter.calls == 2
    assert counter.read() == 1


@pytest.mark.slow
def test_a_server_that_is_restarted_is_waited_for(server: Databases, away: Database) -> None:
    counter = Counter(away)
    numbers = iter(range(10**6))
    stopped = threading.Event()

    def count() -> int:
        done = 0
        while not stopped.is_set():
            counter.count(next(numbers))
            done += 1
        return done

    with ThreadPoolExecutor(4) as threads:
        counting = [threads.submit(count) for _ in range(4)]

        def goes_on(calls: int) -> None:
            more = counter.calls + calls
            soon(lambda: counter.calls > more)

        for _ in range(2):
            goes_on(20)
            with server.stopped():
                goes_on(4)  # one of the four threads has tried it again
                time.sleep(1.5)
            goes_on(20)
        stopped.set()
        done = sum(each.result(PATIENCE) for each in counting)
    assert counter.calls > done  # some were repeated,
    assert counter.read() == done > 10  # and none was counted twice or lost


class Wire:
    """Stands between a client and a PostgreSQL, and may lose the answer to a COMMIT."""

    def __init__(self, folder: Path, server: Path) -> None:
        self._server, self.lose = server, 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / server.name))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        lost = threading.Event()
        back = threading.Thread(target=self._back, args=(server, client, lost), daemon=True)
        with client, server, suppress(OSError):  # one side has gone
            back.start()
            while content := client.recv(2**16):
                if b"COMMIT" in content and self.lose:
                    self.lose -= 1
                    lost.set()  # the answer is read and dropped
                server.sendall(content)
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _back(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):  # one side has gone
            while (content := server.recv(2**16)) and not lost.is_set():
                client.sendall(content)
        with suppress(OSError):  # the client has closed it
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@pytest.mark.slow
def test_a_commit_whose_answer_was_lost_is_not_repeated(databases: Databases) -> None:
    with databases.empty("postgresql") as url, TemporaryDirectory() as folder:
        direct = Database(url)
        socket_folder = Path(str(direct.url.query["host"]))
        wire = Wire(Path(folder), socket_folder / ".s.PGSQL.5432")
        changed = direct.url.update_query_dict({"host": folder})
        broken = Database(changed.render_as_string(hide_password=False), patience=PATIENCE)
        counter = Counter(broken)
        for number in range(1, 4):
            wire.lose, counter.calls = 1, 0
            assert counter.count(number) == number
            assert wire.lose == 0
            assert counter.calls == 1  # the answer is known, though the connection broke
        assert Counter.read(counter) == 3
        impatient = Database(changed.render_as_string(hide_password=False))
        counter._database, wire.lose = impatient, 1
        with pytest.raises(DBAPIError) as caught:
            counter.count(4)
        assert is_outage(caught.value)
        for database in (broken, impatient, direct):
            database.close()
        wire.close()
