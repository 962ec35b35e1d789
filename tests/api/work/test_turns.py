"""Turns at a few places, by owner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine_api.work.turns import Turn, Turns


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2):
            await scenario()

    asyncio.run(bounded())


def asked(
    turns: Turns[str], owner: str | None, *, is_long: bool = False
) -> asyncio.Task[Turn[str]]:
    return asyncio.create_task(turns.take({owner}, is_long=is_long))


class TestShares:
    def test_an_owner_has_at_most_its_share_of_the_long_places(self) -> None:
        async def scenario() -> None:
            turns = Turns(["a", "b"], [], share=1)
            first, second = asked(turns, "ann"), asked(turns, "ann")
            await asyncio.sleep(0)
            assert (first.done(), second.done()) == (True, False)
            assert (await turns.take({"bob"}, is_long=True)).place == "b"
            turns.leave(await first)
            assert (await second).place == "a"

        run(scenario)

    def test_without_keys_one_takes_every_place(self) -> None:
        async def scenario() -> None:
            turns = Turns(["a", "b"], [], share=1)
            places = [(await turns.take({None}, is_long=True)).place for _ in range(2)]
            assert places == ["a", "b"]

        run(scenario)

    def test_many_of_one_owner_do_not_delay_another(self) -> None:
        async def scenario() -> None:
            turns = Turns(["a"], [], share=1)
            held = await turns.take({"ann"}, is_long=True)
            flood = [asked(turns, "ann") for _ in range(50)]
            await asyncio.sleep(0)
            late = asked(turns, "bob")
            await asyncio.sleep(0)
            turns.leave(held)
            assert (await late).owner == "bob"
            assert not any(task.done() for task in flood)
            for task in flood:
                task.cancel()

        run(scenario)

    def test_owners_take_turns(self) -> None:
        async def scenario() -> None:
            turns = Turns(["a"], [], share=1)
            order = []

            async def work(owner: str) -> None:
                turn = await turns.take({owner}, is_long=True)
                order.append(owner)
                await asyncio.sleep(0)
                turns.leave(turn)

            await asyncio.gather(*(work(owner) for owner in "aaabbbccc"))
            assert "".join(order) == "abcabcabc"

        run(scenario)


class TestATaskOfSeveralOwners:
    def test_gets_the_earliest_turn_of_any_and_counts_in_that_share(self) -> None:
        async def scenario() -> None:
            turns = Turns(["a"], [], share=1)
            held = await turns.take({"ann"}, is_long=True)
            flood = [asked(turns, "ann") for _ in range(5)]
            owners: set[str | None] = {"ann"}
            shared = asyncio.create_task(turns.take(owners, is_long=True))
            other = asked(turns, "ann")
            await asyncio.sleep(0)
            owners.add("bob")
            turns.look()
            turns.leave(held)
            assert (await shared).owner == "bob"
            turns.leave(await shared)
            assert (await flood[0]).owner == "ann"
            for task in (*flood, other):
                task.cancel()

        run(scenario)

    def test_gets_a_free_place_when_an_owner_with_a_share_joins(self) -> None:
        async def scenario() -> None:
            turns = Turns(["a", "b"], [], share=1)
            await turns.take({"ann"}, is_long=True)
            owners: set[str | None] = {"ann"}
            shared = asyncio.create_task(turns.take(owners, is_long=True))
            await asyncio.sleep(0.01)
            assert not shared.done()
            owners.add("bob")
            turns.look()
            assert (await shared).place == "b"

        run(scenario)

    def test_gets_no_turn_of_an_owner_who_has_left(self) -> None:
        async def scenario() -> None:
            turns = Turns(["a", "b"], [], share=1)
            held = await turns.take({"bob"}, is_long=True)
            owners: set[str | None] = {"ann", "bob"}
            await turns.take({"cem"}, is_long=True)
            shared = asyncio.create_task(turns.take(owners, is_long=True))
            await asyncio.sleep(0)
            owners.remove("bob")
            turns.leave(held)
            assert (await shared).owner == "ann"

        run(scenario)


class TestShortTurns:
    def test_one_is_given_where_no_long_place_is_free(self) -> None:
        async def scenario() -> None:
            turns = Turns(["long"], ["short"], share=1)
            assert not (await turns.take({"ann"}, is_long=False)).is_short
            short = await turns.take({"bob"}, is_long=False)
            assert (short.place, short.is_short) == ("short", True)

        run(scenario)

    def test_work_that_needs_a_long_place_waits_for_it(self) -> None:
        async def scenario() -> None:
            turns = Turns(["long"], ["short"], share=1)
            held = await turns.take({"ann"}, is_long=True)
            waiting = asked(turns, "bob", is_long=True)
            await asyncio.sleep(0.01)
            assert not waiting.done()
            turns.leave(held)
            assert (await waiting).place == "long"

        run(scenario)


class TestWhoLeaves:
    def test_a_place_that_is_given_to_one_who_leaves_is_free_again(self) -> None:
        async def scenario() -> None:
            turns = Turns(["a"], [], share=1)
            held = await turns.take({"ann"}, is_long=True)
            leaving, staying = asked(turns, "bob"), asked(turns, "cem")
            await asyncio.sleep(0)
            turns.leave(held)  # gives the place to bob ...
            leaving.cancel()  # ... who leaves before he knows
            assert (await staying).owner == "cem"
            with pytest.raises(asyncio.CancelledError):
                await leaving

        run(scenario)

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["ann", "bob", None]), st.booleans(), st.integers(0, 3)),
            max_size=30,
        ),
        st.integers(1, 3),
        st.integers(0, 2),
    )
    def test_no_place_is_lost_or_given_twice(
        self, works: list[tuple[str | None, bool, int]], long: int, short: int
    ) -> None:
        async def scenario() -> None:
            turns = Turns(
                [f"long {i}" for i in range(long)], [f"short {i}" for i in range(short)], 1
            )
            taken: set[str] = set()

            async def work(owner: str | None, is_long: bool, steps: int) -> None:
                turn = await turns.take({owner}, is_long=is_long)
                assert turn.place not in taken
                taken.add(turn.place)
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    taken.remove(turn.place)
                    turns.leave(turn)

            tasks = [asyncio.create_task(work(*each)) for each in works]
            for i, task in enumerate(tasks):
                if i % 3 == 2:
                    await asyncio.sleep(0)
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            again = [asked(turns, None, is_long=True) for _ in range(long)]
            more = [asked(turns, None) for _ in range(short)]
            assert len({(await task).place for task in (*again, *more)}) == long + short

        run(scenario)


class TestABarredOwner:
    def test_gets_no_short_place_until_the_time_is_over(self) -> None:
        async def scenario() -> None:
            turns = Turns([], ["short"], share=1)
            turns.bar("ann", 0.2)
            hers = asked(turns, "ann")
            await asyncio.sleep(0.05)
            assert not hers.done()
            his = await turns.take({"bob"}, is_long=False)
            turns.leave(his)
            assert (await hers).place == "short"

        run(scenario)

    def test_is_barred_for_the_longest_time_that_was_said(self) -> None:
        async def scenario() -> None:
            turns = Turns([], ["short"], share=1)
            turns.bar("ann", 0.05)
            turns.bar("ann", 0.3)
            hers = asked(turns, "ann")
            await asyncio.sleep(0.15)
            assert not hers.done()
            assert (await hers).is_short

        run(scenario)
