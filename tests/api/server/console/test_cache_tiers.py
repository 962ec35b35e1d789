"""The state of a far tier in words, from the reports of workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from intertwine_api.server.console.cache_tiers import TierRow, state_of
from intertwine_api.work.tier_reports import TierReport
from intertwine_cache import TierStatistics
from intertwine_cache.tiers.folder import FolderTier

NOW = 1000.0
UNASKED = TierReport(NOW, TierStatistics(), NOW, "", False)
ANSWERED = TierReport(NOW, TierStatistics(misses=1), NOW, "", False)
SLOW = TierReport(NOW, TierStatistics(hits=9), NOW, "", True)
FAILED = TierReport(NOW - 60, TierStatistics(failures=1), NOW - 30, "it is full", False)
PAUSED = TierReport(NOW, TierStatistics(failures=1), NOW + 30, "it is away", False)
NOT_ASKED = "was not asked since the workers started"
SKIPPED = "until 00:17:10 UTC: it is away"


@pytest.mark.parametrize(
    ("reports", "state"),
    [
        ([], [NOT_ASKED]),
        ([UNASKED, UNASKED], [NOT_ASKED]),
        ([UNASKED, ANSWERED], ["answers"]),
        ([ANSWERED, FAILED], ["failed when it was last asked: it is full"]),
        ([ANSWERED, FAILED, PAUSED], [f"is skipped by 1 of 3 workers {SKIPPED}"]),
        ([PAUSED, PAUSED], [f"is skipped by all workers that have used it {SKIPPED}"]),
        (
            [SLOW, ANSWERED],
            ["answers", "is slow, so 1 of 2 workers solve small reps without it"],
        ),
    ],
)
def test_the_state_of_a_tier(tmp_path: Path, reports: list[TierReport], state: list[str]) -> None:
    for is_writable in (True, False):
        tier = FolderTier(tmp_path, is_writable=is_writable, limit=10**9)
        first = [] if is_writable else ["is read-only"]
        assert state_of(tier, reports, NOW) == [*first, *state]


@pytest.mark.parametrize(("hits", "misses", "rate"), [(0, 0, "–"), (0, 1, "0%"), (2, 1, "67%")])
def test_the_hit_rate(hits: int, misses: int, rate: str) -> None:
    assert TierRow("near", [], hits, misses, 0, None, 0, None).hit_rate == rate
