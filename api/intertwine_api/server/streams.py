"""Streams of events: whoever follows a job hears each of its events once, in their order.

One look into the database, a few times a second, serves all who follow anything; an event is read
by those who follow its job when that look finds that there is one.
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
_INTERVAL = 0.25  # seconds between looks into the database
_PAGE = 500
_ALIVE = b": still here\n\n"
_READERS = 4  # threads

MayFollow = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Head:
    """Where a job is: its state, why, and the number of its last event."""

    state: str
    reason: str
    last_event: int

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self.state in ENDED


GONE = Head("deleted", "the job was deleted", 0)


@dataclass
class _Watch:
    """A job that somebody follows."""

    followers: int = 0
    head: Head | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, head: Head) -> None:
        """Wake the followers where something happened."""
        if head != self.head:
            self.head = head
            self.changed.set()
            self.changed = asyncio.Event()


async def _everybody() -> bool:
    return True


class Streams:
    """The streams of one process; used on its event loop."""

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
        self._looking: asyncio.Task[None] | None = None
        self._readers = CapacityLimiter(_READERS)
        self._ending = False
        self.at_once = ConcurrencyLimit(most, "streams of events")

    @property
    def followed(self) -> int:
        """How many streams there are."""
        return sum(watch.followers for watch in self._watched.values())

    def end(self) -> None:
        """Let every stream end soon; whoever follows asks again, and goes on where it was.

        It may be called from a signal handler.
        """
        self._ending = True

    async def follow(
        self, job: str, after: int, may_follow: MayFollow = _everybody
    ) -> AsyncGenerator[bytes, None]:
        """The events behind the one numbered `after`, as server-sent events, until the job ends,
        or `may_follow`, which is asked before each look, says no.
        """
        with self._watch(job) as watch:
            while not self._ending and await may_follow():
                changed = watch.changed  # taken before the look, so that nothing is missed
                try:
                    head, events = await to_thread.run_sync(
                        self._read, job, after, limiter=self._readers
                    )
                except SQLAlchemyError as error:  # whoever follows asks again, and is told more
                    _LOG.warning("a stream of events ends: %s", error)
                    return
                for event in events:
                    after = event.seq
                    yield frame(event)
                if len(events) == _PAGE:
                    continue
                if (head.has_ended and after >= head.last_event) or head == GONE:
                    yield _end(head)
                    return
                if not await self._happened(changed):
                    yield _ALIVE

    async def ended(self, job: str, seconds: float) -> bool:
        """Wait for the end of a job, but no longer; whether it came."""
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
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield watch
        finally:
            watch.followers -= 1
            if not watch.followers:
                del self._watched[job]

    async def _happened(self, changed: asyncio.Event) -> bool:
        """Whether something did, before it is time to say that the stream is alive."""
        try:
            async with asyncio.timeout(self._heartbeat):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self) -> None:
        """Tell the followers what happens to their jobs, while there are any."""
        try:
            while self._watched and not self._ending:
                await asyncio.sleep(self._interval)
                try:
                    heads = await to_thread.run_sync(
                        self._heads, tuple(self._watched), limiter=self._readers
                    )
                except SQLAlchemyError as error:  # the followers wait, and the next look may do
                    _LOG.warning("cannot look for events: %s", error)
                    continue
                for job, watch in self._watched.items():
                    watch.tell(heads.get(job, GONE))
        finally:
            self._looking = None
            for watch in self._watched.values():
                watch.changed.set()

    def _read(self, job: str, after: int) -> tuple[Head, Sequence[EventRecord]]:
        head = self._heads((job,)).get(job, GONE)  # first, so that its last event is among these
        return head, self._events.after(job, after, _PAGE)

    def _heads(self, ids: Sequence[str]) -> dict[str, Head]:
        columns = (jobs.c.id, jobs.c.state, jobs.c.reason, jobs.c.last_event)
        with self._database.read() as connection:
            rows = connection.execute(select(*columns).where(jobs.c.id.in_(ids))).all()
        return {row.id: Head(row.state, row.reason, row.last_event) for row in rows}


class EventStream(StreamingResponse):
    """One stream as an answer; however it ends, it is let go."""

    media_type = "text/event-stream"

    def __init__(
        self, streams: Streams, job: str, after: int, owner: str, may_follow: MayFollow = _everybody
    ) -> None:
        """Count the stream as its owner's. Raises `ProblemError` where they have too many."""
        streams.at_once.enter(owner)
        self._streams, self._owner = streams, owner
        self._source = streams.follow(job, after, may_follow)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._source, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the job ends or whoever follows leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.at_once.leave(self._owner)
            await self._source.aclose()


def frame(event: EventRecord) -> bytes:
    """An event as a server-sent event, whose id is its number."""
    data = json.dumps(dict(event.data))
    return f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n".encode()


def _end(head: Head) -> bytes:
    data = json.dumps({"state": head.state, "reason": head.reason})
    return f"event: end\ndata: {data}\n\n".encode()
