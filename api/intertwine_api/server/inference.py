"""Which version a name means: what the database said a moment ago."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.batcher import BatchSettings, Outputs, sizes
from intertwine_api.server.models_in_memory import Loaded, ModelsInMemory, load
from intertwine_api.storage.models import Models, Version
from intertwine_api.storage.objects import Objects
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work.host import freeze_existing_objects
from intertwine_api.work.service_metrics import ServiceMetrics
from intertwine_api.work.settings import Settings

_SECONDS = 1.0
_REMEMBERED = 1000

#: Finds a version by name and number, or the newest of a name.
Find = Callable[[str, int | None], Version]


class KnownVersions:
    """Versions that are looked up again after a second, by one of those who ask then.

    So a version that another process publishes, or deletes, is noticed within about as long.
    """

    def __init__(self, find: Find, clock: Callable[[], float] = time.monotonic) -> None:
        self._find, self._clock = find, clock
        self._known: OrderedDict[tuple[str, int | None], tuple[float, Version]] = OrderedDict()

    async def get(self, name: str, number: int | None) -> Version:
        """The version of that number, or the newest. Raises `ProblemError` with ``not-found``."""
        key = name, number
        if key in self._known:
            until, version = self._known[key]
            if self._clock() < until:
                return version
            self._remember(key, version)  # the others go on with it while one looks
        try:
            version = await run_in_threadpool(self._find, name, number)
        except BaseException:
            self._known.pop(key, None)
            raise
        self._remember(key, version)
        return version

    def forget(self, name: str) -> None:
        """Look the versions of a name up again."""
        for key in [key for key in self._known if key[0] == name]:
            del self._known[key]

    def _remember(self, key: tuple[str, int | None], version: Version) -> None:
        self._known[key] = self._clock() + _SECONDS, version
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


@dataclass(frozen=True)
class Answer:
    """What a model makes of its inputs, and which version of it did."""

    version: Version
    outputs: Outputs


class Inference:
    """A lab's models as functions. Made anywhere, used in one event loop, and ended in it."""

    def __init__(
        self, models: Models, objects: Objects, settings: Settings, metrics: ServiceMetrics
    ) -> None:
        self._objects, self._metrics = objects, metrics
        self._most = settings.forward_rows
        self._sizes = sizes(settings.batch_rows)
        self._versions = KnownVersions(models.get)
        self.in_memory = ModelsInMemory(
            self._load,
            settings.models_in_memory,
            BatchSettings(settings.batch_rows, settings.batch_delay, settings.forward_queue_rows),
            metrics.forward_batch_rows.observe,
        )
        metrics.forward_queue.set_function(lambda: self.in_memory.waiting)
        metrics.models_in_memory.set_function(lambda: len(self.in_memory))

    async def forward(
        self, name: str, number: int | None, inputs: Shaped[np.ndarray, "..."]
    ) -> Answer:
        """The outputs of a version, or of the newest, for each row of the inputs.

        Raises `ProblemError`: ``not-found``, ``invalid-request`` for what the model does not take,
        ``too-large`` for too many rows at once, and ``busy`` where too many wait.
        """
        with self._metrics.forward_seconds.time():
            if len(inputs) > self._most:
                detail = f"{len(inputs):,} vectors at once are more than the {self._most:,} allowed"
                raise ProblemError(Problem.of("too-large", detail, limit_rows=self._most))
            version = await self._versions.get(name, number)
            async with self.in_memory.use(version) as served:
                outputs = served.loaded.nothing
                if len(inputs):
                    outputs = await served.batcher.call(served.loaded.rows(inputs))
        if not np.isfinite(outputs).all():
            detail = f"the outputs are not finite as {outputs.dtype.name}: the inputs are too large"
            raise ProblemError(Problem.of("invalid-request", detail))
        return Answer(version, outputs)

    def forget(self, name: str) -> None:
        """See at once what was published under a name, or deleted; else it takes a second."""
        self._versions.forget(name)

    async def end(self) -> None:
        """Let go of all models; who waits for one is told so."""
        await self.in_memory.end()

    def _load(self, version: Version) -> Loaded:
        path = self._objects.path(version.weights)
        if path is None:
            detail = f"the weights of {version.name}, version {version.version}, are gone"
            raise ProblemError(Problem.of("internal", detail))
        loaded = load(version.config, path.read_bytes(), self._sizes)
        freeze_existing_objects()  # JAX too, with the first model
        return loaded
