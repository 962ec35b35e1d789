"""The reports of workers on far tiers, through JSON, and their sums."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from helpers.example_stores import key, publish
from helpers.example_tiers import chain
from intertwine_api.work.tier_reports import (
    TierReport,
    counts_of,
    read_reports,
    reports_of,
    sum_counts,
)
from intertwine_cache import Chain, Store, TierStatistics
from intertwine_cache.chain import PAUSE_SECONDS
from intertwine_cache.tiers.folder import FolderTier


def reported(chain: Chain) -> TierReport:
    """The report on the only far tier, as it arrives."""
    (report,) = read_reports(json.loads(json.dumps(reports_of(chain), allow_nan=False))).values()
    return report


def test_a_tier_that_answers(tmp_path: Path) -> None:
    shared = Store(tmp_path / "shared")
    publish(shared, "a", b"content")
    here = chain(tmp_path, FolderTier(shared.layout.root, is_writable=True, limit=10**9))
    assert here.fetch(key("a"), lambda *_: None, 10**9) is not None
    report = reported(here)
    assert (report.counts.hits, report.counts.bytes) == (1, len(b"content"))
    assert not report.is_paused(time.time())
    assert not report.skips_quick_solves(time.time())
    assert counts_of(read_reports(reports_of(here))) == here.statistics()


def test_a_tier_that_fails(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "v1").write_text("a file where the folder should be")
    here = chain(tmp_path, FolderTier(tmp_path / "shared", is_writable=True, limit=10**9))
    assert here.fetch(key("a"), lambda *_: None, 10**9) is None
    report = reported(here)
    assert report.counts.failures == 1
    assert report.is_paused(time.time())
    assert not report.is_paused(time.time() + PAUSE_SECONDS)
    assert "shared" in report.reason


@pytest.mark.parametrize(
    ("is_slow", "later", "skips"), [(True, 59, True), (True, 61, False), (False, 0, False)]
)
def test_a_slow_tier_is_slow_for_a_minute(is_slow: bool, later: float, skips: bool) -> None:
    report = TierReport(1000.0, TierStatistics(), 0.0, "", is_slow)
    assert report.skips_quick_solves(1000.0 + later) == skips


def test_counts_are_added_by_address() -> None:
    found = sum_counts(
        ({"a": TierStatistics(hits=1)}, {"a": TierStatistics(hits=2), "b": TierStatistics()})
    )
    assert found == {"a": TierStatistics(hits=3), "b": TierStatistics()}
