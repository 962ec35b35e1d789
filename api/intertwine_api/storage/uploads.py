"""Uploads: written to the disk piece by piece, never held whole in memory."""

from __future__ import annotations

import contextlib
import secrets
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import anyio
from intertwine_cache import require_room

from intertwine_api.wire.problems import ProblemError

_PIECE = 2**20  # bytes that are written at a time


@dataclass(eq=False)
class Upload:
    """An upload in flight: its owner, its declared bytes, and those that have arrived."""

    owner: str = ""
    declared: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    since: float = field(default_factory=time.time)
    received: int = 0
    state: Literal["receiving", "checking"] = "receiving"
    _reason: str = ""
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Interrupt the block with a `ProblemError`, ``ended-by-admin``, when `end` is called."""
        with self._scope:
            yield
        if self._reason:
            raise ProblemError.of("ended-by-admin", self._reason)
        self.state = "checking"

    def end(self, reason: str) -> bool:
        """End the upload, in the event loop's thread. Return False if it has already arrived."""
        if self.state == "receiving":
            self._reason = reason
            self._scope.cancel()
        return self.state == "receiving"


class Uploads:
    """The folder of uploads in progress, beside the objects that they become."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_flight: dict[str, Upload] = {}

    def in_flight(self) -> list[Upload]:
        """Return the uploads of this process, oldest first."""
        return list(self._in_flight.values())

    @asynccontextmanager
    async def receive(
        self,
        body: AsyncIterable[bytes],
        take: Callable[[int], None] = lambda size: None,
        upload: Upload | None = None,
    ) -> AsyncIterator[Path]:
        """Yield a body as a file, which is deleted at the end.

        `take` is called with the size of each piece, and may raise. Raises `OSError` with ENOSPC if
        the file would use the reserve of the disk, and `ProblemError` with ``ended-by-admin`` if
        `upload` is ended.
        """
        upload = upload or Upload()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / uuid.uuid4().hex
        self._in_flight[upload.id] = upload
        try:
            with upload.receiving():
                await self._write(body, path, take, upload)
            yield path
        finally:
            del self._in_flight[upload.id]
            path.unlink(missing_ok=True)

    async def _write(
        self, body: AsyncIterable[bytes], path: Path, take: Callable[[int], None], upload: Upload
    ) -> None:
        async with await anyio.open_file(path, "xb") as file:
            held = bytearray()
            async for piece in body:
                take(len(piece))
                upload.received += len(piece)
                held += piece
                if len(held) >= _PIECE:
                    require_room(self._folder, len(held))
                    await file.write(bytes(held))
                    held.clear()
            require_room(self._folder, len(held))
            await file.write(bytes(held))

    def remove_abandoned(self, age: float, *, is_dry: bool = False) -> list[int]:
        """Delete partial files of crashed uploads that are untouched for `age` seconds.

        Return their sizes in bytes. With `is_dry`, nothing is deleted.
        """
        old, sizes = time.time() - age, []
        for path in self._folder.glob("*"):
            with contextlib.suppress(FileNotFoundError):  # its request has ended meanwhile
                found = path.stat()
                if found.st_mtime < old:
                    if not is_dry:
                        path.unlink()
                    sizes.append(found.st_size)
        return sizes
