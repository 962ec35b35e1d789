"""A chain of tiers: a near folder, and far tiers that others share."""

from __future__ import annotations

import atexit
import logging
import math
import queue
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intertwine_cache.manifest import Manifest
from intertwine_cache.signing import Keyring
from intertwine_cache.store import Store, Write
from intertwine_cache.tiers.statistics import TierStatistics, add_statistics
from intertwine_cache.tiers.tier import Tier, TierError

_LOG = logging.getLogger("intertwine.cache")

PATIENCE_SECONDS = 0.4
"""The longest that a solve waits for a far tier to say whether it has a key."""
EXPECTED_SECONDS = 10.0
"""The same for a key that another host has just published."""
SLOW_SECONDS = 0.1
"""A far tier whose last answers all took longer is not asked if a solve takes milliseconds."""
PAUSE_SECONDS = 30.0
"""How long a tier that failed is skipped, at first; twice as long after each further failure."""
LONGEST_PAUSE_SECONDS = 600.0
BLOB_SECONDS, SLOWEST = 5.0, 2**20
"""A blob may take this many seconds, and one more second for each of this many bytes."""
MISS_SECONDS = 60.0
"""How long a far tier is not asked again for a key that it did not have."""
FINISH_SECONDS = 20.0
"""The longest that a process waits at its end for uploads to far tiers."""
_REMEMBERED = 10_000
_WAITING_UPLOADS = 1_000
_PIECES_AHEAD = 4  # of a megabyte or more, read before they are written
_LAST_ANSWERS = 3
_LONGEST_SOLVE = 1e8  # seconds; a manifest that claims more is not believed


class Health:
    """Whether a tier is asked: after a failure it is skipped for a while (a circuit breaker)."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address, self._clock = address, clock
        self._failures, self._until = 0, float("-inf")
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._seconds: deque[float] = deque(maxlen=_LAST_ANSWERS)
        self._answered = float("-inf")
        self.reason = ""
        """Why the tier is skipped, or was skipped last."""

    @property
    def is_paused(self) -> bool:
        """Whether the tier is skipped now."""
        return self._clock() < self._until

    @property
    def is_failing(self) -> bool:
        """Whether the last request to the tier failed."""
        return self._failures > 0

    @property
    def paused_seconds(self) -> float:
        """The seconds until the tier is asked again; zero if it is not skipped."""
        return max(0.0, self._until - self._clock())

    def fail(self, reason: str) -> None:
        """Skip the tier for a while."""
        pause = min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2**self._failures)
        self._failures, self.reason = min(self._failures + 1, 10), reason
        self._until = self._clock() + pause
        _LOG.warning("%s is skipped for %.0f seconds: %s", self._address, pause, reason)

    def succeed(self) -> None:
        """Note that the tier works: this ends a pause."""
        self._failures, self._until = 0, float("-inf")

    def answer(self, seconds: float) -> None:
        """Note how many seconds the tier took to answer whether it has a key."""
        self.succeed()
        self._seconds.append(seconds)
        self._answered = self._clock()

    @property
    def is_slow(self) -> bool:
        """Whether all of the last answers took long, and the latest one is recent."""
        is_recent = self._clock() < self._answered + MISS_SECONDS
        are_all = len(self._seconds) == _LAST_ANSWERS and min(self._seconds) > SLOW_SECONDS
        return is_recent and are_all

    def miss(self, key: str, seconds: float = MISS_SECONDS) -> None:
        """Note that the tier has no usable entry of a key; do not ask again for some seconds."""
        self._missing[key] = self._clock() + seconds
        while len(self._missing) > _REMEMBERED:
            self._missing.popitem(last=False)

    def forget_miss(self, key: str) -> None:
        """Ask the tier for a key again, unless its entry was refused."""
        if self._missing.get(key) != math.inf:
            self._missing.pop(key, None)

    def misses(self, key: str) -> bool:
        """Return whether the tier did not have a key a moment ago."""
        return self._clock() < self._missing.get(key, float("-inf"))


@dataclass
class _Far:
    tier: Tier
    health: Health
    counts: TierStatistics = field(default_factory=TierStatistics)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def count(self, **more: float) -> None:
        """Add to the counts."""
        with self._mutex:
            self.counts += TierStatistics(**more)  # type: ignore[arg-type] # counts are whole

    def fail(self, reason: str) -> None:
        """Skip the tier for a while."""
        self.count(failures=1)
        self.health.fail(reason)

    def reject(self, key: str, error: ValueError) -> None:
        """Note that the tier's entry of a key cannot be used, for the life of this process."""
        self.count(refused=1)
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
        self._save_once = threading.Lock()
        self._expected: str | None = None

    @property
    def name(self) -> str:
        """The near folder, as text."""
        return self.near.name

    @property
    def folder(self) -> Path:
        """The near folder."""
        return self.near.folder

    @property
    def tiers(self) -> list[tuple[Tier, Health]]:
        """The far tiers, nearest first, with their health."""
        return [(far.tier, far.health) for far in self._far]

    def statistics(self) -> dict[str, TierStatistics]:
        """Return what this process has counted, by the address of the tier."""
        return {far.tier.address: far.counts for far in self._far}

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
        if found is not None and found[0].is_basis:
            self._share(key, self._far)
        return found

    def fetch(
        self,
        key: str,
        accept: Callable[[Path, bool], None],
        most_bytes: int,
        is_quick: Callable[[], bool] = lambda: False,
    ) -> tuple[Manifest, Path, str] | None:
        """Return the first accepted far entry of a key, now in the near store, and its tier.

        `accept` gets the file and whether a trusted key has signed its manifest, and raises
        `ValueError` to refuse it. A blob larger than `most_bytes` is refused before it is read. If
        the near disk cannot keep the file, it is a miss. `is_quick` says whether a solve would take
        milliseconds: then slow tiers are not asked.
        """
        if self._save_once.acquire(blocking=False):
            atexit.register(lambda: add_statistics(self.near.layout, self.statistics()))
        is_expected = key == self._expected
        if is_expected:
            self._expected = None
        for place, far in enumerate(self._far):
            if far.health.is_slow and not is_expected and is_quick():
                continue
            begun = time.monotonic()
            try:
                manifest = _ask(far, key, is_expected=is_expected)
                if manifest is None:
                    continue
                found = self._take(far.tier, manifest, accept, most_bytes)
            except TierError as error:
                far.fail(str(error))
            except ValueError as error:  # refused, or without its digest
                far.reject(key, error)
            except OSError as error:
                _LOG.warning("cannot write to %s: %s", self.near.name, error)
                return None
            else:
                saved = _solve_seconds(manifest) - (time.monotonic() - begun)
                far.count(hits=1, bytes=manifest.size, seconds_saved=saved)
                self._share(key, self._far[:place])
                return *found, far.tier.address
            finally:
                far.count(seconds=time.monotonic() - begun)
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

    def ask_again(self, key: str, *, is_expected: bool = False) -> None:
        """Forget that tiers did not have a key, because another host may have solved it meanwhile.

        With `is_expected`, another host has solved it: then the next `fetch` also asks tiers that
        are skipped, and waits longer for them.
        """
        for far in self._far:
            far.health.forget_miss(key)
        if is_expected:
            self._expected = key

    def is_uploading(self, key: str) -> bool:
        """Return whether an upload of a key has not ended."""
        return self._uploads.is_uploading(key)

    def finish(self, seconds: float = FINISH_SECONDS, key: str | None = None) -> bool:
        """Wait for the uploads to far tiers, or for those of one key. Return whether they ended."""
        return self._uploads.finish(seconds, key)

    def _share(self, key: str, among: Sequence[_Far]) -> None:
        for far in among:
            if far.tier.is_writable and not far.health.is_paused:
                self._uploads.add(key, far)

    def _upload(self, key: str, far: _Far) -> None:
        found = self.near.read(key)
        if found is None or far.health.is_paused or not far.tier.is_writable:
            return
        manifest, blob = found
        try:
            far.tier.publish(self.keyring.sign(manifest), blob)
            far.health.succeed()
        except TierError as error:
            far.health.fail(str(error))
        except ValueError as error:  # the near blob is not what its manifest says
            _LOG.warning("%s is not uploaded to %s: %s", key, far.tier.address, error)


def _ask(far: _Far, key: str, *, is_expected: bool) -> Manifest | None:
    """Return a far tier's manifest of a key; None if it has none, or does not answer in time.

    A late answer still counts for the next key: it ends the pause.
    """
    if far.health.misses(key) or (far.health.is_paused and not is_expected):
        return None
    patience = EXPECTED_SECONDS if is_expected else PATIENCE_SECONDS
    answer: Future[Manifest | None] = Future()

    def ask() -> None:
        begun = time.monotonic()
        try:
            found = far.tier.manifest(key)
        except (TierError, ValueError) as error:
            answer.set_exception(error)
        else:
            far.health.answer(time.monotonic() - begun)
            answer.set_result(found)

    threading.Thread(target=ask, name=f"ask {far.tier.address}", daemon=True).start()
    try:
        manifest = answer.result(patience)
    except TimeoutError:
        far.fail(f"it did not answer in {patience:g} seconds")
        return None
    except TierError as error:
        far.fail(str(error))
        return None
    except ValueError as error:
        far.reject(key, error)
        return None
    if manifest is None:
        far.count(misses=1)
        far.health.miss(key)
    return manifest


def _solve_seconds(manifest: Manifest) -> float:
    """Return how many seconds the solve of a manifest took; 0 if the manifest does not say."""
    certificate = manifest.details.get("certificate")
    seconds = certificate.get("seconds") if isinstance(certificate, Mapping) else None
    is_time = isinstance(seconds, int | float) and 0 <= seconds < _LONGEST_SOLVE
    return float(seconds) if is_time else 0.0  # type: ignore[arg-type] # checked


def _read_in_time(tier: Tier, manifest: Manifest, write: Write) -> None:
    """Read a blob. Raises `TierError` if it arrives too slowly to be worth waiting for.

    A thread of its own reads it, because a read of a network disk may never return.
    """
    pieces: queue.Queue[bytes | memoryview | Exception | None] = queue.Queue(_PIECES_AHEAD)
    is_given_up = threading.Event()

    def put(piece: bytes | memoryview | Exception | None) -> None:
        while not is_given_up.is_set():
            with suppress(queue.Full):
                pieces.put(piece, timeout=1.0)
                return
        raise TierError(f"{tier.address}: nobody waits for the blob any more")

    def read() -> None:
        end: Exception | None = None
        try:
            tier.read(manifest, put)
        except Exception as error:  # raised again where the blob is waited for
            is_of_disk = isinstance(error, OSError) and not isinstance(error, TierError)
            end = TierError(f"{tier.address}: {error}") if is_of_disk else error
        with suppress(TierError):
            put(end)

    threading.Thread(target=read, name=f"read {tier.address}", daemon=True).start()
    give_up = time.monotonic() + BLOB_SECONDS + manifest.size / SLOWEST
    try:
        while (piece := pieces.get(timeout=max(0.0, give_up - time.monotonic()))) is not None:
            if isinstance(piece, Exception):
                raise piece
            write(piece)
    except queue.Empty:
        message = f"{tier.address}: a blob of {manifest.size:,} bytes arrives too slowly"
        raise TierError(message) from None
    finally:
        is_given_up.set()


class _Uploads:
    """Uploads in the background, one after the other, and a bounded wait for them at exit."""

    def __init__(self, upload: Callable[[str, _Far], None]) -> None:
        self._upload = upload
        self._waiting: queue.Queue[tuple[str, _Far]] = queue.Queue(_WAITING_UPLOADS)
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._idle = threading.Condition()
        self._unfinished: Counter[str] = Counter()

    def add(self, key: str, far: _Far) -> None:
        """Upload a key to a tier soon; drop it, with a warning, if too many are waiting."""
        with self._idle:
            self._unfinished[key] += 1
        try:
            self._waiting.put_nowait((key, far))
        except queue.Full:
            self._done(key)
            _LOG.warning("%s does not get %s: too many uploads are waiting", far.tier.address, key)
            return
        with self._mutex:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)
                self._thread.start()
                atexit.register(self._finish_or_say)

    def is_uploading(self, key: str) -> bool:
        """Return whether an upload of a key has not ended."""
        with self._idle:
            return key in self._unfinished

    def finish(self, seconds: float, key: str | None = None) -> bool:
        """Wait for all uploads, or for those of one key. Return whether they ended."""

        def is_over() -> bool:
            return not self._unfinished if key is None else key not in self._unfinished

        with self._idle:
            return self._idle.wait_for(is_over, seconds)

    def _work(self) -> None:
        while True:
            key, far = self._waiting.get()
            try:
                self._upload(key, far)
            except Exception:  # one upload must not end those after it
                _LOG.exception("the upload of %s to %s failed", key, far.tier.address)
            finally:
                self._done(key)

    def _done(self, key: str) -> None:
        with self._idle:
            self._unfinished[key] -= 1
            if not self._unfinished[key]:
                del self._unfinished[key]
            self._idle.notify_all()

    def _finish_or_say(self) -> None:
        if not self.finish(FINISH_SECONDS):
            _LOG.warning(
                "%d bases were not uploaded within %.0f seconds: they stay in the near folder",
                len(self._unfinished),
                FINISH_SECONDS,
            )
