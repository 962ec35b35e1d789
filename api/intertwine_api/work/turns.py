"""Fair scheduling: waiting tasks get a few places, with turns among their owners."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_Place = TypeVar("_Place")


@dataclass(frozen=True)
class Turn(Generic[_Place]):
    """A place in use, which counts in the share of `owner`.

    Work in a short place must end soon, or start again in a long one.
    """

    place: _Place
    owner: str | None
    is_short: bool


@dataclass
class _Waiting(Generic[_Place]):
    owners: Collection[str | None]
    order: int
    is_long: bool
    given: asyncio.Future[Turn[_Place]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Turns(Generic[_Place]):
    """Places for long work, at most `share` for one owner, and places for short work.

    A free place goes to the owner with the fewest places; among equals, to the owner whose last
    turn is longest ago; and for one owner, to its first waiting task. The owner None has no share:
    it may use every place. A task of several owners waits in the turns of all, and its place counts
    in the share of the owner whose turn came first. If no long place is available, work that may
    end quickly gets a short place, so that it does not wait for long work.
    """

    def __init__(self, long: Sequence[_Place], short: Sequence[_Place], share: int) -> None:
        self._long, self._short, self._share = list(long), list(short), share
        self._waiting: list[_Waiting[_Place]] = []
        self._held: Counter[str | None] = Counter()
        self._held_long: Counter[str | None] = Counter()
        self._last: dict[str | None, int] = {}
        self._barred: dict[str | None, float] = {}
        self._count = 0

    def bar(self, owner: str | None, seconds: float) -> None:
        """Refuse short places to an owner for some seconds, because its work in one did not end."""
        loop = asyncio.get_running_loop()
        self._barred[owner] = loop.time() + seconds
        loop.call_later(seconds, self._unbar, owner)

    def _unbar(self, owner: str | None) -> None:
        if self._barred.get(owner, 0.0) <= asyncio.get_running_loop().time():
            self._barred.pop(owner, None)
            self._give()

    async def take(self, owners: Collection[str | None], *, is_long: bool) -> Turn[_Place]:
        """Wait for a place: a long one if `is_long`, else any.

        `owners` may change while the task waits; call `look` afterwards.
        """
        self._count += 1
        waiting: _Waiting[_Place] = _Waiting(owners, self._count, is_long)
        self._waiting.append(waiting)
        self._give()
        try:
            return await waiting.given
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.given.cancelled():  # a place was given at the same moment
                self.leave(waiting.given.result())
            raise

    def look(self) -> None:
        """Give free places to tasks whose owners have changed."""
        self._give()

    def leave(self, turn: Turn[_Place]) -> None:
        """Release a place."""
        self._held[turn.owner] -= 1
        if turn.is_short:
            self._short.append(turn.place)
        else:
            self._held_long[turn.owner] -= 1
            self._long.append(turn.place)
        self._give()

    def _give(self) -> None:
        for places, is_short in ((self._long, False), (self._short, True)):
            while places and (found := self._next(is_short=is_short)) is not None:
                waiting, owner = found
                self._waiting.remove(waiting)
                self._count += 1
                self._last[owner] = self._count
                self._held[owner] += 1
                self._held_long[owner] += not is_short
                waiting.given.set_result(Turn(places.pop(0), owner, is_short))

    def _next(self, *, is_short: bool) -> tuple[_Waiting[_Place], str | None] | None:
        """Return the task that is next, and the owner in whose turn."""
        able = [
            (each, owner)
            for each in self._waiting
            if not (each.given.done() or (is_short and each.is_long))
            for owner in each.owners
            if (owner not in self._barred if is_short else self._has_share(owner))
        ]
        return min(able, key=self._rank, default=None)

    def _has_share(self, owner: str | None) -> bool:
        return owner is None or self._held_long[owner] < self._share

    def _rank(self, candidate: tuple[_Waiting[_Place], str | None]) -> tuple[int, int, int]:
        waiting, owner = candidate
        return self._held[owner], self._last.get(owner, 0), waiting.order
