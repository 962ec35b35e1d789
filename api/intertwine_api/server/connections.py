"""Connections of clients: limited in number, and closed if the client stalls.

uvicorn itself ends only connections that are idle after a response. Here, every connection that
waits for its client counts: one without a request, with a half-sent request, or with a response
that the client does not read.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import resource
from collections import deque
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from intertwine_api.server.limits import dropped_bytes

_LOG = logging.getLogger("intertwine.service")
_INTERVAL = 1.0  # seconds between two checks of all connections
_SOONEST = 0.1  # seconds between two checks while new connections replace old ones
_PROGRESS = 2**16  # bytes
_PATIENCE = 5.0  # seconds without progress after which a connection may be replaced
_DESCRIPTORS = 2**16  # the soft limit of descriptors, if the hard limit is higher
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\n"
    b'{"type":"/problems#busy","title":"The service is busy","status":503,"code":"busy",'
    b'"detail":"the service has reached its limit of connections: retry in a moment"}'
)


class Waiting(enum.Enum):
    """What a connection waits for."""

    REQUEST = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    READER = enum.auto()
    SERVICE = enum.auto()


class Connections:
    """The connections of one server, at most `most`. Connections of stalled clients are closed.

    A client stalls if it does not send or accept 64 KB, or the rest, in `stall_seconds`. The head
    of a request must arrive within that time. If there are too many connections, the one that has
    waited longest for its client is closed; those without a request are closed first.

    An instance belongs to one event loop.
    """

    def __init__(self, most: int, stall_seconds: float) -> None:
        self.most, self.stall_seconds = most, stall_seconds
        self._open: set[Connection] = set()
        self._replaceable: deque[Connection] = deque()
        self._looked_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = dropped_bytes()

    def protocol(self) -> type[Connection]:
        """Return the class of connections for uvicorn's setting `http`."""
        return type("Connection", (Connection,), {"registry": self})

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> bool:
        """Add a connection. Return False if there is no room for it."""
        if len(self._open) >= self.most and not self._make_room():
            return False
        self._open.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(_INTERVAL, self._look, connection.loop)
        return True

    def discard(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        self._open.discard(connection)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close stalled connections, and check again later while there are connections."""
        self._timer = None
        self._sort(loop.time())
        if self._open:
            self._timer = loop.call_later(_INTERVAL, self._look, loop)

    def _sort(self, now: float) -> None:
        self._looked_at = now
        replaceable = []
        for connection in list(self._open):
            waiting, seconds = connection.look(now)
            if waiting is Waiting.SERVICE:
                continue
            if seconds >= self.stall_seconds:
                connection.abort()
            elif waiting is Waiting.REQUEST or seconds >= _PATIENCE:
                replaceable.append((waiting is not Waiting.REQUEST, -seconds, connection))
        replaceable.sort(key=lambda each: each[:2])
        self._replaceable = deque(connection for *_, connection in replaceable)

    def _make_room(self) -> bool:
        """Close the connection that has waited longest. Return whether there is room."""
        now = asyncio.get_running_loop().time()
        if not self._replaceable and now - self._looked_at > _SOONEST:
            self._sort(now)
        while self._replaceable:
            connection = self._replaceable.popleft()
            if connection in self._open and connection.waits_for is not Waiting.SERVICE:
                connection.abort()
                return True
        return len(self._open) < self.most


class Connection(H11Protocol):
    """A connection that measures how long it has waited for its client."""

    registry: ClassVar[Connections]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or refuse it with a 503."""
        super().connection_made(transport)
        self._received = self._resumed = 0
        self._since, self._was = self.loop.time(), Waiting.REQUEST
        self._mark = (0, 0, 0)
        if not self.registry.add(self):
            transport.write(_REFUSAL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.registry.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of the client. The rest of a body after its response is read slowly."""
        self._received += len(data)
        is_dropped = self._is_responded
        super().data_received(data)
        if is_dropped:
            self.flow.pause_reading()
            seconds = self.registry.dropped.delay("bodies", len(data))
            self.loop.call_later(seconds, self.flow.resume_reading)

    def resume_writing(self) -> None:
        """Note that the client has read most of what was sent."""
        self._resumed += 1
        super().resume_writing()

    def abort(self) -> None:
        """Close the connection immediately, without waiting for the client to read its response."""
        self.registry.discard(self)
        self.transport.abort()

    @property
    def _is_responded(self) -> bool:
        """Whether the request has its response, but the client still sends its body."""
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    @property
    def waits_for(self) -> Waiting:
        """What the connection waits for."""
        if self.flow.write_paused or self.transport.is_closing():
            return Waiting.READER
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            sending = cycle.more_body and not cycle.waiting_for_100_continue
            is_read = not self.flow.read_paused and not cycle.message_event.is_set()
            return Waiting.BODY if sending and is_read else Waiting.SERVICE
        if self.transport.get_write_buffer_size():
            return Waiting.READER
        if self.conn.their_state is not h11.IDLE:  # the rest of a body after its response
            return Waiting.BODY
        return Waiting.HEAD if self.conn.trailing_data[0] else Waiting.REQUEST

    def look(self, now: float) -> tuple[Waiting, float]:
        """Return what the connection waits for, and the seconds since its client's progress."""
        waiting, mark = self.waits_for, self._mark
        if waiting is not self._was or self._has_progressed(waiting, mark):
            self._was, self._since = waiting, now
            self._mark = self._received, self._resumed, self._unread()
        return waiting, now - self._since

    def _has_progressed(self, waiting: Waiting, mark: tuple[int, int, int]) -> bool:
        received, resumed, unread = mark
        if waiting is Waiting.BODY:
            return self._received >= received + _PROGRESS
        if waiting is Waiting.READER:
            return self._resumed > resumed or self._unread() <= unread - _PROGRESS
        return waiting is Waiting.SERVICE

    def _unread(self) -> int:
        """Return the bytes that the client has not accepted, including those in the kernel."""
        return self.transport.get_write_buffer_size() + _in_kernel(self.transport)


def _in_kernel(transport: asyncio.Transport) -> int:
    """Return the bytes of a socket that its peer has not acknowledged; 0 where it is unknown."""
    import fcntl
    import struct
    import termios

    connection: Any = transport.get_extra_info("socket")
    try:
        found = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    except (OSError, ValueError):  # it was just closed, or the system does not support it
        return 0
    return int(struct.unpack("i", found)[0])


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard limit. Return the new soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:  # a sandbox may forbid it
            _LOG.warning("cannot raise the limit of open files from %d: %s", soft, error)
            return soft
        return wanted
    return _DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def room_for_connections(most: int, descriptors: int) -> int:
    """Return how many connections a process may have: half of its descriptors, or `most`.

    The other half is for files: a request may read a blob or write an upload.

    >>> room_for_connections(4096, 256), room_for_connections(100, 1024)
    (128, 100)
    """
    return max(1, min(most, descriptors // 2))
