from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

import pytest
from intertwine_api.server.inference import VersionCache
from intertwine_api.storage.models import Version
from intertwine_api.wire.problems import Problem, ProblemError

T = TypeVar("T")

VERSION = Version("inertia", 1, "ada", None, {}, "0" * 64, 1, {}, None, True, {}, 0.0)


class Registry:
    """Versions that can be published, and are counted when they are looked up."""

    def __init__(self) -> None:
        self.newest: Version | None = VERSION
        self.looks = 0
        self.now = 0.0

    def find(self, name: str, number: int | None) -> Version:
        self.looks += 1
        if self.newest is None:
            raise ProblemError(Problem.of("not-found", name))
        return self.newest

    def known(self) -> VersionCache:
        return VersionCache(self.find, lambda: self.now)


def run(awaitable: Awaitable[T]) -> T:
    async def inside() -> T:
        return await awaitable

    return asyncio.run(inside())


def test_versions_are_cached_for_some_time() -> None:
    registry = Registry()
    known = registry.known()
    assert [run(known.get("inertia", None)) for _ in range(5)] == [VERSION] * 5
    assert registry.looks == 1
    registry.newest = replace(VERSION, version=2)
    registry.now = 1.5
    assert run(known.get("inertia", None)).version == 2
    assert registry.looks == 2


def test_concurrent_callers_share_one_lookup() -> None:
    registry = Registry()
    known = registry.known()
    run(known.get("inertia", None))
    registry.now = 1.5

    async def many() -> None:
        await asyncio.gather(*(known.get("inertia", None) for _ in range(50)))

    asyncio.run(many())
    assert registry.looks == 2


def test_missing_versions_are_not_cached() -> None:
    registry = Registry()
    registry.newest = None
    known = registry.known()
    for _ in range(2):
        with pytest.raises(ProblemError):
            run(known.get("inertia", None))
    registry.newest = VERSION
    assert run(known.get("inertia", None)) == VERSION


def test_deletions_are_noticed_after_a_second() -> None:
    registry = Registry()
    known = registry.known()
    run(known.get("inertia", 1))
    registry.newest, registry.now = None, 1.5
    with pytest.raises(ProblemError):
        run(known.get("inertia", 1))
    with pytest.raises(ProblemError):
        run(known.get("inertia", 1))


def test_forgotten_versions_are_looked_up_again() -> None:
    registry = Registry()
    known = registry.known()
    run(known.get("inertia", None))
    run(known.get("inertia", 1))
    run(known.get("other", None))
    known.invalidate("inertia")
    run(known.get("other", None))
    assert registry.looks == 3
    run(known.get("inertia", None))
    run(known.get("inertia", 1))
    assert registry.looks == 5
