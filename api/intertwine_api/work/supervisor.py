"""The supervisor: the parent of a job's process, which it limits, and whose end it records.

It leads a process group and needs neither the service nor the database, so that a job survives
restarts of both. `attempt-N.json` in the job's folder says how attempt N ended. It imports little,
because every job has one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import psutil
from intertwine.memory import kills_for_memory

from intertwine_api.storage.background import yield_processors
from intertwine_api.work.executor import Cause, Exit
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.host import BUCKET, JOB, host_of
from intertwine_api.work.job_log import LOG_BYTES, JobLog

#: The process id of the supervisor, for the job's process to end with it.
SUPERVISOR = "INTERTWINE_SUPERVISOR"

_LAST_UPLOADS = 40.0  # seconds; the uploader gives up before
_INTERVAL = 0.2  # seconds between two measurements of the job
_NOT_STARTED = 127  # as shells do


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one attempt of a job to its end."""
    asked = _arguments(arguments)
    if os.getpgrp() != os.getpid():
        os.setsid()
    folder = JobFolder(asked.folder)
    _detach(folder.log)
    bucket, log_start = os.environ.get(BUCKET, ""), os.fstat(sys.stdout.fileno()).st_size
    head = folder.head(
        asked.attempt,
        datetime.now(UTC).isoformat(" ", "seconds"),
        host_of(folder.path.parent) if bucket else "",  # the log is read on other hosts too
    )
    with contextlib.suppress(OSError):  # the disk is full, but the job may still free space
        os.write(sys.stdout.fileno(), head.encode())
    output, printed = os.pipe()
    log = JobLog(output, sys.stdout.fileno(), asked.log_bytes)
    log.start()
    uploader = _start_uploader(folder, asked.attempt, log_start, bucket) if bucket else None
    watch = _Watch(asked.memory, asked.seconds, asked.grace)
    ended = watch.run(asked.command, printed)
    for other in _others_of_the_group():
        _signal(other, signal.SIGKILL)
    log.finish()
    folder.note_exit(asked.attempt, ended)
    if uploader is not None:
        _finish(uploader)
    return 0


def _start_uploader(
    folder: JobFolder, attempt: int, log_start: int, bucket: str
) -> subprocess.Popen[bytes] | None:
    """Start the process that copies the log and the checkpoints to the bucket.

    It ends when its standard input is closed. It is outside the group: it does not count as memory
    of the job, and uploads the last checkpoint of a job that is killed.
    """
    command = [sys.executable, "-P", "-m", "intertwine_api.work.job_uploader", str(folder.path)]
    command += ["--attempt", str(attempt), "--log-start", str(log_start), "--bucket", bucket]
    environment = {name: text for name, text in os.environ.items() if name != JOB}
    try:
        folder.note_log(attempt)
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, env=environment, start_new_session=True
        )
    except OSError as error:  # the job can run without
        print(f"the log and the checkpoints are not uploaded: {error}", file=sys.stderr, flush=True)
        return None


def _finish(uploader: subprocess.Popen[bytes]) -> None:
    """Wait for the last uploads, which end by themselves."""
    assert uploader.stdin is not None
    uploader.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        uploader.wait(_LAST_UPLOADS)


class _Watch:
    def __init__(self, memory: int, seconds: float, grace: float) -> None:
        self._memory, self._seconds, self._grace = memory, seconds, grace
        self._cause: Cause | None = None
        self._told = False
        self._kill_at: float | None = None
        self._peak = 0

    def run(self, command: Sequence[str], output: int) -> Exit:
        """Run the command within its limits. Its output goes to a pipe, which is closed here."""
        signal.signal(signal.SIGTERM, self._on_signal)
        yield_processors()
        kills, started = kills_for_memory(), time.monotonic()
        try:
            environment = {**os.environ, **_told_to_the_child()}
            child = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        except OSError as error:
            print(f"cannot be started: {error}", file=sys.stderr, flush=True)
            return Exit(_NOT_STARTED, None, None, 0, 0.0)
        finally:
            os.close(output)  # so that the pipe ends with the processes of the job
        while True:
            try:
                code = child.wait(_INTERVAL)
                break
            except subprocess.TimeoutExpired:
                self._look(time.monotonic() - started)
        killed = code == -signal.SIGKILL and self._kill_at is None
        if self._cause is None and killed and kills_for_memory() > kills:
            self._cause = "killed-for-memory"
        return Exit(
            code if code >= 0 else None,
            signal.Signals(-code).name if code < 0 else None,
            self._cause,
            max(self._peak, _peak_of_children()),
            time.monotonic() - started,
        )

    def _look(self, seconds: float) -> None:
        """Measure the job, `seconds` after its start, and end it if it exceeds a limit."""
        self._peak = max(self._peak, _bytes_of_the_group())
        if self._kill_at is None and self._peak > self._memory:
            # at once: memory may grow during a grace period
            self._cause, self._kill_at = "memory", seconds
        elif self._kill_at is None and (self._told or seconds > self._seconds):
            self._cause = None if self._told else "time"
            self._kill_at = seconds + self._grace
            os.killpg(0, signal.SIGTERM)
        if self._kill_at is not None and seconds >= self._kill_at:
            for other in _others_of_the_group():
                _signal(other, signal.SIGKILL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._told = True


def _told_to_the_child() -> dict[str, str]:
    return {
        SUPERVISOR: str(os.getpid()),
        "PYTHONUNBUFFERED": "1",  # its output is in the log at once, also before a crash
    }


def _others_of_the_group() -> Iterator[int]:
    own = os.getpid()
    for pid in psutil.pids():
        try:
            if pid != own and os.getpgid(pid) == own:
                yield pid
        except OSError:  # ended meanwhile, or another user's
            continue


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        os.kill(pid, number)


def _bytes_of_the_group() -> int:
    total = 0
    for pid in _others_of_the_group():
        try:
            total += psutil.Process(pid).memory_info().rss
        except psutil.Error:  # ended meanwhile
            continue
    return total


def _peak_of_children() -> int:
    """Return the most memory of one process, which two measurements may have missed."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def _detach(log: Path) -> None:
    """Read nothing, print to the log, and close the files of the parent.

    The service's socket among them: its address would stay taken after the service has ended.
    """
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the descriptor of the listing is closed already
                os.close(int(name))
    for number, opened in (
        (0, os.open(os.devnull, os.O_RDONLY)),
        (1, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)),
    ):
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the job")
    parser.add_argument("--attempt", type=int, required=True, help="the number of the attempt")
    parser.add_argument("--memory", type=int, required=True, help="the bytes that it may take")
    parser.add_argument("--seconds", type=float, required=True, help="the seconds that it may take")
    parser.add_argument(
        "--grace", type=float, required=True, help="the seconds from being asked to being killed"
    )
    parser.add_argument(
        "--log-bytes", type=int, default=LOG_BYTES, help="the limit of its log in bytes"
    )
    parser.add_argument("command", nargs="+", help="the job's process, after --")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
