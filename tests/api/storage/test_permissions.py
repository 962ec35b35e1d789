"""Files that only the service's own user may read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from helpers.service import SO3, running_service
from intertwine_api.storage.permissions import private_files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(home: Path) -> list[str]:
    """The files and folders of a data folder that others can reach and read, but for the store."""
    reachable = [path for path in home.iterdir() if path.name != "cache"]
    return sorted(path.name for path in reachable if mode(path) & 0o077)


class TestABlock:
    def test_creates_private_files_and_ends_with_the_umask_of_before(self, tmp_path: Path) -> None:
        before = os.umask(0o022)
        try:
            with private_files(tmp_path / "missing"):
                (tmp_path / "folder").mkdir()
                (tmp_path / "file").touch()
            (tmp_path / "after").touch()
        finally:
            os.umask(before)
        assert (mode(tmp_path / "folder"), mode(tmp_path / "file")) == (0o700, 0o600)
        assert mode(tmp_path / "after") == 0o644
        assert not (tmp_path / "missing").exists()

    def test_closes_what_is_in_the_folder_but_not_the_store(self, tmp_path: Path) -> None:
        for name in ("objects", "jobs", "cache"):
            (tmp_path / name).mkdir()
            (tmp_path / name).chmod(0o775)
        for name in ("intertwine.db", "intertwine.db-wal"):
            (tmp_path / name).touch()
            (tmp_path / name).chmod(0o664)
        (tmp_path / "elsewhere").symlink_to("/etc/hostname")
        tmp_path.chmod(0o755)
        outside = mode(Path("/etc/hostname"))
        with private_files(tmp_path):
            pass
        assert open_to_others(tmp_path) == ["elsewhere"]
        assert (mode(tmp_path / "objects"), mode(tmp_path / "intertwine.db")) == (0o700, 0o600)
        assert (mode(tmp_path / "cache"), mode(tmp_path)) == (0o775, 0o755)
        assert mode(Path("/etc/hostname")) == outside

    def test_warns_of_a_file_of_another_user(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "intertwine.db").touch(0o644)
        (tmp_path / "intertwine.db").chmod(0o644)

        def refuse(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "chmod", refuse)  # tests may run as root, who may do everything
        with private_files(tmp_path):
            pass
        assert "chown" in caplog.text


class TestAService:
    @pytest.mark.slow
    def test_writes_nothing_that_others_may_read(self, tmp_path: Path) -> None:
        home = tmp_path / "data"
        (home / "objects").mkdir(parents=True)
        for path in (tmp_path, home, home / "objects"):
            path.chmod(0o755)
        (home / "cache").mkdir()
        (home / "cache").chmod(0o755)
        with running_service(home, workers="1") as client:
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6
            assert open_to_others(home) == []
            blobs = [path for path in (home / "cache").rglob("*") if path.is_file()]
            assert blobs
            assert all(mode(path) & 0o044 == 0o044 for path in blobs)  # a lab shares its store
