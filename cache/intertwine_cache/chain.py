"""A chain of tiers: a near folder, and far tiers that others share."""

from __future__ import annotations

import atexit
import logging
import math
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intertwine_cache.manifest import Manifest
from intertwine_cache.signing import Keyring
from intertwine_cache.store import Store, Write
from intertwine_cache.tier import Tier, TierError

_LOG = logging.getLogger("intertwine.cache")

PATIENCE_SECONDS = 0.4
"""The longest that a solve waits for a far tier to say whether it has a key."""
PAUSE_SECONDS = 30.0
"""How long a tier that failed is skipped, at first; twice as long after each further failure."""
LONGEST_PAUSE_SECONDS = 600.0
BLOB_SECONDS, SLOWEST = 5.0, 2**20
"""A blob may take this many seconds, and one more for this many bytes."""
MISS_SECONDS = 60.0
"""How long a far tier is not asked again for a key that it did not have."""
FINISH_SECONDS = 20.0
"""The longest that a process waits at its end for uploads to far tiers."""
_REMEMBERED = 10_000
_WAITING_UPLOADS = 1_000


class Health:
    """Whether a tier is asked: after a failure it is skipped for a while (a circuit breaker)."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address, self._clock = address, clock
        self._failures, self._until = 0, float("-inf")
        self._missing: OrderedDict[str, float] = OrderedDict()
        self.reason = ""
        """Why the tier is skipped, or was last."""

    @property
    def is_paused(self) -> bool:
        """Whether the tier is skipped now."""
        return self._clock() < self._until

    def fail(self, reason: str) -> None:
        """Skip the tier for a while."""
        pause = min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2**self._failures)
        self._failures, self.reason = min(self._failures + 1, 10), reason
        self._until = self._clock() + pause
        _LOG.warning("%s is skipped for %.0f seconds: %s", self._address, pause, reason)

    def succeed(self) -> None:
        """Note that the tier answered."""
        self._failures, self._until = 0, float("-inf")

    def miss(self, key: str, seconds: float = MISS_SECONDS) -> None:
        """Note that the tier does not have a key that can be used."""
        self._missing[key] = self._clock() + seconds
        while len(self._missing) > _REMEMBERED:
            self._missing.popitem(last=False)

    def misses(self, key: str) -> bool:
        """Return whether the tier did not have a key a moment ago."""
        return self._clock() < self._missing.get(key, float("-inf"))


@dataclass(frozen=True)
class _Far:
    tier: Tier
    health: Health

    def reject(self, key: str, error: ValueError) -> None:
        """Note that the tier's entry of a key cannot be used, for the life of this process."""
        self.health.miss(key, math.inf)
        _LOG.warning("%s is not taken from %s: %s", key, self.tier.address, error)


class Chain:
    """A near store, and far tiers, nearest first. It is a store itself (`intertwine.bases.store`).

    Reads look in the near store. `fetch` looks in the far tiers and fills the tiers above. What is
    published goes to the near store at once, and to writable far tiers in the background. A tier
    that is slow, unreachable or wrong is skipped for a while: it costs a solve, never an error.
    """

    def __init__(self, near: Store, far: Sequence[Tier], keyring: Keyring) -> None:
        self.near, self.keyring = near, keyring
        self._far = tuple(_Far(tier, Health(tier.address)) for tier in far)
        self._uploads = _Uploads(self._upload)

    @property
    def name(self) -> str:
        """The near folder, as text."""
        return self.near.name

    @property
    def tiers(self) -> list[tuple[Tier, Health]]:
        """The far tiers, nearest first, with their health."""
        return [(far.tier, far.health) for far in self._far]

    def read(self, key: str) -> tuple[Manifest, Path] | None:
        """Return the near store's entry of a key."""
        return self.near.read(key)

    def reject(self, key: str, reason: str) -> None:
        """Remove an entry of the near store."""
        self.near.reject(key, reason)

    def claim(self, key: str) -> AbstractContextManager[None]:
        """Lock a key among the processes of this host."""
        return self.near.claim(key)

    def publish(
        self, key: str, write_to: Callable[[Write], None], details: Mapping[str, Any]
    ) -> tuple[Manifest, Path] | None:
        """Publish in the near store, and in writable far tiers in the background."""
        found = self.near.publish(key, write_to, details)
        if found is not None:
            self._share(key, self._far)
        return found

    def fetch(
        self, key: str, accept: Callable[[Path, bool], None], most_bytes: int
    ) -> tuple[Manifest, Path, str] | None:
        """Return the first accepted far entry of a key, now in the near store, and its tier.

        `accept` gets the file and whether a trusted key has signed its manifest, and raises
        `ValueError` to refuse it. A blob larger than `most_bytes` is refused before it is read. A
        disk that cannot keep the file makes it a miss.
        """
        for place, far in enumerate(self._far):
            manifest = _ask(far, key)
            if manifest is None:
                continue
            try:
                found = self._take(far.tier, manifest, accept, most_bytes)
            except TierError as error:
                far.health.fail(str(error))
            except ValueError as error:  # refused, or without its digest
                far.reject(key, error)
            except OSError as error:
                _LOG.warning("cannot write to %s: %s", self.near.name, error)
                return None
            else:
                self._share(key, self._far[:place])
                return *found, far.tier.address
        return None

    def _take(
        self,
        tier: Tier,
        manifest: Manifest,
        accept: Callable[[Path, bool], None],
        most_bytes: int,
    ) -> tuple[Manifest, Path]:
        """Copy an entry of a far tier to the near store, if it is accepted."""
        if manifest.size > most_bytes:
            raise ValueError(f"{manifest.size:,} bytes are too many for such a basis")
        is_trusted = self.keyring.trusts(manifest)
        return self.near.adopt(
            manifest,
            lambda write: _read_in_time(tier, manifest, write),
            lambda path: accept(path, is_trusted),
        )

    def finish(self, seconds: float = FINISH_SECONDS) -> bool:
        """Wait for the uploads to far tiers. Return whether all have ended."""
        return self._uploads.finish(seconds)

    def _share(self, key: str, among: Sequence[_Far]) -> None:
        for far in among:
            if far.tier.is_writable and not far.health.is_paused:
                self._uploads.add(key, far)

    def _upload(self, key: str, far: _Far) -> None:
        found = self.near.read(key)
        if found is None or far.health.is_paused:
            return
        manifest, blob = found
        try:
            far.tier.publish(self.keyring.sign(manifest), blob)
            far.health.succeed()
        except TierError as error:
            far.health.fail(str(error))


def _ask(far: _Far, key: str) -> Manifest | None:
    """Return a far tier's manifest of a key; None if it has none, or does not answer in time.

    A late answer still counts for the next key: it ends the pause.
    """
    if far.health.is_paused or far.health.misses(key):
        return None
    answer: Future[Manifest | None] = Future()

    def ask() -> None:
        try:
            found = far.tier.manifest(key)
        except (TierError, ValueError) as error:
            answer.set_exception(error)
        else:
            far.health.succeed()
            answer.set_result(found)

    threading.Thread(target=ask, name=f"ask {far.tier.address}", daemon=True).start()
    try:
        manifest = answer.result(PATIENCE_SECONDS)
    except TimeoutError:
        far.health.fail(f"it did not answer in {PATIENCE_SECONDS:g} seconds")
        return None
    except TierError as error:
        far.health.fail(str(error))
        return None
    except ValueError as error:
        far.reject(key, error)
        return None
    if manifest is None:
        far.health.miss(key)
    return manifest


def _read_in_time(tier: Tier, manifest: Manifest, write: Write) -> None:
    """Read a blob. Raises `TierError` if it arrives too slowly to be worth waiting for."""
    begun = time.monotonic()

    def write_in_time(piece: bytes | memoryview) -> None:
        seconds = time.monotonic() - begun
        if seconds > BLOB_SECONDS + manifest.size / SLOWEST:
            raise TierError(f"{tier.address}: a blob of {manifest.size:,} bytes arrives too slowly")
        write(piece)

    tier.read(manifest, write_in_time)


class _Uploads:
    """Uploads in the background, one after the other, and a bounded wait for them at exit."""

    def __init__(self, upload: Callable[[str, _Far], None]) -> None:
        self._upload = upload
        self._waiting: queue.Queue[tuple[str, _Far]] = queue.Queue(_WAITING_UPLOADS)
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._idle = threading.Condition()
        self._unfinished = 0

    def add(self, key: str, far: _Far) -> None:
        """Upload a key to a tier soon; drop it, with a warning, if too many are waiting."""
        with self._idle:
            self._unfinished += 1
        try:
            self._waiting.put_nowait((key, far))
        except queue.Full:
            self._done()
            _LOG.warning("%s does not get %s: too many uploads wait", far.tier.address, key)
            return
        with self._mutex:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)
                self._thread.start()
                atexit.register(self._finish_or_say)

    def finish(self, seconds: float) -> bool:
        """Wait until nothing is left. Return whether nothing is."""
        with self._idle:
            return self._idle.wait_for(lambda: self._unfinished == 0, seconds)

    def _work(self) -> None:
        while True:
            key, far = self._waiting.get()
            try:
                self._upload(key, far)
            except Exception:  # one upload must not end those after it
                _LOG.exception("the upload of %s to %s failed", key, far.tier.address)
            finally:
                self._done()

    def _done(self) -> None:
        with self._idle:
            self._unfinished -= 1
            self._idle.notify_all()

    def _finish_or_say(self) -> None:
        if not self.finish(FINISH_SECONDS):
            _LOG.warning(
                "%d bases were not uploaded within %.0f seconds: they stay in the near folder",
                self._unfinished,
                FINISH_SECONDS,
            )
