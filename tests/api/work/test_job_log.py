"""The limit of a job's log, with real supervisors."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.example_jobs import program
from helpers.patience import PATIENCE
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.job_log import TAIL_BYTES

LIMIT = 200_000


def supervise(folder: Path, text: str, attempt: int = 1, seconds: float = 600) -> bytes:
    """Run a program under a supervisor with a limited log; the log."""
    arguments = [str(folder), "--attempt", str(attempt), "--memory", "1000000000"]
    arguments += ["--seconds", str(seconds), "--grace", "1", "--log-bytes", str(LIMIT)]
    command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments]
    subprocess.run([*command, "--", *program(text)], check=True, timeout=300)
    return JobFolder(folder).log.read_bytes()


def test_a_log_below_its_limit_is_complete(tmp_path: Path) -> None:
    size = LIMIT - TAIL_BYTES - 1000
    log = supervise(tmp_path, f"print('x' * {size})")
    assert log.splitlines()[1:] == [b"x" * size]


@pytest.mark.slow
def test_a_long_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    text = "for i in range(200_000): print('line', i)\nraise ValueError('the reason')"
    log = supervise(tmp_path, text)
    printed = sum(len(f"line {i}\n") for i in range(200_000))
    assert LIMIT < len(log) < LIMIT + 1000
    lines = log.decode().splitlines()
    assert lines[1:4] == ["line 0", "line 1", "line 2"]
    assert lines[-1] == "ValueError: the reason"
    [limit] = [line for line in lines if "reached its limit of 200,000 bytes" in line]
    [dropped] = [line for line in lines if line.endswith("bytes of output were dropped ---")]
    number = int(dropped.split()[1].replace(",", ""))
    assert printed - LIMIT < number < printed
    assert lines.index(limit) < lines.index(dropped)
    assert "ValueError: the reason" in JobFolder(tmp_path).last_lines()
    again = supervise(tmp_path, "print('y' * 300_000)", attempt=2)
    assert again.startswith(log)  # what was read once does not change
    assert len(again) - len(log) < TAIL_BYTES + 1000


@pytest.mark.slow
def test_a_job_that_prints_endlessly_does_not_fill_the_disk(tmp_path: Path) -> None:
    text = "import os\nwhile True: os.write(1, b'again and again\\n' * 4096)"
    for seconds in (3, 60):  # it may have begun late
        folder = tmp_path / str(seconds)
        folder.mkdir()
        log = supervise(folder, text, seconds=seconds)
        assert JobFolder(folder).exit(1).cause == "time"  # type: ignore[union-attr]
        if len(log) > LIMIT:
            break
    assert LIMIT < len(log) < LIMIT + 1000


@pytest.mark.slow
def test_a_process_that_leaves_the_group_does_not_keep_the_supervisor(tmp_path: Path) -> None:
    endless = "import os, time\nend = time.time() + 600\nwhile time.time() < end: os.write(1, b'x')"
    text = (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {endless!r}], start_new_session=True)\n"
        "print('parent')"
    )
    started = time.monotonic()
    log = supervise(tmp_path, text)
    assert time.monotonic() - started < PATIENCE
    assert b"parent" in log


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_does_not_stop_the_job(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    text = f"print('x' * 10**6); open({str(tmp_path / 'done')!r}, 'w').close()"
    arguments = [str(tmp_path), "--attempt", "1", "--memory", "1000000000", "--seconds", "600"]
    command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments, "--grace", "1"]
    subprocess.run([*command, "--", *program(text)], timeout=300, check=True, capture_output=True)
    assert (tmp_path / "done").exists()
    ended = JobFolder(tmp_path).exit(1)
    assert ended is not None
    assert ended.code == 0
