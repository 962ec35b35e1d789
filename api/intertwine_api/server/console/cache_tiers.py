"""The tiers of the store in words: what they hold, how often they help, and why one is skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intertwine_cache import TierStatistics, read_statistics, require_room
from intertwine_cache.tiers.tier import Tier

from intertwine_api.server.service import Service
from intertwine_api.work.tier_reports import TierReport, sum_counts


@dataclass(frozen=True)
class TierRow:
    """A tier, its state in sentences, and its counts. Those that nobody counts are None."""

    name: str
    state: list[str]
    hits: int
    misses: int
    refused: int
    failures: int | None
    bytes: int
    saved: float | None
    """Seconds."""

    @property
    def hit_rate(self) -> str:
        """The part of the lookups that were hits, in percent; a dash without lookups."""
        lookups = self.hits + self.misses
        return f"{self.hits / lookups:.0%}" if lookups else "–"


@dataclass(frozen=True)
class Filling:
    """How full the store is, in bytes."""

    bytes: int
    limit: int
    free: int
    """Of the disk."""

    @property
    def fraction(self) -> float:
        """The part of the limit that is in use, at most 1."""
        return min(1.0, self.bytes / self.limit) if self.limit else 1.0


def filling_of(service: Service, statistics: dict[str, Any]) -> Filling:
    """Return how full the store is. Raises `OSError` if its folder is gone."""
    free = shutil.disk_usage(service.store.layout.root).free
    return Filling(statistics["bytes"], statistics["limit"], free)


def tier_rows(service: Service, statistics: dict[str, Any]) -> list[TierRow]:
    """Return the tiers, nearest first. It reads the file with the counts of the far ones."""
    counts = sum_counts((read_statistics(service.store.layout), service.pool.tier_counts))
    reports = service.pool.tier_reports
    rows = [_near(service, statistics)]
    for tier in service.far_tiers.tiers:
        found = [each[tier.address] for each in reports if tier.address in each]
        counted = counts.get(tier.address, TierStatistics())
        rows.append(
            TierRow(
                name=tier.address,
                state=state_of(tier, found, time.time()),
                hits=counted.hits,
                misses=counted.misses,
                refused=counted.refused,
                failures=counted.failures,
                bytes=counted.bytes,
                saved=counted.seconds_saved,
            )
        )
    return rows


def _near(service: Service, statistics: dict[str, Any]) -> TierRow:
    lookups = service.metrics.lookup_counts()
    hits = lookups.get("disk", 0)
    try:
        require_room(service.store.layout.root, 0)
        state = ["is on this machine"]
    except OSError as error:
        state = [f"cannot keep new bases: {error.strerror}"]
    return TierRow(
        name=service.store.name,
        state=state,
        hits=hits,
        misses=sum(lookups.values()) - hits,
        refused=statistics["quarantined"],
        failures=None,
        bytes=service.metrics.bytes_of_blobs_sent(),
        saved=None,
    )


def state_of(tier: Tier, reports: Sequence[TierReport], now: float) -> list[str]:
    """Return what workers have last found of a far tier."""
    found = [] if tier.is_writable else ["is read-only"]
    paused = [report for report in reports if report.is_paused(now)]
    failed = [report for report in reports if report.reason]
    slow = sum(report.skips_quick_solves(now) for report in reports)
    if paused:
        last = max(paused, key=lambda report: report.paused_until)
        until = time.strftime("%H:%M:%S", time.gmtime(last.paused_until))
        workers = _of_workers(len(paused), len(reports))
        found.append(f"is skipped by {workers} until {until} UTC: {last.reason}")
    elif failed:
        found.append(f"failed when it was last asked: {failed[-1].reason}")
    elif any(report.is_answered for report in reports):
        found.append("answers")
    else:
        found.append("was not asked since the workers started")
    if slow:
        found.append(f"is slow, so {_of_workers(slow, len(reports))} solve small reps without it")
    return found


def _of_workers(some: int, of: int) -> str:
    return "all workers that have used it" if some == of else f"{some} of {of} workers"
