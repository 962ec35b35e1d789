"""Clients that do not behave: sockets that do not read, send only half, or stay silent."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import psutil

from helpers.patience import PATIENCE


class Hostile:
    """Raw connections to one service, which all end with the block."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._address = (parts.hostname or "", parts.port or 0)
        self._stack = ExitStack()

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        """Return a connection; a small receive buffer makes the service wait early."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE)
        connection.connect(self._address)
        return self._stack.enter_context(connection)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> socket.socket:
        """Send a request and read nothing."""
        connection = self.connect(receive_buffer=4096)
        connection.sendall(head(method, path, headers) + body)
        return connection

    def close(self) -> None:
        """Close all connections."""
        self._stack.close()


@contextmanager
def hostile_to(address: str) -> Iterator[Hostile]:
    """Connections to the service at an address; all are closed at the end of the block."""
    hostile = Hostile(address)
    try:
        yield hostile
    finally:
        hostile.close()


def head(method: str, path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode()


def status(connection: socket.socket) -> int:
    """The status of the answer that arrives on a connection."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        assert byte, f"closed after {line!r}"
        line += byte
    return int(line.split()[1])


def is_open(connection: socket.socket) -> bool:
    """Whether the service has not ended a connection. What has arrived is dropped."""
    connection.settimeout(0.0)
    try:
        while connection.recv(2**16):
            pass
    except (BlockingIOError, TimeoutError):
        return True
    except OSError:
        return False
    return False


def resident(process: psutil.Process) -> int:
    """The bytes of memory of a process, without its children."""
    rss: int = process.memory_info().rss
    return rss


class PeakMemory:
    """The most memory that a process has had since the beginning, by looks at it."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.peak = resident(self._process)

    def watch(self, seconds: float) -> None:
        """Look again and again for some seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.peak = max(self.peak, resident(self._process))
            time.sleep(0.02)

    @property
    def growth(self) -> int:
        """The bytes that the process has taken since the beginning, at its peak."""
        return self.peak - self.before
