"""The folder of a job: its log, its checkpoints, its trace, and how its attempts ended."""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from intertwine.whole_files import whole_file

from intertwine_api.work.executor import Exit

_LOG = logging.getLogger("intertwine.jobs")
_TAIL = 4096  # bytes
_HEAD = "--- attempt "
_DISCARDED = "discarded-"
_ATTEMPT = "attempt-"
_LOGGED = ".logged"


@dataclass(frozen=True)
class JobFolder:
    """The files of a job."""

    path: Path

    @classmethod
    def of(cls, home: Path, job_id: str) -> JobFolder:
        """Return the folder of a job in the service's data."""
        return cls(home / "jobs" / job_id)

    @property
    def job_id(self) -> str:
        """The id of the job."""
        return self.path.name

    @property
    def log(self) -> Path:
        """The log: the output of the processes of all attempts."""
        return self.path / "log"

    @property
    def checkpoint(self) -> Path:
        """The folder of the checkpoints of a training. Each attempt has a folder in it."""
        return self.path / "checkpoint"

    def take_checkpoint(self, attempt: int) -> Path:
        """Move the checkpoint of the latest earlier attempt to this one's folder. Return that.

        An earlier attempt may still run, if its host has lost the database. It writes to its own
        folder, so it cannot replace the checkpoint of a later attempt.
        """
        own = self.checkpoint_folder(attempt)
        own.mkdir(parents=True, exist_ok=True)
        while (latest := self._latest_checkpoint(attempt)) and latest[0].parent != own:
            for file in latest:
                with suppress(FileNotFoundError):  # another attempt has just taken it
                    file.replace(own / file.name)
        return own

    def _latest_checkpoint(self, attempt: int) -> list[Path]:
        """Return the files of the latest checkpoint of the attempts up to this one.

        Files move to later attempts only, so one that moves during the search is found as well.
        """
        latest: list[Path] = []
        for number in range(attempt + 1):
            latest = self.checkpoint_files(number) or latest
        return latest

    def checkpoint_attempt(self, attempt: int) -> int | None:
        """Return the attempt, up to this one, that has the latest checkpoint in this folder."""
        numbers = (n for n in range(attempt, -1, -1) if self.checkpoint_files(n))
        return next(numbers, None)

    def checkpoint_files(self, attempt: int) -> list[Path]:
        """Return the files of an attempt's checkpoint."""
        return _whole_files(self.checkpoint_folder(attempt))

    def checkpoint_folder(self, attempt: int) -> Path:
        """Return the folder of an attempt; for 0, that of all attempts in earlier versions."""
        return self.checkpoint / f"{_ATTEMPT}{attempt}" if attempt else self.checkpoint

    def exit(self, attempt: int) -> Exit | None:
        """Return how an attempt ended; None while that is unknown."""
        try:
            return Exit(**json.loads(self._exit_file(attempt).read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:  # perhaps written by another version
            _LOG.warning("%s cannot be read: %s", self._exit_file(attempt), error)
            return None

    def prepare(self, attempt: int) -> None:
        """Create the folder, without a record of how the attempt ended."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._exit_file(attempt).unlink(missing_ok=True)  # from before the database was restored

    def note_exit(self, attempt: int, ended: Exit) -> None:
        """Record how an attempt ended, atomically."""
        with whole_file(self._exit_file(attempt)) as file:
            file.write(json.dumps(asdict(ended)).encode())

    def note_trace(self, headers: Mapping[str, str]) -> None:
        """Keep the trace headers of the request that submitted the job, if there are any.

        Without them, its attempts have traces of their own.
        """
        if not headers:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with whole_file(self._trace_file) as file:
                file.write(json.dumps(dict(headers)).encode())
        except OSError as error:  # the disk is full, for example
            _LOG.warning("%s cannot be written: %s", self._trace_file, error)

    def trace(self) -> dict[str, str]:
        """Return the trace headers of the request that submitted the job, or none."""
        try:
            return {str(k): str(v) for k, v in json.loads(self._trace_file.read_bytes()).items()}
        except FileNotFoundError:  # it was not traced, or another host has the folder
            return {}
        except (OSError, ValueError, AttributeError) as error:
            _LOG.warning("%s cannot be read: %s", self._trace_file, error)
            return {}

    def head(self, attempt: int, when: str, host: str = "") -> str:
        """Return the line with which an attempt begins in the log."""
        return f"{_HEAD}{attempt}, {when}{host and f', on {host}'} ---\n"

    def note_log(self, attempt: int) -> None:
        """Record that the output of an attempt is in this folder's log."""
        (self.path / f"{_ATTEMPT}{attempt}{_LOGGED}").touch()

    def logged_attempts(self) -> set[int]:
        """Return the attempts whose output is in this folder's log."""
        names = (file.stem.removeprefix(_ATTEMPT) for file in self.path.glob(f"*{_LOGGED}"))
        return {int(name) for name in names if name.isdecimal()}

    def note_success(self) -> None:
        """Record that the job has succeeded, so that its checkpoints are not needed."""
        self._success_file.touch()

    @property
    def has_succeeded(self) -> bool:
        """Whether the success of the job was recorded here."""
        return self._success_file.exists()

    def last_lines(self, most: int = 20) -> str:
        """Return the last lines that the last attempt printed."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        lines = text.splitlines()
        heads = [i for i, line in enumerate(lines) if line.startswith(_HEAD)]
        return "\n".join(lines[heads[-1] + 1 if heads else 0 :][-most:])

    def discard_checkpoints(self) -> None:
        """Rename the folder of the checkpoints, so that no retry resumes from them."""
        with suppress(FileNotFoundError):  # it is already deleted
            self.checkpoint.rename(self.path / f"{_DISCARDED}{uuid.uuid4().hex}")

    def remove_discarded(self) -> None:
        """Delete discarded checkpoints."""
        for folder in self.path.glob(f"{_DISCARDED}*"):
            shutil.rmtree(folder, ignore_errors=True)  # another process may delete it too

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)  # it need not be there

    @property
    def _trace_file(self) -> Path:
        return self.path / "trace.json"

    @property
    def _success_file(self) -> Path:
        return self.path / "succeeded"

    def _exit_file(self, attempt: int) -> Path:
        return self.path / f"{_ATTEMPT}{attempt}.json"


def _whole_files(folder: Path) -> list[Path]:
    """Return the files of a folder, without hidden ones, which a crash has left unfinished."""
    try:
        return [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    except FileNotFoundError:
        return []


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder; zero if it does not exist."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # deleted meanwhile
                total += os.lstat(os.path.join(path, name)).st_size
    return total
