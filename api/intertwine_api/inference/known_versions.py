"""Which version a name means: what the database said a moment ago."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from intertwine_api.models import Version

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
