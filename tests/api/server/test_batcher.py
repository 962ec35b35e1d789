from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from helpers.patience import PATIENCE, in_one_of, quickest
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine_api.server.batcher import Batcher, BatchSettings, sizes
from intertwine_api.wire.problems import ProblemError
from jaxtyping import Shaped

Rows = Shaped[np.ndarray, "n d"]

AT_ONCE = BatchSettings(delay=0)
BAD = -1.0


class Watched:
    """A function that says what it was given, and can be made to wait."""

    def __init__(self) -> None:
        self.batches: list[Rows] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, x: Rows) -> Rows:
        assert self.may_go_on.wait(timeout=PATIENCE)
        self.batches.append(x)
        if (x == BAD).any():
            raise ArithmeticError(f"{BAD} is not taken")
        return x[:, :1] + 1

    @property
    def rows(self) -> list[float]:
        """The first numbers of the rows that it was given, without what they were padded with."""
        return [row[0] for x in self.batches for row in x if row[0]]


def row(value: float) -> Rows:
    return np.array([[value, 0.0]])


def ask(batcher: Batcher, rows: Rows) -> asyncio.Task[Rows]:
    """A caller by themselves, who asks when the loop comes to them."""
    return asyncio.ensure_future(batcher.call(rows))


@asynccontextmanager
async def batching(
    function: Callable[[Rows], Rows], settings: BatchSettings = AT_ONCE, **others: Any
) -> AsyncIterator[Batcher]:
    batcher = Batcher(function, settings, **others)
    try:
        yield batcher
    finally:
        await batcher.end()


@asynccontextmanager
async def blocked(watched: Watched, batcher: Batcher) -> AsyncIterator[None]:
    """Inside, one batch is being computed, and whatever comes has to wait."""
    watched.may_go_on.clear()
    first = ask(batcher, row(99))
    await asyncio.sleep(0)
    while batcher.waiting:
        await asyncio.sleep(0)
    yield
    watched.may_go_on.set()
    await first


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    most=st.integers(1, 9),
    leaving=st.sets(st.integers(0, 11), max_size=4),
    steps=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_every_call_gets_its_own_result(
    lengths: list[int], most: int, leaving: set[int], steps: list[int]
) -> None:
    watched = Watched()
    inputs = [100 * (i + 1) + np.arange(2.0 * n).reshape(n, 2) for i, n in enumerate(lengths)]

    async def everybody() -> list[Any]:
        async with batching(watched, BatchSettings(rows=most, delay=1e-3)) as batcher:
            futures = []
            for x, pause in zip(inputs, steps, strict=False):
                futures.append(ask(batcher, x))
                for _ in range(pause):
                    await asyncio.sleep(0)
            for i in leaving & set(range(len(futures))):
                futures[i].cancel()
            answers = await asyncio.gather(*futures, return_exceptions=True)
            assert batcher.waiting == 0
            return answers

    for i, (x, answer) in enumerate(zip(inputs, asyncio.run(everybody()), strict=True)):
        if i in leaving and isinstance(answer, asyncio.CancelledError):
            continue
        np.testing.assert_array_equal(answer, x[:, :1] + 1)
    assert {len(x) for x in watched.batches} <= set(sizes(most))
    assert sorted(watched.rows) == sorted({*watched.rows}), "no row is computed twice"


def test_concurrent_calls_are_batched_in_order() -> None:
    watched = Watched()

    async def many() -> list[Rows]:
        async with batching(watched) as batcher:
            return await asyncio.gather(*(batcher.call(row(i)) for i in range(1, 101)))

    answers = asyncio.run(many())
    assert [answer.item() for answer in answers] == list(range(2, 102))
    assert [len(x) for x in watched.batches] == [64, 64]  # 36 rows, and padding
    assert watched.rows == list(range(1, 101))


def test_calls_during_a_batch_form_the_next_batch() -> None:
    watched = Watched()

    async def many() -> None:
        async with batching(watched) as batcher:
            async with blocked(watched, batcher):
                late = [ask(batcher, row(i)) for i in (1, 2, 3)]
                await asyncio.sleep(0.01)
                assert batcher.waiting == 3
            await asyncio.gather(*late)

    asyncio.run(many())
    assert watched.rows == [99, 1, 2, 3]
    assert [len(x) for x in watched.batches] == [1, 4]


def test_a_long_call_is_split_and_a_short_one_fills_the_batch() -> None:
    watched = Watched()

    async def many() -> tuple[Rows, Rows]:
        async with batching(watched, BatchSettings(rows=8, delay=0)) as batcher:
            long = ask(batcher, np.arange(1.0, 41.0).reshape(20, 2))
            short = ask(batcher, np.arange(101.0, 107.0).reshape(3, 2))
            return await long, await short

    long, short = asyncio.run(many())
    np.testing.assert_array_equal(long[:, 0], np.arange(2.0, 42.0, 2))
    np.testing.assert_array_equal(short[:, 0], [102, 104, 106])
    assert [len(x) for x in watched.batches] == [8, 8, 8]  # 20 and 3 rows, and one of padding


def test_a_single_caller_does_not_wait() -> None:
    async def alone() -> float:
        async with batching(Watched(), BatchSettings(delay=PATIENCE)) as batcher:
            started = time.perf_counter()
            for i in range(1, 20):
                await batcher.call(row(i))
            return time.perf_counter() - started

    assert asyncio.run(alone()) < PATIENCE


def test_a_batch_waits_for_recent_callers() -> None:
    watched = Watched()

    async def pair() -> None:
        async with batching(watched, BatchSettings(delay=PATIENCE)) as batcher:
            for _ in range(3):
                first, second = ask(batcher, row(1)), ask(batcher, row(2))
                await asyncio.gather(first, second)
                first = ask(batcher, row(1))
                await asyncio.sleep(0.02)  # far longer than a batch of one takes
                assert not first.done()
                await asyncio.gather(first, batcher.call(row(2)))

    asyncio.run(pair())
    assert [len(x) for x in watched.batches] == [2] * 6


def test_a_batch_waits_at_most_the_delay() -> None:
    async def leaving() -> float:
        async with batching(Watched(), BatchSettings(delay=0.05)) as batcher:
            await asyncio.gather(*(batcher.call(row(i)) for i in range(1, 9)))
            started = time.perf_counter()
            await batcher.call(row(1))
            return time.perf_counter() - started

    assert 0.04 < quickest(lambda: asyncio.run(leaving()), 2) < 2


def test_an_error_affects_only_its_own_call() -> None:
    watched = Watched()

    async def many() -> list[Any]:
        async with batching(watched) as batcher:
            values = [1, BAD, 2, 3, BAD]
            futures = [ask(batcher, row(value)) for value in values]
            first = await asyncio.gather(*futures, return_exceptions=True)
            return [*first, await batcher.call(row(4))]

    answers = asyncio.run(many())
    assert [isinstance(a, ArithmeticError) for a in answers] == [
        False,
        True,
        False,
        False,
        True,
        False,
    ]
    assert [answers[i].item() for i in (0, 2, 3, 5)] == [2, 3, 4, 5]


def test_a_long_call_that_fails_in_one_batch_fails_whole_and_once() -> None:
    watched = Watched()

    async def many() -> None:
        async with batching(watched, BatchSettings(rows=2, delay=0)) as batcher:
            x = np.array([[1.0], [2.0], [BAD], [4.0], [5.0], [6.0], [7.0]])
            future, other = ask(batcher, x), ask(batcher, np.array([[50.0]]))
            with pytest.raises(ArithmeticError):
                await future
            assert (await other).item() == 51
            assert batcher.waiting == 0

    asyncio.run(many())
    assert not {6.0, 7.0} & set(watched.rows), "what nobody waits for is not computed"


def test_cancelled_calls_are_dropped() -> None:
    watched = Watched()

    async def many() -> None:
        async with batching(watched) as batcher:
            async with blocked(watched, batcher):
                callers = [ask(batcher, row(i)) for i in (1, 2, 3)]
                await asyncio.sleep(0)
                assert batcher.waiting == 3
                callers[1].cancel()
                await asyncio.sleep(0.01)
                assert batcher.waiting == 2
            assert [(await callers[i]).item() for i in (0, 2)] == [2, 4]
            assert callers[1].cancelled()

    asyncio.run(many())
    assert watched.rows == [99, 1, 3]


def test_a_batch_without_calls_is_not_computed() -> None:
    watched = Watched()

    async def many() -> None:
        async with batching(watched) as batcher:
            futures = [ask(batcher, row(i)) for i in (1, 2)]
            await asyncio.sleep(0)
            assert batcher.waiting == 2
            for future in futures:
                future.cancel()
            await asyncio.sleep(0.01)
            assert watched.batches == []
            assert (await batcher.call(row(3))).item() == 4

    asyncio.run(asyncio.wait_for(many(), timeout=PATIENCE))


def test_a_full_queue_refuses_calls_with_retry_after() -> None:
    watched = Watched()

    async def many() -> None:
        async with batching(watched, BatchSettings(rows=4, delay=0, queue_rows=10)) as batcher:
            async with blocked(watched, batcher):
                kept = [ask(batcher, np.ones((6, 2))), ask(batcher, np.ones((4, 2)))]
                await asyncio.sleep(0)
                with pytest.raises(ProblemError) as caught:
                    await batcher.call(row(1))
                kept[1].cancel()
                await asyncio.sleep(0)
                kept[1] = ask(batcher, np.ones((4, 2)))
                await asyncio.sleep(0)
                assert batcher.waiting == 10
            await asyncio.gather(*kept)
            await batcher.call(row(1))
        problem = caught.value.problem
        assert (problem.status, problem.code) == (429, "busy")
        assert "10 of 10 rows already wait" in problem.detail
        assert caught.value.headers["Retry-After"] == "1"

    asyncio.run(many())


def test_an_empty_queue_takes_a_call_of_any_length() -> None:
    async def one() -> Rows:
        async with batching(Watched(), BatchSettings(rows=4, queue_rows=2)) as batcher:
            return await batcher.call(np.ones((9, 2)))

    assert asyncio.run(one()).shape == (9, 1)


def test_closing_fails_the_waiting_calls() -> None:
    watched = Watched()

    async def many() -> None:
        batcher = Batcher(watched, AT_ONCE)
        watched.may_go_on.clear()
        computed = ask(batcher, row(1))
        await asyncio.sleep(0.01)
        waiting = ask(batcher, row(2))
        ending = asyncio.ensure_future(batcher.end())
        for future in (computed, waiting):
            with pytest.raises(ProblemError) as caught:
                await future
            assert caught.value.problem.code == "not-ready"
        watched.may_go_on.set()
        await ending
        with pytest.raises(ProblemError):
            await batcher.call(row(3))
        await batcher.end()

    asyncio.run(many())


def test_the_function_runs_in_one_separate_thread() -> None:
    threads: list[str] = []
    inside = threading.Lock()

    def function(x: Rows) -> Rows:
        assert inside.acquire(blocking=False)
        threads.append(threading.current_thread().name)
        time.sleep(1e-3)
        inside.release()
        return x

    async def many() -> None:
        async with batching(function, BatchSettings(rows=2, delay=0), name="inertia/3") as batcher:
            await asyncio.gather(*(batcher.call(row(i)) for i in range(9)))

    asyncio.run(many())
    assert set(threads) == {"inertia/3_0"}
    assert not [t for t in threading.enumerate() if t.name.startswith("inertia/3")]


def test_a_batch_does_not_block_the_event_loop() -> None:
    async def many() -> float:
        async with batching(_sleepy) as batcher:
            future = ask(batcher, row(1))
            longest, last = 0.0, time.perf_counter()
            while not future.done():
                await asyncio.sleep(1e-3)
                now = time.perf_counter()
                longest, last = max(longest, now - last), now
            return longest

    assert quickest(lambda: asyncio.run(many()), 0.15) < 0.15


def _sleepy(x: Rows) -> Rows:
    time.sleep(0.3)
    return x


def test_the_observer_gets_the_rows_of_each_batch() -> None:
    told: list[int] = []

    async def many() -> None:
        async with batching(
            Watched(), BatchSettings(rows=4, delay=0), observe=told.append
        ) as batcher:
            await asyncio.gather(*(batcher.call(row(i)) for i in range(1, 8)))

    asyncio.run(many())
    assert told == [4, 3]


def test_under_load_from_many_callers_batches_fill() -> None:
    async def caller(batcher: Batcher) -> None:
        for _ in range(50):
            await batcher.call(row(1))

    async def many() -> list[int]:
        told: list[int] = []
        async with batching(Watched(), BatchSettings(), observe=told.append) as batcher:
            await asyncio.gather(*(caller(batcher) for _ in range(64)))
        assert sum(told) == 64 * 50
        return told

    # a batch waits for a moment, in which a busy machine may stop all callers
    assert in_one_of([lambda: bool(np.mean(asyncio.run(many())) > 50)] * 5)
