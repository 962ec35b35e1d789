"""Leases of keys: while one process solves for a key, processes of other hosts wait for it.

Leases only save work: without them, the first published result would stay just the same.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, delete, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from intertwine_api.storage.database import Database, now
from intertwine_api.storage.tables import solving

_LOG = logging.getLogger("intertwine.service")

LEASE_SECONDS = 10.0
"""How long a lease lasts after its last heartbeat: others wait so long for a host that crashed."""
_BEATS = 4  # heartbeats in a lease
_CLOSE_SECONDS = 2.0
_ABANDONED = 3600.0  # seconds after which the row of a crashed host is deleted


@dataclass(frozen=True)
class Lease:
    """Permission to solve for a key; without a `token` it is not in the database."""

    key: str
    token: str = ""


class SolveLeases:
    """The leases of this process. A thread renews them. Threads may share an instance.

    `writes` names the tiers that will have the results of this process: its near folder, and its
    writable far tiers. `reads` names those where it looks for results. A process waits for another
    only if it can read from a tier to which the other writes. All times are by the clock of the
    database's host.

    Methods raise the errors of the database at once: its patience does not apply here.
    """

    def __init__(
        self,
        database: Database,
        writes: Collection[str],
        reads: Collection[str],
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self._database, self._seconds = database, seconds
        self._writes, self._reads = sorted(writes), frozenset(reads)
        self._held: set[str] = set()
        self._mutex = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def is_elsewhere(self, key: str) -> bool:
        """Return whether another process solves for a key, and its result can be read here."""
        with self._database.read() as connection:
            return self._is_elsewhere(connection, key)

    def take(self, key: str) -> Lease | None:
        """Return a lease, which is renewed until it is released; None if `is_elsewhere`.

        An expired lease is taken over. If another process has the lease, and its result cannot be
        read here, the returned lease has no token: there is nothing to wait for.
        """
        token = secrets.token_hex(16)
        while True:
            with self._write() as connection:
                at = now(connection)
                row = {"holder": token, "places": self._writes, "until": at + self._seconds}
                new = self._database.insert(solving).values(key=key, **row)
                taken = new.on_conflict_do_update(
                    index_elements=[solving.c.key],
                    set_={name: new.excluded[name] for name in row},
                    where=solving.c.until < at,
                )
                if connection.execute(taken.returning(solving.c.key)).one_or_none():
                    break
                if self._is_elsewhere(connection, key):
                    return None
                if self._is_held(connection, key):
                    return Lease(key)
            # the other lease was released between two statements
        with self._mutex:
            self._held.add(token)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, name="leases", daemon=True)
                self._thread.start()
        return Lease(key, token)

    def let_expire(self, lease: Lease) -> None:
        """Stop renewing a lease. This sends nothing to the database."""
        with self._mutex:
            self._held.discard(lease.token)

    def release(self, lease: Lease) -> None:
        """End a lease, unless another process has taken it over."""
        self.let_expire(lease)
        if not lease.token:
            return
        with self._write() as connection:
            is_own = (solving.c.key == lease.key) & (solving.c.holder == lease.token)
            is_old = solving.c.until < now(connection) - _ABANDONED
            connection.execute(delete(solving).where(or_(is_own, is_old)))

    def close(self) -> None:
        """End all leases of this process. Raises the errors of the database."""
        self._closed.set()
        with self._mutex:
            tokens, thread = list(self._held), self._thread
            self._held.clear()
        if thread is not None:
            thread.join(_CLOSE_SECONDS)  # a heartbeat may be in progress
        if tokens:
            with self._write() as connection:
                connection.execute(delete(solving).where(solving.c.holder.in_(tokens)))

    def _is_elsewhere(self, connection: Connection, key: str) -> bool:
        live = solving.c.key == key, solving.c.until >= now(connection)
        places = connection.execute(select(solving.c.places).where(*live)).scalar()
        return places is not None and not self._reads.isdisjoint(places)

    def _is_held(self, connection: Connection, key: str) -> bool:
        live = solving.c.key == key, solving.c.until >= now(connection)
        return connection.execute(select(solving.c.key).where(*live)).scalar() is not None

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """Yield a transaction. Its outcome is not looked up if the connection breaks."""
        engine = self._database.engine.execution_options(intertwine_writes=True)
        with engine.begin() as connection:
            yield connection

    def _renew(self) -> None:
        """Renew the leases until `close`. Expired ones too, unless another process took them over.

        After an error of the database, the next heartbeat tries again.
        """
        while not self._closed.wait(self._seconds / _BEATS):
            with self._mutex:
                tokens = list(self._held)
            if not tokens:
                continue
            try:
                with self._write() as connection:
                    own = update(solving).where(solving.c.holder.in_(tokens))
                    connection.execute(own.values(until=now(connection) + self._seconds))
            except SQLAlchemyError as error:
                _LOG.info("%d leases of solves could not be renewed: %s", len(tokens), error)
