"""Uploads: written to the disk piece by piece, never held whole in memory."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from intertwine_cache import require_room

_PIECE = 2**20  # bytes that are written at a time


class Uploads:
    """The folder of uploads in progress, beside the objects that they become."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def receive(
        self,
        body: AsyncIterable[bytes],
        take: Callable[[int], None] = lambda size: None,
    ) -> AsyncIterator[Path]:
        """Yield a body as a file, which is deleted at the end.

        `take` is called with the size of each piece, and may raise. Raises `OSError` with ENOSPC if
        the file would use the reserve of the disk.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / uuid.uuid4().hex
        try:
            async with await anyio.open_file(path, "xb") as file:
                held = bytearray()
                async for piece in body:
                    take(len(piece))
                    held += piece
                    if len(held) >= _PIECE:
                        require_room(self._folder, len(held))
                        await file.write(bytes(held))
                        held.clear()
                require_room(self._folder, len(held))
                await file.write(bytes(held))
            yield path
        finally:
            path.unlink(missing_ok=True)

    def remove_abandoned(self, age: float, *, is_dry: bool = False) -> list[int]:
        """Delete partial files, which a crash has left, untouched for `age` seconds.

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
