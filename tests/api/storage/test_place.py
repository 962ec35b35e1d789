"""Where the file of a SQLite database lies."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from intertwine_api.storage.database import Database, file_system


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on NFS, as far as the operating system says."""
    folder = tmp_path / "home"
    parts = [("/", "ext4"), (str(folder), "nfs4"), (str(folder / "scratch"), "xfs")]
    found = [SimpleNamespace(mountpoint=point, fstype=kind) for point, kind in parts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: found)
    return folder


def warnings(caplog: pytest.LogCaptureFixture, file: Path) -> list[str]:
    database = Database(f"sqlite:///{file}")
    with caplog.at_level(logging.WARNING):
        database.migrate()
    database.close()
    return caplog.messages


def test_a_file_system_of_a_network_is_told_of(
    mounted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (said,) = warnings(caplog, mounted / "ada" / "intertwine.db")
    assert "type nfs4" in said
    assert "PostgreSQL" in said


@pytest.mark.parametrize("place", ["../local.db", "scratch/inner.db"])
def test_a_disk_of_the_host_is_not(
    mounted: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    assert warnings(caplog, mounted / place) == []


def test_the_innermost_mount_counts(mounted: Path) -> None:
    assert file_system(mounted / "scratch" / "deep" / "file") == "xfs"


def test_a_real_disk_has_a_kind(tmp_path: Path) -> None:
    assert file_system(tmp_path / "file") not in (None, "nfs4")
