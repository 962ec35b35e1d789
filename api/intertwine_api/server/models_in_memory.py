"""Models in memory: an LRU cache of prepared models, each with its batcher."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from intertwine_api.server.batcher import Batcher, BatchSettings, Observe, sizes
from intertwine_api.server.loaded_model import LoadedModel, overhead
from intertwine_api.storage.models import Version
from intertwine_api.wire.problems import ProblemError

_LOG = logging.getLogger("intertwine.service")
_COMPILERS = 2  # concurrent compilations: each takes a processor for about a second
_OVERCOMMIT = 2  # times the limit: the most models while all are in use
_REMEMBERED = 1000  # sizes of models that are no longer in memory

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ServedModel:
    """A ready model, its batcher, and the task that compiles its smaller programs."""

    loaded: LoadedModel
    batcher: Batcher
    warming: asyncio.Task[None]

    async def end(self) -> None:
        """Unload the model."""
        self.warming.cancel()
        await asyncio.gather(self.warming, return_exceptions=True)
        await self.batcher.end()


@dataclass
class _Entry:
    """A model that is ready or loading, its bytes of memory, and the number of its users."""

    ready: asyncio.Task[ServedModel]
    nbytes: int
    users: int = 0

    @property
    def served(self) -> ServedModel | None:
        """The model if it is ready, else None."""
        failed = not self.ready.done() or self.ready.cancelled() or self.ready.exception()
        return None if failed else self.ready.result()

    @property
    def is_idle(self) -> bool:
        """Whether the model is ready and has no users."""
        return not self.users and self.served is not None


class ModelsInMemory:
    """An LRU cache of at most `limit` models. Concurrent first callers share one load.

    Only idle models are evicted. While all are in use, the cache holds up to twice the limit.
    Models load in threads. A model is ready when its largest program is compiled, which fits every
    batch. The smaller, faster programs are compiled in the background.

    All models together, including those that are loading, take at most `memory` bytes. The bytes of
    a version are estimated from its weights until it has been loaded once.
    """

    def __init__(
        self,
        load: Callable[[Version], LoadedModel],
        limit: int,
        settings: BatchSettings,
        observe: Observe | None = None,
        *,
        memory: int = 10**9,
    ) -> None:
        self._load, self._limit, self._settings, self._observe = load, limit, settings, observe
        self._memory = memory
        # the most recently used is last
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self._measured: OrderedDict[tuple[str, ...], int] = OrderedDict()
        self._endings: set[asyncio.Task[None]] = set()
        self._threads = CapacityLimiter(_COMPILERS)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """The bytes of all models, including those that are loading."""
        return sum(entry.nbytes for entry in self._entries.values())

    @property
    def waiting(self) -> int:
        """The number of rows in the queues of all models."""
        ready = (entry.served for entry in self._entries.values())
        return sum(served.batcher.waiting for served in ready if served is not None)

    @asynccontextmanager
    async def use(self, version: Version) -> AsyncIterator[ServedModel]:
        """Yield the model of a version, and keep it in memory until the end of the block.

        Raises the errors of `load`, and `ProblemError` with ``busy`` if the cache is full, and with
        ``too-large`` for a model that is larger than the whole cache.
        """
        entry = self._entry(version)
        entry.users += 1
        try:
            yield await asyncio.shield(entry.ready)  # other callers wait for it too
        finally:
            entry.users -= 1
            self._evict()

    async def end(self) -> None:
        """Unload all models."""
        entries = list(self._entries.values())
        for entry in entries:
            entry.ready.cancel()
        found = await asyncio.gather(*(e.ready for e in entries), return_exceptions=True)
        await asyncio.gather(
            *self._endings, *(served.end() for served in found if isinstance(served, ServedModel))
        )

    def require_room(self, version: Version) -> int:
        """Return the bytes of a version: as measured, or estimated before its first load.

        Raises `ProblemError` with ``too-large`` if that is more than the limit.
        """
        nbytes = self._measured.get(_identity(version))
        if nbytes is None:
            nbytes = version.bytes + overhead(version.config, sizes(self._settings.rows))
        self._require_fit(version, nbytes)
        return nbytes

    def _require_fit(self, version: Version, nbytes: int) -> None:
        if nbytes > self._memory:
            detail = (
                f"{version.name}, version {version.version}, takes {nbytes:,} bytes of memory, and "
                f"all models together may take {self._memory:,}: raise INTERTWINE_MODEL_MEMORY, or "
                f"download the model and call it on your machine"
            )
            raise ProblemError.of("too-large", detail, limit_bytes=self._memory)

    def _entry(self, version: Version) -> _Entry:
        key = _identity(version)
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        nbytes = self.require_room(version)
        if len(self._entries) >= _OVERCOMMIT * self._limit:
            raise _all_in_use(len(self._entries))
        in_use = sum(entry.nbytes for entry in self._entries.values() if not entry.is_idle)
        if in_use + nbytes > self._memory:
            raise _all_in_use(len(self._entries))
        self._evict(self._memory - nbytes)
        entry = _Entry(asyncio.create_task(self._make(version)), nbytes)
        entry.ready.add_done_callback(lambda task: self._settle(key, task))
        self._entries[key] = entry
        self._evict()
        return entry

    async def _make(self, version: Version) -> ServedModel:
        await asyncio.gather(*self._endings)  # their memory is needed
        loaded = await self._in_thread(self._load, version)
        self._remember(_identity(version), loaded.nbytes)
        self._require_fit(version, loaded.nbytes)
        name = f"{version.name}/{version.version}"
        batcher = Batcher(loaded, self._settings, observe=self._observe, name=name)
        return ServedModel(loaded, batcher, asyncio.create_task(self._warm(loaded, name)))

    async def _warm(self, loaded: LoadedModel, name: str) -> None:
        try:
            for size in loaded.sizes:
                if size not in loaded.compiled:
                    await self._in_thread(loaded.compile, size)
        except Exception:  # the largest program fits every batch
            _LOG.exception("cannot compile the smaller programs of the model %s", name)

    async def _in_thread(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        work = asyncio.ensure_future(
            to_thread.run_sync(function, *arguments, limiter=self._threads)
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:  # a thread cannot be cancelled, and holds the model
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _remember(self, key: tuple[str, ...], nbytes: int) -> None:
        self._measured[key] = nbytes
        while len(self._measured) > _REMEMBERED:
            self._measured.popitem(last=False)

    def _settle(self, key: tuple[str, ...], task: asyncio.Task[ServedModel]) -> None:
        """Count the bytes of a loaded model. Drop a failed one: the next caller retries."""
        if task.cancelled() or task.exception() is not None:
            self._entries.pop(key, None)
        elif key in self._entries:
            self._entries[key].nbytes = task.result().loaded.nbytes
            self._evict()

    def _evict(self, memory: int | None = None) -> None:
        """Unload idle models, the least recently used first, until the others fit the limits."""
        most_bytes = self._memory if memory is None else memory
        models, nbytes = len(self._entries), self.nbytes
        for key, entry in list(self._entries.items()):
            if models <= self._limit and nbytes <= most_bytes:
                return
            served = entry.served
            if not entry.is_idle or served is None:
                continue
            models, nbytes = models - 1, nbytes - entry.nbytes
            del self._entries[key]
            ending = asyncio.create_task(served.end())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)


def _all_in_use(count: int) -> ProblemError:
    detail = f"all {count} models in memory are in use: retry in a moment"
    return ProblemError.of("busy", detail, headers={"Retry-After": "1"})


def _identity(version: Version) -> tuple[str, ...]:
    """Return the cache key of a version. A deleted model's name can be reused."""
    return version.weights, str(version.config.get("model_sha256"))
