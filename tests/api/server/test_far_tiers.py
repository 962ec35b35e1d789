"""Asking the far tiers for a page: what they answer, and those that never do."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.example_stores import key, publish
from helpers.example_tiers import silent_server, web_folder
from intertwine_api.server import far_tiers
from intertwine_api.server.far_tiers import FarTiers
from intertwine_cache import Store

LATE = 0.2  # seconds


def test_without_far_tiers_nobody_is_asked(tmp_path: Path) -> None:
    assert FarTiers(Store(tmp_path), ()).ask(key("a")) == []


def test_each_tier_answers_for_itself(tmp_path: Path) -> None:
    near, shared = Store(tmp_path / "near"), Store(tmp_path / "shared")
    publish(shared, "a", b"content")
    (tmp_path / "empty").mkdir()
    with web_folder(tmp_path / "empty") as address:
        found = FarTiers(near, (str(shared.layout.root), address)).ask(key("a"), 60)
    first, second = found
    assert (first.tier, first.state) == (str(shared.layout.root), "has it")
    assert first.manifest is not None
    assert (first.signer, first.is_trusted) == (None, False)
    assert (second.state, second.manifest) == ("does not have it", None)
    assert near.manifest(key("a")) is None  # asking copies nothing


def test_a_tier_that_never_answers_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(far_tiers, "_AT_ONCE", 2)
    with silent_server() as address:
        asked = FarTiers(Store(tmp_path), (address,))
        for _ in range(2):
            (answer,) = asked.ask(key("a"), LATE)
            assert (answer.state, answer.reason) == (
                "does not answer",
                "it did not answer in 0.2 seconds",
            )
        (answer,) = asked.ask(key("a"), 60)  # which does not wait
        assert answer.state == "is not asked"
        assert answer.reason == "2 earlier requests wait for its answer: try again later"
