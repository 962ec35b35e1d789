"""What far tiers cost and save, counted by processes and added up in the near folder."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from helpers.example_stores import key, overwrite, publish
from helpers.example_tiers import chain, environment_of
from intertwine_cache import Chain, Store, TierStatistics, read_statistics
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.statistics import add_statistics


def accept(path: Path, is_trusted: bool) -> None:
    """Accept every file."""


def far(folder: Path) -> FolderTier:
    return FolderTier(folder, is_writable=True, limit=10**9)


def one(chain: Chain) -> TierStatistics:
    """The counts of the only far tier."""
    (counts,) = chain.statistics().values()
    return counts


class TestCounts:
    def test_each_kind_is_counted_once(self, tmp_path: Path) -> None:
        shared = Store(tmp_path / "shared")
        publish(shared, "a", b"content", certificate={"seconds": 100.0})
        wrong, _ = publish(shared, "wrong", b"wrong")
        overwrite(shared.layout.blob(wrong.digest), b"WRONG")
        here = chain(tmp_path, far(shared.layout.root))
        assert one(here) == TierStatistics()
        assert here.fetch(key("a"), accept, 10**9) is not None
        for _ in range(2):  # the second time nobody is asked
            assert here.fetch(key("b"), accept, 10**9) is None
            assert here.fetch(key("wrong"), accept, 10**9) is None
        counts = one(here)
        assert (counts.hits, counts.misses, counts.refused, counts.failures) == (1, 1, 1, 0)
        assert counts.bytes == len(b"content")
        assert 0 < counts.seconds < 50
        assert 50 < counts.seconds_saved < 100

    def test_a_tier_that_fails_is_counted(self, tmp_path: Path) -> None:
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared" / "v1").write_text("a file where the folder should be")
        here = chain(tmp_path, far(tmp_path / "shared"))
        for name in "ab":
            assert here.fetch(key(name), accept, 10**9) is None
        assert (one(here).failures, one(here).misses) == (1, 0)  # the second time it is skipped

    @pytest.mark.parametrize(
        "certificate", [None, [], {}, {"seconds": "7"}, {"seconds": 1e300}, {"seconds": -1}]
    )
    def test_a_manifest_that_does_not_say_the_time_saves_none(
        self, tmp_path: Path, certificate: Any
    ) -> None:
        shared = Store(tmp_path / "shared")
        publish(shared, "a", b"content", certificate=certificate)
        here = chain(tmp_path, far(shared.layout.root))
        assert here.fetch(key("a"), accept, 10**9) is not None
        assert -50 < one(here).seconds_saved < 0


class TestTheFile:
    def test_processes_add_to_it_at_their_end(self, tmp_path: Path) -> None:
        shared = Store(tmp_path / "shared")
        publish(shared, "a", b"content")
        program = """
            import sys
            from pathlib import Path
            import intertwine_cache.chain
            import intertwine_cache.tiers.statistics
            from intertwine_cache import Places, open_store
            intertwine_cache.chain.PATIENCE_SECONDS = 300.0  # others are busy
            intertwine_cache.chain.BLOB_SECONDS = 300.0
            intertwine_cache.tiers.statistics._PATIENCE_SECONDS = 300.0
            chain = open_store(Places(Path(sys.argv[1]), (sys.argv[2],)))
            for name in range(10):
                assert chain.fetch(f"{name:064x}", lambda *_: None, 10**9) is None
            assert chain.fetch(sys.argv[3], lambda *_: None, 10**9) is not None
        """
        command = [sys.executable, "-c", textwrap.dedent(program), tmp_path / "near"]
        command += [shared.layout.root, key("a")]
        started = [subprocess.Popen(command, env=environment_of(tmp_path)) for _ in range(4)]
        assert [process.wait(600) for process in started] == [0] * 4
        near = Store(tmp_path / "near")
        (counts,) = read_statistics(near.layout).values()
        assert (counts.hits, counts.misses, counts.bytes) == (4, 40, 4 * len(b"content"))
        assert list(read_statistics(near.layout)) == [str(shared.layout.root)]

    @pytest.mark.parametrize(
        "content", ["", "[]", '{"far": 7}', '{"far": {"hits": "7"}}', '{"far": {"guesses": 7}}']
    )
    def test_an_invalid_one_begins_anew(self, tmp_path: Path, content: str) -> None:
        near = Store(tmp_path)
        near.layout.create()
        near.layout.tiers.write_text(content)
        assert read_statistics(near.layout) == {}
        add_statistics(near.layout, {"far": TierStatistics(hits=2)})
        add_statistics(near.layout, {"far": TierStatistics(hits=3), "more": TierStatistics()})
        assert read_statistics(near.layout) == {
            "far": TierStatistics(hits=5),
            "more": TierStatistics(),
        }

    def test_without_the_folder_they_are_lost(self, tmp_path: Path) -> None:
        near = Store(tmp_path / "gone")
        add_statistics(near.layout, {"far": TierStatistics(hits=2)})
        assert read_statistics(near.layout) == {}
        assert not near.layout.tiers.exists()
