"""Inference: versions found by name, their models kept in memory, and calls batched."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from intertwine.errors import FormatError, Unavailable
from intertwine.reps import Rep
from jaxtyping import Shaped
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.batcher import BatchSettings, Outputs, sizes
from intertwine_api.server.loaded_model import LoadedModel, load
from intertwine_api.server.models_in_memory import ModelsInMemory
from intertwine_api.storage.models import Models, Version, lost_weights
from intertwine_api.storage.objects import Objects
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.host import freeze_existing_objects
from intertwine_api.work.service_metrics import ServiceMetrics
from intertwine_api.work.settings import Settings

_CACHE_SECONDS = 1.0
_CACHE_SIZE = 1000

#: Finds a version by name and number, or the newest of a name.
Find = Callable[[str, int | None], Version]


class VersionCache:
    """A cache of versions. An expired entry is refreshed by one caller.

    The cache sees a version that another process publishes or deletes after about a second.
    """

    def __init__(self, find: Find, clock: Callable[[], float] = time.monotonic) -> None:
        self._find, self._clock = find, clock
        self._versions: OrderedDict[tuple[str, int | None], tuple[float, Version]] = OrderedDict()

    async def get(self, name: str, number: int | None) -> Version:
        """Return the version, or the newest one. Raises `ProblemError` with ``not-found``."""
        key = name, number
        if key in self._versions:
            until, version = self._versions[key]
            if self._clock() < until:
                return version
            self._store(key, version)  # other callers use it during the lookup
        try:
            version = await run_in_threadpool(self._find, name, number)
        except BaseException:
            self._versions.pop(key, None)
            raise
        self._store(key, version)
        return version

    def invalidate(self, name: str) -> None:
        """Drop the cached versions of a name."""
        for key in [key for key in self._versions if key[0] == name]:
            del self._versions[key]

    def _store(self, key: tuple[str, int | None], version: Version) -> None:
        self._versions[key] = self._clock() + _CACHE_SECONDS, version
        while len(self._versions) > _CACHE_SIZE:
            self._versions.popitem(last=False)


@dataclass(frozen=True)
class Answer:
    """The outputs of a model, and the version that computed them."""

    version: Version
    outputs: Outputs


@dataclass(frozen=True)
class Signature:
    """What a version maps: vectors of `rep_in` to vectors of `rep_out`, computed in `dtype`."""

    version: Version
    rep_in: Rep
    rep_out: Rep
    dtype: np.dtype[Any]


class Inference:
    """Calls a lab's models. Use it, and end it, in one event loop."""

    def __init__(
        self, models: Models, objects: Objects, settings: Settings, metrics: ServiceMetrics
    ) -> None:
        self._objects, self._metrics = objects, metrics
        self._most = settings.forward_rows
        self._sizes = sizes(settings.batch_rows)
        self._versions = VersionCache(models.get)
        self.in_memory = ModelsInMemory(
            self._load,
            settings.models_in_memory,
            BatchSettings(settings.batch_rows, settings.batch_delay, settings.forward_queue_rows),
            metrics.forward_batch_rows.observe,
            memory=settings.model_memory,
        )
        metrics.forward_queue.set_function(lambda: self.in_memory.waiting)
        metrics.models_in_memory.set_function(lambda: len(self.in_memory))
        metrics.model_memory.set_function(lambda: self.in_memory.nbytes)

    async def require(self, name: str, number: int | None) -> None:
        """Check that a version exists, and that its model fits in memory.

        Raises `ProblemError` with ``not-found`` or ``too-large``. Call this before the body of a
        request is read.
        """
        self.in_memory.require_room(await self._versions.get(name, number))

    async def forward(
        self, name: str, number: int | None, inputs: Shaped[np.ndarray, "..."]
    ) -> Answer:
        """Return the outputs of a version, or of the newest one, for each row of the inputs.

        Raises `ProblemError` with ``not-found``, with ``gone`` if the service has lost the
        weights, with ``unavailable`` if the framework of the model is not installed, with
        ``invalid-request`` if the model does not accept the inputs, with ``too-large`` for too many
        rows, and with ``busy`` if the queue is full.
        """
        with self._metrics.forward_seconds.time():
            if len(inputs) > self._most:
                detail = f"{len(inputs):,} vectors exceed the limit of {self._most:,}: split them"
                raise ProblemError.of("too-large", detail, limit_rows=self._most)
            version = await self._versions.get(name, number)
            async with self.in_memory.use(version) as served:
                outputs = served.loaded.empty
                if len(inputs):
                    outputs = await served.batcher.call(served.loaded.rows(inputs))
        if not np.isfinite(outputs).all():
            detail = f"the outputs overflow {outputs.dtype.name}: send smaller inputs"
            raise ProblemError.of("invalid-request", detail)
        return Answer(version, outputs)

    async def signature(self, name: str, number: int | None) -> Signature:
        """Return the reps and the dtype of a version, or of the newest one. Loads its model.

        Raises `ProblemError` with ``not-found``, ``gone``, ``unavailable``, ``too-large`` and
        ``busy``, as `forward` does.
        """
        version = await self._versions.get(name, number)
        async with self.in_memory.use(version) as served:
            loaded = served.loaded
            return Signature(version, loaded.rep_in, loaded.rep_out, loaded.dtype)

    def invalidate(self, name: str) -> None:
        """Drop the cached versions of a name after a publication or deletion."""
        self._versions.invalidate(name)

    async def end(self) -> None:
        """Unload all models. Waiting calls fail."""
        await self.in_memory.end()

    def _load(self, version: Version) -> LoadedModel:
        path = self._objects.path(version.weights)
        if path is None:
            raise lost_weights(version)
        try:
            loaded = load(version.config, path.read_bytes(), self._sizes)
        except FileNotFoundError as error:  # deleted meanwhile
            raise lost_weights(version) from error
        except FormatError as error:
            raise lost_weights(version, f"or its description cannot be read ({error})") from error
        except Unavailable as error:
            raise _not_served(version, error) from error
        freeze_existing_objects()  # the first model has imported its framework
        return loaded


def _not_served(version: Version, error: Unavailable) -> ProblemError:
    return ProblemError.of(
        "unavailable",
        f"this service cannot compute {version.name}, version {version.version}: {error}; or "
        f"download the model and call it on your machine",
    )
