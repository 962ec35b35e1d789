"""The log of a job. Its supervisor writes it up to a limit.

This module imports little, because the supervisor of every job imports it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress

#: The default limit of a job's log, in bytes. Output above it is dropped.
LOG_BYTES = 2**26
#: The last bytes of an attempt, which are kept also above the limit: they show why it failed.
TAIL_BYTES = 2**16

_PIECE = 2**16  # bytes that are read at a time
_POLL = 1.0  # seconds between checks for the end of the attempt
_PATIENCE = 2.0  # seconds after its end in which its remaining processes may print


class JobLog:
    """A thread that copies the output of an attempt from a pipe to the log.

    Above `limit` bytes of the log, only the last `TAIL_BYTES` of the attempt are kept, and written
    at its end. Output is dropped if the disk is full, so that the job continues.
    """

    def __init__(self, source: int, log: int, limit: int) -> None:
        self._source, self._log, self._limit = source, log, limit
        self._room = limit - TAIL_BYTES - os.fstat(log).st_size
        self._is_full, self._tail = False, b""
        self._dropped = 0
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._copy, name="log", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish(self) -> None:
        """Write the remaining output after the end of the attempt."""
        self._has_ended.set()
        self._thread.join(2 * (_POLL + _PATIENCE))

    def _copy(self) -> None:
        give_up = float("inf")
        while time.monotonic() < give_up:
            readable, _, _ = select.select([self._source], [], [], _POLL)
            if readable:
                piece = os.read(self._source, _PIECE)
                if not piece:
                    break
                self._take(piece)
            elif self._has_ended.is_set():  # a remaining process keeps the pipe open
                break
            if self._has_ended.is_set():
                give_up = min(give_up, time.monotonic() + _PATIENCE)
        if self._dropped:
            self._write(f"\n--- {self._dropped:,} bytes of output were dropped ---\n".encode())
        self._write(self._tail)

    def _take(self, piece: bytes) -> None:
        if not self._is_full:
            fitting = piece[: max(0, self._room)]
            self._write(fitting)
            self._room -= len(fitting)
            piece = piece[len(fitting) :]
        if piece:
            if not self._is_full:
                self._is_full = True
                self._write(
                    f"\n--- the log has reached its limit of {self._limit:,} bytes "
                    f"(INTERTWINE_JOB_LOG_BYTES): of further output, only the last {TAIL_BYTES:,} "
                    f"bytes are kept, and follow at the end of the attempt ---\n".encode()
                )
            kept = (self._tail + piece)[-TAIL_BYTES:]
            self._dropped += len(self._tail) + len(piece) - len(kept)
            self._tail = kept

    def _write(self, piece: bytes) -> None:
        view = memoryview(piece)
        with suppress(OSError):  # the disk is full: the remaining output counts as dropped
            while view:
                view = view[os.write(self._log, view) :]
        self._dropped += len(view)
