"""The folder of a job."""

from __future__ import annotations

from pathlib import Path

import pytest
from intertwine.whole_files import whole_file
from intertwine_api.work.executor import Exit
from intertwine_api.work.folder import JobFolder


def test_the_end_of_an_attempt_is_read_as_it_was_noted(tmp_path: Path) -> None:
    ended = Exit(None, "SIGKILL", "memory", 10**9, 2.5)
    folder = JobFolder(tmp_path)
    folder.note_exit(2, ended)
    assert folder.exit(2) == ended
    assert folder.exit(1) is None
    assert [file.name for file in tmp_path.iterdir()] == ["attempt-2.json"]


def test_an_end_that_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    for content in ("", "{", '{"code": 1}', '{"unheard": "of"}', "[]"):
        (tmp_path / "attempt-1.json").write_text(content)
        assert folder.exit(1) is None


def test_an_attempt_begins_without_an_end(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "jobs" / "a1")
    folder.prepare(1)
    folder.note_exit(1, Exit(0, None, None, 1, 1.0))
    folder.prepare(1)
    assert folder.exit(1) is None


def test_the_headers_of_a_trace_are_kept_for_the_attempts(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "jobs" / "a1")
    assert folder.trace() == {}
    folder.note_trace({})
    assert not folder.path.exists()
    folder.note_trace({"traceparent": "00-1-2-01"})
    folder.prepare(1)
    assert folder.trace() == {"traceparent": "00-1-2-01"}


def test_headers_that_cannot_be_kept_or_read_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = JobFolder(tmp_path / "a1")
    for content in ("", "{", "[]", "3"):
        folder.path.mkdir(exist_ok=True)
        (folder.path / "trace.json").write_text(content)
        assert folder.trace() == {}
    (tmp_path / "file").touch()
    JobFolder(tmp_path / "file" / "a2").note_trace({"traceparent": "00-1-2-01"})
    assert len(caplog.messages) == 5
    assert "trace.json cannot be written" in caplog.messages[-1]


class TestTheLastLines:
    def test_are_those_of_the_last_attempt(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path)
        text = f"{folder.head(1, 'then')}old\n{folder.head(2, 'now')}new\nnewer\n"
        folder.log.write_text(text)
        assert folder.last_lines() == "new\nnewer"
        assert folder.last_lines(1) == "newer"

    def test_of_a_long_log_are_few(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path)
        folder.log.write_text("é" * 10**6 + "\nlast")
        assert len(folder.last_lines()) < 5000
        assert folder.last_lines().endswith("\nlast")

    def test_are_text_whatever_was_printed(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path)
        folder.log.write_bytes(b"\xff and \xed\xa0\x80")
        assert folder.last_lines().startswith("\ufffd and \ufffd")

    def test_of_no_log_are_none(self, tmp_path: Path) -> None:
        assert JobFolder(tmp_path).last_lines() == ""


class TestTheCheckpoint:
    def save(self, folder: Path, text: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / "state") as file:
            file.write(text.encode())

    def test_of_an_attempt_is_taken_by_the_next(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path)
        first = folder.take_checkpoint(1)
        assert list(first.iterdir()) == []
        self.save(first, "of 1")
        for attempt in (2, 5):
            taken = folder.take_checkpoint(attempt)
            assert (taken / "state").read_text() == "of 1"
        assert folder.take_checkpoint(5) == taken
        assert [path for path in folder.checkpoint.rglob("*") if path.is_file()] == [
            taken / "state"
        ]

    def test_is_not_replaced_by_an_earlier_attempt(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path)
        first = folder.take_checkpoint(1)
        self.save(first, "old")
        second = folder.take_checkpoint(2)
        self.save(second, "new")
        self.save(first, "stale")  # it does not know that it is lost
        assert folder.take_checkpoint(1) == first
        assert (second / "state").read_text() == "new"
        assert (folder.take_checkpoint(3) / "state").read_text() == "new"
        assert (first / "state").read_text() == "stale"

    def test_of_an_earlier_version_is_taken(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path)
        self.save(folder.checkpoint, "of an earlier version")
        assert (folder.take_checkpoint(4) / "state").read_text() == "of an earlier version"
        assert not (folder.checkpoint / "state").exists()

    def test_is_no_file_that_a_crash_left_unfinished(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path)
        self.save(folder.take_checkpoint(1), "whole")
        (folder.checkpoint / "attempt-2").mkdir()
        (folder.checkpoint / "attempt-2" / ".state.1f.tmp").write_text("ha")
        assert (folder.take_checkpoint(3) / "state").read_text() == "whole"


def test_a_folder_is_deleted_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = JobFolder.of(tmp_path, "a1")
    folder.checkpoint.mkdir(parents=True)
    folder.log.write_text("hello")
    folder.remove()
    folder.remove()
    assert not folder.path.exists()
