"""Uploads: written to the disk piece by piece, never held whole in memory."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

_PIECE = 2**20  # bytes that are written at a time


class Uploads:
    """The folder of uploads in progress, beside the objects that they become."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def receive(self, body: AsyncIterable[bytes]) -> AsyncIterator[Path]:
        """Yield a body as a file, which is deleted at the end."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / uuid.uuid4().hex
        try:
            async with await anyio.open_file(path, "xb") as file:
                held = bytearray()
                async for piece in body:
                    held += piece
                    if len(held) >= _PIECE:
                        await file.write(bytes(held))
                        held.clear()
                await file.write(bytes(held))
            yield path
        finally:
            path.unlink(missing_ok=True)

    def remove_abandoned(self, age: float) -> None:
        """Delete partial files, which a crash has left, untouched for `age` seconds."""
        old = time.time() - age
        for path in self._folder.glob("*"):
            with contextlib.suppress(FileNotFoundError):  # its request has ended meanwhile
                if path.stat().st_mtime < old:
                    path.unlink()
