"""A model in memory: its weights, and a compiled program for each size of batch."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from anyio import CapacityLimiter, to_thread
from jaxtyping import Shaped

from intertwine_api.server.batcher import Batcher, BatchSettings, Observe, Outputs, Rows
from intertwine_api.storage.models import Version
from intertwine_api.wire.problems import Problem, ProblemError


class Loaded:
    """A model whose programs are compiled before anybody needs them, one for each of `sizes`.

    It is computed in the precision of its weights, and as it is rather than baked: so the answers
    are those of the model that one downloads, and wide networks are faster (64 rows of an EMLP of
    width 384 take 0.16 ms, and 1.6 ms baked). The programs are its own and go with it: JAX keeps
    none of them, of which a process can map only so many.
    """

    def __init__(self, model: Any, sizes: Sequence[int]) -> None:
        import equinox as eqx

        self.sizes = tuple(sizes)
        self.width: int = model.rep_in.size()
        self.dtype, self._precision = _numbers(model)
        self._rep = repr(model.rep_in)
        self._weights, self._rest = eqx.partition(model, eqx.is_array)
        self._programs: dict[int, Callable[..., Any]] = {}
        self.compile(self.sizes[-1])

    @property
    def compiled(self) -> frozenset[int]:
        """The sizes that have a program."""
        return frozenset(self._programs)

    def compile(self, size: int) -> None:
        """Make the program for batches of this size, and run it once."""
        import equinox as eqx
        import jax

        def call(weights: Any, x: Any) -> Any:
            return eqx.combine(weights, self._rest)(x)

        x = np.zeros((size, self.width), self.dtype)
        # a GPU would multiply float32 in fewer digits, and that would not be equivariant
        with self._precision(), jax.default_matmul_precision("highest"):
            program = jax.jit(call).lower(self._weights, x).compile()
            self.nothing: Outputs = np.asarray(program(self._weights, x))[:0]
        self._programs[size] = program

    def __call__(self, rows: Rows) -> Outputs:
        """The model's outputs, by the program with the least room that is enough."""
        size = min(size for size in self._programs if size >= len(rows))
        x = rows
        if size > len(rows):
            x = np.zeros((size, self.width), self.dtype)
            x[: len(rows)] = rows
        with self._precision():
            outputs = np.asarray(self._programs[size](self._weights, x))
        return outputs[: len(rows)]

    def rows(self, x: Shaped[np.ndarray, "..."]) -> Rows:
        """The inputs as the model takes them: vectors of its rep, of finite numbers, in its dtype.

        Raises `ProblemError` with ``invalid-request`` for anything else.
        """
        if x.ndim != 2 or x.shape[1] != self.width:
            given = f"an array of shape {x.shape}" if x.ndim != 2 else f"vectors of {x.shape[1]}"
            raise _refused(
                f"the model takes vectors of {self.width} numbers ({self._rep}), not {given}"
            )
        if np.iscomplexobj(x) and not np.issubdtype(self.dtype, np.complexfloating):
            raise _refused(f"the model takes real vectors ({self._rep}), and these are complex")
        with np.errstate(over="ignore"):  # what overflows is refused below
            rows = np.ascontiguousarray(x, self.dtype)
        if not np.isfinite(rows).all():
            raise _refused(f"the inputs have entries that are not finite as {self.dtype.name}")
        return rows


def load(config: Mapping[str, Any], blob: bytes, sizes: Sequence[int]) -> Loaded:
    """The model of `intertwine.nn.saving.to_config`, compiled for the largest of the sizes.

    Raises `FormatError` where the two are no whole model.
    """
    import jax
    from intertwine.nn.saving import from_config

    with jax.enable_x64(True):  # or weights in float64 could not be read
        model = from_config(config, blob)
    return Loaded(model, sizes)


def _numbers(model: Any) -> tuple[np.dtype[Any], Callable[[], AbstractContextManager[Any]]]:
    """The dtype of a model's inputs, and what JAX must be told to compute in its precision."""
    import jax
    from intertwine.reps.generator_images import act_by_complex_numbers
    from intertwine.reps.syntax import atoms
    from intertwine.training.data import weights_dtype

    weights = weights_dtype(model)
    double = weights is not None and np.finfo(weights).bits == 64
    is_complex = act_by_complex_numbers(atoms(model.rep_in))
    dtype = np.result_type(np.float64 if double else np.float32, np.complex64 if is_complex else 0)
    return dtype, partial(jax.enable_x64, True) if double else nullcontext


def _refused(detail: str) -> ProblemError:
    return ProblemError(Problem.of("invalid-request", detail))


_LOG = logging.getLogger("intertwine.service")
_AT_ONCE = 2  # programs that are compiled at once: each takes a processor for about a second
_BEYOND = 2  # times the limit: how many there may be while all are in use


_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Served:
    """A model that is ready, its batcher, and the task that compiles its other programs."""

    loaded: Loaded
    batcher: Batcher
    warming: asyncio.Task[None]

    async def end(self) -> None:
        """Let go of it."""
        self.warming.cancel()
        await asyncio.gather(self.warming, return_exceptions=True)
        await self.batcher.end()


@dataclass
class _Entry:
    """A model that is ready or will be, and how many use it or wait for it."""

    ready: asyncio.Task[Served]
    users: int = 0

    @property
    def served(self) -> Served | None:
        """The model, if it is ready."""
        failed = not self.ready.done() or self.ready.cancelled() or self.ready.exception()
        return None if failed else self.ready.result()


class ModelsInMemory:
    """Models, each loaded once however many ask for it first, `limit` of them kept.

    Past that, the one goes that was used longest ago and is not in use now; while all are, there
    may be twice as many. Loading never holds up the event loop. A model is ready when its largest
    program is compiled, which has room for every batch; the smaller and faster ones follow, so
    that no call waits for a compiler.
    """

    def __init__(
        self,
        load: Callable[[Version], Loaded],
        limit: int,
        settings: BatchSettings,
        observe: Observe | None = None,
    ) -> None:
        self._load, self._limit, self._settings, self._observe = load, limit, settings, observe
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()  # used last is last
        self._endings: set[asyncio.Task[None]] = set()
        self._threads = CapacityLimiter(_AT_ONCE)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def waiting(self) -> int:
        """The rows that wait, for all models together."""
        ready = (entry.served for entry in self._entries.values())
        return sum(served.batcher.waiting for served in ready if served is not None)

    @asynccontextmanager
    async def use(self, version: Version) -> AsyncIterator[Served]:
        """The model of a version, ready, and kept so until the end of the block.

        Raises what loading it raises, and `ProblemError` with ``busy`` where there is no room.
        """
        entry = self._entry(version)
        entry.users += 1
        try:
            yield await asyncio.shield(entry.ready)  # others wait for it too
        finally:
            entry.users -= 1
            self._shrink()

    async def end(self) -> None:
        """Let go of all models."""
        entries = list(self._entries.values())
        for entry in entries:
            entry.ready.cancel()
        found = await asyncio.gather(*(e.ready for e in entries), return_exceptions=True)
        await asyncio.gather(
            *self._endings, *(served.end() for served in found if isinstance(served, Served))
        )

    def _entry(self, version: Version) -> _Entry:
        key = _identity(version)
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        if len(self._entries) >= _BEYOND * self._limit:
            detail = f"all of the {len(self._entries)} models in memory are in use"
            raise ProblemError(Problem.of("busy", detail), {"Retry-After": "1"})
        entry = _Entry(asyncio.create_task(self._make(version)))
        entry.ready.add_done_callback(lambda task: self._forget_failed(key, task))
        self._entries[key] = entry
        self._shrink()
        return entry

    async def _make(self, version: Version) -> Served:
        loaded = await self._in_thread(self._load, version)
        name = f"{version.name}/{version.version}"
        batcher = Batcher(loaded, self._settings, observe=self._observe, name=name)
        return Served(loaded, batcher, asyncio.create_task(self._warm(loaded, name)))

    async def _warm(self, loaded: Loaded, name: str) -> None:
        try:
            for size in loaded.sizes:
                if size not in loaded.compiled:
                    await self._in_thread(loaded.compile, size)
        except Exception:  # what is compiled already has room for every batch
            _LOG.exception("the smaller programs of the model %s could not be compiled", name)

    async def _in_thread(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        work = asyncio.ensure_future(
            to_thread.run_sync(function, *arguments, limiter=self._threads)
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:  # a thread cannot be stopped, and has hold of the model
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _forget_failed(self, key: tuple[str, ...], task: asyncio.Task[Served]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._entries.pop(key, None)  # so that the next caller tries again

    def _shrink(self) -> None:
        if len(self._entries) <= self._limit:
            return
        idle = [
            (key, entry.served)
            for key, entry in self._entries.items()
            if not entry.users and entry.served is not None
        ]
        for key, served in idle[: len(self._entries) - self._limit]:
            del self._entries[key]
            ending = asyncio.create_task(served.end())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)


def _identity(version: Version) -> tuple[str, ...]:
    """What a model is by: a version's name may be given again after the model was deleted."""
    return version.weights, str(version.config.get("model_sha256"))
