from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from helpers.example_stores import until
from helpers.patience import PATIENCE
from intertwine.compiled_model import PROGRAM_BYTES
from intertwine.groups import SO
from intertwine.nn import MLP
from intertwine.nn.saving import to_config
from intertwine.reps import Scalar, V
from intertwine_api.server.batcher import BatchSettings
from intertwine_api.server.loaded_model import LoadedModel, load
from intertwine_api.server.models_in_memory import ModelsInMemory
from intertwine_api.storage.models import Version
from intertwine_api.wire.problems import ProblemError

pytestmark = pytest.mark.slow  # models are compiled

SMALL = BatchSettings(rows=2, delay=0)
ROW = np.ones((1, 4), np.float32)


@cache
def saved(key: int) -> tuple[dict[str, Any], bytes]:
    return to_config(MLP(Scalar + V, V, SO(3), ch=2, num_layers=1, key=key))


def version(key: int, name: str = "") -> Version:
    config, blob = saved(key)
    return Version(
        name or f"model{key}",
        1,
        "ada",
        None,
        config,
        config["sha256"],
        len(blob),
        {},
        None,
        True,
        {},
        0.0,
    )


class Loader:
    """Loads models, counts them, and can be made to wait or to fail."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.fails = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.loaded: list[tuple[str, weakref.ref[LoadedModel]]] = []

    def __call__(self, version: Version) -> LoadedModel:
        assert self.may_go_on.wait(timeout=PATIENCE)
        self.loads.append(version.name)
        if self.fails:
            self.fails -= 1
            raise OSError("the disk is on fire")
        found = load(version.config, saved(int(version.name[5:]))[1], (1, 2))
        self.loaded.append((version.name, weakref.ref(found)))
        return found

    def in_memory(self) -> list[str]:
        gc.collect()
        return [name for name, found in self.loaded if found() is not None]


@asynccontextmanager
async def in_memory(
    loader: Loader, limit: int = 2, memory: int = 10**9
) -> AsyncIterator[ModelsInMemory]:
    models = ModelsInMemory(loader, limit, SMALL, memory=memory)
    try:
        yield models
    finally:
        await models.end()


async def call(models: ModelsInMemory, key: int) -> Any:
    async with models.use(version(key)) as served:
        return await served.batcher.call(ROW)


async def settled(models: ModelsInMemory) -> None:
    """Wait until what is being put away is away."""
    await asyncio.gather(*models._endings)


def test_a_model_is_loaded_once_and_computes() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader) as models:
            y = await call(models, 1)
            assert y.shape == (1, 3)
            np.testing.assert_array_equal(await call(models, 1), y)

    asyncio.run(inside())
    assert loader.loads == ["model1"]


def test_concurrent_first_calls_share_one_load() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader) as models:
            answers = await asyncio.gather(*(call(models, 1) for _ in range(20)))
            assert len({y.tobytes() for y in answers}) == 1

    asyncio.run(inside())
    assert loader.loads == ["model1"]


def test_a_cancelled_first_call_does_not_cancel_the_load() -> None:
    loader = Loader()
    loader.may_go_on.clear()

    async def inside() -> None:
        async with in_memory(loader) as models:
            first, second = (asyncio.ensure_future(call(models, 1)) for _ in range(2))
            await asyncio.sleep(0.01)
            first.cancel()
            await asyncio.sleep(0.01)
            loader.may_go_on.set()
            assert (await second).shape == (1, 3)

    asyncio.run(inside())
    assert loader.loads == ["model1"]


def test_a_failed_load_fails_its_waiters_and_is_retried_later() -> None:
    loader = Loader()
    loader.fails = 1

    async def inside() -> None:
        async with in_memory(loader) as models:
            found = await asyncio.gather(
                *(call(models, 1) for _ in range(3)), return_exceptions=True
            )
            assert [type(error) for error in found] == [OSError] * 3
            assert len(models) == 0
            assert (await call(models, 1)).shape == (1, 3)

    asyncio.run(inside())
    assert loader.loads == ["model1"] * 2


def test_the_least_recently_used_model_is_evicted() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader, limit=2) as models:
            for key in (1, 2, 1, 3):  # 2 was used before 1
                await call(models, key)
            await settled(models)
            assert len(models) == 2
            await call(models, 1)
            assert loader.loads == ["model1", "model2", "model3"]
            await call(models, 2)
            assert loader.loads[3:] == ["model2"]

    asyncio.run(inside())


def test_evicted_models_are_freed() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader, limit=1) as models:
            for key in (1, 2):
                await call(models, key)
            await settled(models)
            until(lambda: loader.in_memory() == ["model2"])

    asyncio.run(inside())
    until(lambda: loader.in_memory() == [])
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("model")])


def test_the_end_waits_for_a_load_in_progress_which_holds_the_model() -> None:
    loader = Loader()
    loader.may_go_on.clear()

    async def inside() -> None:
        async with in_memory(loader) as models:
            caller = asyncio.ensure_future(call(models, 1))
            await asyncio.sleep(0.01)
            asyncio.get_running_loop().call_later(0.05, loader.may_go_on.set)
        assert loader.loads == ["model1"]
        with pytest.raises(asyncio.CancelledError):
            await caller

    asyncio.run(inside())
    until(lambda: loader.in_memory() == [])


def test_a_model_in_use_is_evicted_when_it_is_free() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader, limit=1) as models:
            async with models.use(version(1)) as served:
                await call(models, 2)
                assert (await served.batcher.call(ROW)).shape == (1, 3)
                await call(models, 1)
                assert loader.loads == ["model1", "model2"]
            await settled(models)
            assert len(models) == 1

    asyncio.run(inside())


def test_twice_the_limit_may_be_in_use_and_no_more() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader, limit=1) as models, AsyncExitStack() as stack:
            for key in (1, 2):
                await stack.enter_async_context(models.use(version(key)))
            with pytest.raises(ProblemError) as caught:
                await call(models, 3)
            assert (caught.value.problem.status, caught.value.problem.code) == (429, "busy")
            assert caught.value.headers["Retry-After"]
            assert (await call(models, 1)).shape == (1, 3)

    asyncio.run(inside())


#: Room for two of the models of these tests, but not for three: each has two programs.
TWO_MODELS = 5 * PROGRAM_BYTES


def test_models_together_take_no_more_bytes_than_the_limit() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader, limit=8, memory=TWO_MODELS) as models:
            for key in (1, 2, 1, 3):  # 2 was used before 1
                await call(models, key)
                assert models.nbytes <= TWO_MODELS
            await settled(models)
            assert len(models) == 2
            await call(models, 1)
            assert loader.loads == ["model1", "model2", "model3"]

    asyncio.run(inside())


def test_a_model_waits_while_those_in_use_take_all_bytes() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader, limit=8, memory=TWO_MODELS) as models:
            async with AsyncExitStack() as stack:
                for key in (1, 2):
                    await stack.enter_async_context(models.use(version(key)))
                with pytest.raises(ProblemError) as caught:
                    await call(models, 3)
                assert caught.value.problem.code == "busy"
                assert caught.value.headers["Retry-After"]
            assert (await call(models, 3)).shape == (1, 3)

    asyncio.run(inside())


def test_models_that_are_loading_count() -> None:
    loader = Loader()
    loader.may_go_on.clear()

    async def inside() -> None:
        async with in_memory(loader, limit=8, memory=TWO_MODELS) as models:
            loading = [asyncio.ensure_future(call(models, key)) for key in (1, 2)]
            await asyncio.sleep(0.01)
            with pytest.raises(ProblemError, match="in use"):
                await call(models, 3)
            loader.may_go_on.set()
            await asyncio.gather(*loading)

    asyncio.run(inside())


def test_a_version_larger_than_the_limit_is_refused_before_it_is_loaded() -> None:
    loader = Loader()
    large = replace(version(1), bytes=TWO_MODELS)

    async def inside() -> None:
        async with in_memory(loader, memory=TWO_MODELS) as models:
            with pytest.raises(ProblemError) as caught:
                models.require_room(large)
            assert caught.value.problem.code == "too-large"
            assert "INTERTWINE_MODEL_MEMORY" in caught.value.problem.detail
            with pytest.raises(ProblemError, match="takes"):
                async with models.use(large):
                    pass

    asyncio.run(inside())
    assert loader.loads == []


def test_a_model_that_turns_out_too_large_is_loaded_once_and_then_refused_at_once() -> None:
    loader = Loader()
    taken = load(*saved(1), (1, 2)).nbytes
    understated = replace(version(1), bytes=0)

    async def inside() -> None:
        async with in_memory(loader, memory=taken - 1) as models:
            for _ in range(3):
                with pytest.raises(ProblemError) as caught:
                    async with models.use(understated):
                        pass
                assert caught.value.problem.code == "too-large"
            assert (len(models), models.nbytes) == (0, 0)

    asyncio.run(inside())
    assert loader.loads == ["model1"]


def test_versions_with_equal_weights_share_a_model() -> None:
    loader = Loader()

    async def inside() -> None:
        async with in_memory(loader) as models:
            await call(models, 1)
            async with models.use(version(1, "another name")) as served:
                await served.batcher.call(ROW)

    asyncio.run(inside())
    assert loader.loads == ["model1"]


def test_the_smaller_programs_follow_without_being_waited_for() -> None:
    async def inside() -> None:
        async with in_memory(Loader()) as models, models.use(version(1)) as served:
            assert 2 in served.loaded.compiled
            await served.warming
            assert served.loaded.compiled == {1, 2}

    asyncio.run(inside())


def test_a_load_does_not_block_the_event_loop() -> None:
    loader = Loader()
    loader.may_go_on.clear()

    async def inside() -> None:
        async with in_memory(loader) as models:
            loading = asyncio.ensure_future(call(models, 1))
            for _ in range(20):
                await asyncio.sleep(1e-3)
            assert not loading.done()
            loader.may_go_on.set()
            await loading

    asyncio.run(inside())


def test_the_end_while_a_model_is_loaded_lets_go_of_it_too() -> None:
    loader = Loader()
    loader.may_go_on.clear()

    async def inside() -> None:
        models = ModelsInMemory(loader, 2, SMALL)
        waiting = asyncio.ensure_future(call(models, 1))
        await asyncio.sleep(0.01)
        ending = asyncio.ensure_future(models.end())
        await asyncio.sleep(0.01)
        loader.may_go_on.set()
        await ending
        with pytest.raises((asyncio.CancelledError, ProblemError)):
            await waiting

    asyncio.run(inside())
    gc.collect()
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("model1")])
