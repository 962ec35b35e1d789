"""Coordination of solves among hosts that share a PostgreSQL database: a key is solved once.

It never prevents a solve. If the database does not answer, a lease expires, or a result does not
arrive, another host does the same work.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TypeVar

from intertwine_cache import Chain, Places, Store, open_store
from sqlalchemy.exc import SQLAlchemyError

from intertwine_api.storage.database import Database
from intertwine_api.storage.solve_leases import Lease, SolveLeases

_LOG = logging.getLogger("intertwine.service")

ELSEWHERE = "another host solves it"
"""The stage of a solve that waits for another host."""
PATIENCE_SECONDS = 2.0
"""The longest that a solve waits for the database to answer."""
PAUSE_SECONDS = 30.0
"""How long the database is not asked after a failure. Meanwhile this host waits for no other."""
UPLOAD_SECONDS = 60.0
"""The longest that a lease is kept after the solve, until its result is in the far tiers."""
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.05, 1.0, 1.5  # seconds between two looks at a lease
_Result = TypeVar("_Result")


class HostCoordination:
    """Waits for the solves of other hosts, and holds leases for those of this process.

    Without `leases`, nothing waits.
    """

    def __init__(self, leases: SolveLeases | None) -> None:
        self._leases = leases
        self._paused_until = float("-inf")
        self._releases: set[asyncio.Task[None]] = set()

    @classmethod
    def of(
        cls, database: Database, store: Store | Chain, far_tiers: tuple[str, ...] = ()
    ) -> HostCoordination:
        """Return the coordination of the processes that use a database and a store.

        `far_tiers` are the far tiers of those processes, if `store` is only their near folder. With
        SQLite there is one host, and the locks of the store are enough.
        """
        if database.is_sqlite:
            return cls(None)
        if far_tiers:
            store = open_store(Places(store.near.layout.root, far_tiers))
        return cls(SolveLeases(database, *places_of(store)))

    async def wait(self, key: str, seconds: float, say: Callable[[], None]) -> float:
        """Wait while another host solves for a key, at most `seconds`. Return the seconds waited.

        `say` is called before each pause.
        """
        begun, pause = time.monotonic(), _FIRST_PAUSE
        while (waited := time.monotonic() - begun) < seconds:
            if not await self._ask_async(lambda leases: leases.is_elsewhere(key), other=False):
                break
            say()
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, _GROWTH * pause)
        return waited

    async def take(self, key: str) -> Lease | None:
        """Return a lease of a key; None while another host solves for it."""
        return await self._ask_async(lambda leases: leases.take(key), other=Lease(key))

    def release(self, lease: Lease, uploads: asyncio.Event | None = None) -> None:
        """End a lease in the background, after the uploads of its result."""
        if lease.token:
            task = asyncio.create_task(self._release(lease, uploads))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)

    async def end(self) -> None:
        """End all leases of this process."""
        for task in self._releases:
            task.cancel()
        await asyncio.gather(*self._releases, return_exceptions=True)
        await self._ask_async(lambda leases: leases.close(), other=None)

    @contextmanager
    def turn(self, key: str, seconds: float, say: Callable[[], None]) -> Iterator[Lease]:
        """Yield a lease of a key, once no other host solves for it, or after `seconds`.

        This blocks the thread. `say` is called before each pause, and may raise. If the block
        raises, the lease ends; otherwise the caller must end it with `end_after`.
        """
        give_up, pause = time.monotonic() + seconds, _FIRST_PAUSE
        alone: Lease | None = Lease(key)
        while (taken := self._ask(lambda leases: leases.take(key), other=alone)) is None:
            if time.monotonic() > give_up:
                break
            say()
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, _GROWTH * pause)
        lease = taken or Lease(key)
        try:
            yield lease
        except BaseException:
            self._end(lease)
            raise

    def end_after(self, lease: Lease, uploads: Callable[[], object]) -> None:
        """Start a thread that calls `uploads`, which waits for them, and then ends a lease.

        The process does not exit before that.
        """

        def end() -> None:
            uploads()
            self._end(lease)

        if lease.token:
            threading.Thread(target=end, name="lease").start()

    async def _release(self, lease: Lease, uploads: asyncio.Event | None) -> None:
        if uploads is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(UPLOAD_SECONDS):
                    await uploads.wait()
        if self._leases is not None:
            self._leases.let_expire(lease)  # also if the database is not asked
        await self._ask_async(lambda leases: leases.release(lease), other=None)

    def _end(self, lease: Lease) -> None:
        if self._leases is not None:
            self._leases.let_expire(lease)
        self._ask(lambda leases: leases.release(lease), other=None)

    def _ask(self, call: Callable[[SolveLeases], _Result], other: _Result) -> _Result:
        """Return the result of a call of the leases; `other` if they are not in use or fail."""
        answer = self._start(call)
        if answer is None:
            return other
        try:
            return answer.result(PATIENCE_SECONDS)
        except (TimeoutError, SQLAlchemyError) as error:
            self._give_up(answer, error)
            return other

    async def _ask_async(self, call: Callable[[SolveLeases], _Result], other: _Result) -> _Result:
        """Do the same as `_ask`, without blocking the event loop."""
        answer = self._start(call)
        if answer is None:
            return other
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.wrap_future(answer)
        except (TimeoutError, SQLAlchemyError) as error:
            self._give_up(answer, error)
            return other
        except asyncio.CancelledError:
            answer.add_done_callback(self._drop)
            raise

    def _start(self, call: Callable[[SolveLeases], _Result]) -> Future[_Result] | None:
        """Start a call in a thread, because a database that is gone may not answer for long."""
        leases = self._leases
        if leases is None or time.monotonic() < self._paused_until:
            return None
        answer: Future[_Result] = Future()
        answer.set_running_or_notify_cancel()  # so that it cannot be cancelled: see `_drop`

        def run() -> None:
            try:
                answer.set_result(call(leases))
            except Exception as error:  # raised again where the answer is waited for
                answer.set_exception(error)

        threading.Thread(target=run, name="ask about a lease", daemon=True).start()
        return answer

    def _give_up(self, answer: Future[_Result], error: Exception) -> None:
        answer.add_done_callback(self._drop)
        if time.monotonic() >= self._paused_until:
            reason = str(error) or f"it did not answer in {PATIENCE_SECONDS:g} seconds"
            _LOG.warning(
                "solves are not coordinated with other hosts for %.0f seconds, because the "
                "database is unavailable: %s",
                PAUSE_SECONDS,
                reason,
            )
        self._paused_until = time.monotonic() + PAUSE_SECONDS

    def _drop(self, answer: Future[_Result]) -> None:
        """End a lease that nobody waits for any more, in the thread that took it."""
        if answer.cancelled() or answer.exception() is not None:
            return
        lease = answer.result()
        if isinstance(lease, Lease) and self._leases is not None:
            try:
                self._leases.release(lease)
            except SQLAlchemyError as error:
                _LOG.info("the lease of %s expires, and could not be deleted: %s", lease.key, error)


def places_of(store: Store | Chain) -> tuple[set[str], set[str]]:
    """Return the names of the tiers to which a store writes results, and from which it reads them.

    A tier has the same name on all hosts: a far tier has its address, and the near folder the inode
    and the time of its CACHEDIR.TAG, which are the same on all hosts that mount the folder.
    """
    writes, reads = set(), set()
    with suppress(OSError):  # without a tag, it counts as a folder of this host alone
        tag = (store.near.layout.root / "CACHEDIR.TAG").stat()
        writes.add(f"near:{tag.st_ino}:{tag.st_mtime_ns}")
    reads |= writes
    for tier, _ in store.tiers if isinstance(store, Chain) else ():
        reads.add(tier.address)
        if tier.is_writable:
            writes.add(tier.address)
    return writes, reads
