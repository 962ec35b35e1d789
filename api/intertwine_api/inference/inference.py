"""Models called with arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from intertwine_api.garbage import pass_over_what_is_there
from intertwine_api.inference.batch import Outputs, sizes
from intertwine_api.inference.batcher import BatchSettings
from intertwine_api.inference.known_versions import KnownVersions
from intertwine_api.inference.loaded import Loaded, load
from intertwine_api.inference.models_in_memory import ModelsInMemory
from intertwine_api.metrics import Metrics
from intertwine_api.models import Models, Version
from intertwine_api.objects import Objects
from intertwine_api.problems import Problem, ProblemError
from intertwine_api.settings import Settings


@dataclass(frozen=True)
class Answer:
    """What a model makes of its inputs, and which version of it did."""

    version: Version
    outputs: Outputs


class Inference:
    """A lab's models as functions. Made anywhere, used in one event loop, and ended in it."""

    def __init__(
        self, models: Models, objects: Objects, settings: Settings, metrics: Metrics
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
        pass_over_what_is_there()  # JAX too, with the first model
        return loaded
