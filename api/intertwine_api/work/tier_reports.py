"""What workers report about the far tiers of the store: their counts, and whether they are asked.

Only workers and jobs ask far tiers. A worker sends a report with the end of each task.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from intertwine_cache import Chain, TierStatistics
from intertwine_cache.chain import MISS_SECONDS

#: The counts of far tiers, by address.
TierCounts = Mapping[str, TierStatistics]


@dataclass(frozen=True)
class TierReport:
    """What one worker says of one far tier at a time, in Unix time.

    `counts` are those since the worker started. `reason` is why its last request failed; empty if
    it did not. Then the tier is skipped until `paused_until`.
    """

    at: float
    counts: TierStatistics
    paused_until: float
    reason: str
    is_slow: bool

    @property
    def is_answered(self) -> bool:
        """Whether the last request of the worker was answered, if there was one."""
        return self.counts != TierStatistics() and not self.reason

    def is_paused(self, now: float) -> bool:
        """Return whether the worker skips the tier."""
        return now < self.paused_until

    def skips_quick_solves(self, now: float) -> bool:
        """Return whether the worker asks the tier only for solves that take longer than it does."""
        return self.is_slow and now < self.at + MISS_SECONDS


def reports_of(chain: Chain) -> dict[str, Any]:
    """Return the reports of this process as JSON, by address."""
    now, counts = time.time(), chain.statistics()
    reports = {
        tier.address: TierReport(
            at=now,
            counts=counts[tier.address],
            paused_until=now + health.paused_seconds,
            reason=health.reason if health.is_failing else "",
            is_slow=health.is_slow,
        )
        for tier, health in chain.tiers
    }
    return {address: asdict(report) for address, report in reports.items()}


def read_reports(document: Mapping[str, Any]) -> dict[str, TierReport]:
    """Return the reports in the JSON of `reports_of`."""
    return {
        address: TierReport(**{**fields, "counts": TierStatistics(**fields["counts"])})
        for address, fields in document.items()
    }


def counts_of(reports: Mapping[str, TierReport]) -> TierCounts:
    """Return the counts in reports."""
    return {address: report.counts for address, report in reports.items()}


def sum_counts(found: Iterable[TierCounts]) -> dict[str, TierStatistics]:
    """Return the sums of counts."""
    sums: dict[str, TierStatistics] = {}
    for counts in found:
        for address, more in counts.items():
            sums[address] = sums.get(address, TierStatistics()) + more
    return sums
