"""The far tiers of the store, asked for pages. Workers and jobs use their own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from functools import cached_property

from intertwine_cache import Chain, Places, Store, open_store
from intertwine_cache.explanation import TierAnswer, ask_far
from intertwine_cache.tiers.tier import Tier

_SECONDS = 3.0  # for all tiers together
_AT_ONCE = 4  # requests to one tier: those that hang keep their threads


class FarTiers:
    """The far tiers at some addresses, nearest first. Their clients are made when first needed."""

    def __init__(self, store: Store, addresses: tuple[str, ...]) -> None:
        self._store, self.addresses = store, addresses
        self._slots = [threading.BoundedSemaphore(_AT_ONCE) for _ in addresses]

    @cached_property
    def _chain(self) -> Chain | None:
        found = open_store(Places(self._store.layout.root, self.addresses))
        return found if isinstance(found, Chain) else None

    @property
    def tiers(self) -> list[Tier]:
        """The tiers. The address of each has no secrets."""
        return [] if self._chain is None else [tier for tier, _ in self._chain.tiers]

    def ask(self, key: str, seconds: float = _SECONDS) -> list[TierAnswer]:
        """Ask all tiers at once whether they have a key. Tiers that are late have no answer."""
        started = [self._start(number, tier, key) for number, tier in enumerate(self.tiers)]
        give_up = time.monotonic() + seconds
        return [
            _result(tier, answer, max(0.0, give_up - time.monotonic()), seconds)
            for tier, answer in zip(self.tiers, started, strict=True)
        ]

    def _start(self, number: int, tier: Tier, key: str) -> Future[TierAnswer]:
        """Ask a tier in a thread of its own, because a request to it may never end."""
        assert self._chain is not None
        keyring, slot = self._chain.keyring, self._slots[number]
        answer: Future[TierAnswer] = Future()
        if not slot.acquire(blocking=False):
            reason = f"{_AT_ONCE} earlier requests wait for its answer: try again later"
            answer.set_result(TierAnswer(tier.address, "is not asked", reason))
            return answer

        def ask() -> None:
            try:
                answer.set_result(ask_far(tier, key, keyring))
            except Exception as error:  # raised again where the answer is waited for
                answer.set_exception(error)
            finally:
                slot.release()

        threading.Thread(target=ask, name=f"ask {tier.address}", daemon=True).start()
        return answer


def _result(tier: Tier, answer: Future[TierAnswer], wait: float, seconds: float) -> TierAnswer:
    try:
        return answer.result(wait)
    except TimeoutError:
        reason = f"it did not answer in {seconds:g} seconds"
        return TierAnswer(tier.address, "does not answer", reason)
