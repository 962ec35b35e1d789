"""Event streams: each follower of a job receives each of its events once, in order.

One task polls the database a few times per second for all followers. When it finds a change, the
followers of that job read its new events.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from anyio import CapacityLimiter, to_thread
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from intertwine_api.server.limits import ConcurrencyLimit
from intertwine_api.storage.database import Database
from intertwine_api.storage.tables import jobs
from intertwine_api.wire.vocabulary import ENDED
from intertwine_api.work.events import EventRecord, Events

_LOG = logging.getLogger("intertwine.service")
_INTERVAL = 0.25  # seconds between two polls of the database
_PAGE = 500
_HEARTBEAT = b": still here\n\n"
_READERS = 4  # threads

MayFollow = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Head:
    """A job's state, the reason for it, and the number of its last event."""

    state: str
    reason: str
    last_event: int

    @property
    def has_ended(self) -> bool:
        """Whether the job is in a final state."""
        return self.state in ENDED


GONE = Head("deleted", "the job was deleted", 0)


@dataclass
class _Watch:
    """A job that has followers."""

    followers: int = 0
    head: Head | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def update(self, head: Head) -> None:
        """Set the head. Wake the followers if it changed."""
        if head != self.head:
            self.head = head
            self.changed.set()
            self.changed = asyncio.Event()


async def _always() -> bool:
    return True


class Streams:
    """The event streams of one process. Use them on its event loop."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        heartbeat: float,
        most: int,
        interval: float = _INTERVAL,
    ) -> None:
        self._database, self._events = database, events
        self._heartbeat, self._interval = heartbeat, interval
        self._watched: dict[str, _Watch] = {}
        self._poller: asyncio.Task[None] | None = None
        self._readers = CapacityLimiter(_READERS)
        self._ending = False
        self.concurrency = ConcurrencyLimit(most, "streams of events")

    @property
    def followers(self) -> int:
        """The number of followers."""
        return sum(watch.followers for watch in self._watched.values())

    def end(self) -> None:
        """End every stream soon. Clients reconnect and resume after their last event.

        Signal handlers may call this.
        """
        self._ending = True

    async def follow(
        self, job: str, after: int, may_follow: MayFollow = _always
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events after number `after` as server-sent events, until the job ends.

        Each read calls `may_follow` first; if that returns False, the stream ends.
        """
        with self._watch(job) as watch:
            while not self._ending and await may_follow():
                changed = watch.changed  # taken before the read, so that no change is missed
                try:
                    head, events = await to_thread.run_sync(
                        self._read, job, after, limiter=self._readers
                    )
                except SQLAlchemyError as error:  # the client reconnects, and gets a problem
                    _LOG.warning("an event stream ends: %s", error)
                    return
                for event in events:
                    after = event.seq
                    yield frame(event)
                if len(events) == _PAGE:
                    continue
                if (head.has_ended and after >= head.last_event) or head == GONE:
                    yield _end(head)
                    return
                if not await self._wait_for_change(changed):
                    yield _HEARTBEAT

    async def wait_for_end(self, job: str, seconds: float) -> bool:
        """Wait up to `seconds` for a job to end. Return whether it ended."""
        with suppress(TimeoutError), self._watch(job) as watch:
            async with asyncio.timeout(seconds):
                while not self._ending:
                    changed = watch.changed
                    if watch.head is not None and (watch.head.has_ended or watch.head == GONE):
                        return True
                    await changed.wait()
        return False

    @contextmanager
    def _watch(self, job: str) -> Iterator[_Watch]:
        watch = self._watched.setdefault(job, _Watch())
        watch.followers += 1
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            yield watch
        finally:
            watch.followers -= 1
            if not watch.followers:
                del self._watched[job]

    async def _wait_for_change(self, changed: asyncio.Event) -> bool:
        """Wait for a change until the next heartbeat is due. Return whether one occurred."""
        try:
            async with asyncio.timeout(self._heartbeat):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> None:
        """Poll the heads of the followed jobs until the last follower leaves."""
        try:
            while self._watched and not self._ending:
                await asyncio.sleep(self._interval)
                try:
                    heads = await to_thread.run_sync(
                        self._heads, tuple(self._watched), limiter=self._readers
                    )
                except SQLAlchemyError as error:  # the followers wait for the next poll
                    _LOG.warning("cannot poll for events: %s", error)
                    continue
                for job, watch in self._watched.items():
                    watch.update(heads.get(job, GONE))
        finally:
            self._poller = None
            for watch in self._watched.values():
                watch.changed.set()

    def _read(self, job: str, after: int) -> tuple[Head, Sequence[EventRecord]]:
        head = self._heads((job,)).get(job, GONE)  # first, so that the events include its last one
        return head, self._events.after(job, after, _PAGE)

    def _heads(self, ids: Sequence[str]) -> dict[str, Head]:
        columns = (jobs.c.id, jobs.c.state, jobs.c.reason, jobs.c.last_event)
        with self._database.read() as connection:
            rows = connection.execute(select(*columns).where(jobs.c.id.in_(ids))).all()
        return {row.id: Head(row.state, row.reason, row.last_event) for row in rows}


class EventStream(StreamingResponse):
    """The response of one event stream. Its slot is freed however the stream ends."""

    media_type = "text/event-stream"

    def __init__(
        self, streams: Streams, job: str, after: int, owner: str, may_follow: MayFollow = _always
    ) -> None:
        """Occupy a slot of the owner. Raises `ProblemError` if all are taken."""
        streams.concurrency.enter(owner)
        self._streams, self._owner = streams, owner
        self._source = streams.follow(job, after, may_follow)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._source, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the job ends or the client disconnects."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.concurrency.leave(self._owner)
            await self._source.aclose()


def frame(event: EventRecord) -> bytes:
    """Return an event as a server-sent event. Its id is the event's number."""
    data = json.dumps(dict(event.data))
    return f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n".encode()


def _end(head: Head) -> bytes:
    data = json.dumps({"state": head.state, "reason": head.reason})
    return f"event: end\ndata: {data}\n\n".encode()
