"""The local executor: each job runs in a process group of its own, led by a supervisor."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from intertwine_api.work.executor import ExternalState
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.host import JOB
from intertwine_api.work.job import Job
from intertwine_api.work.job_log import LOG_BYTES

_SUPERVISOR = "intertwine_api.work.supervisor"
_MARGIN = 2.0  # seconds for a supervisor to end its group
_STARTING = 5.0  # seconds
_ENDING = 1.0  # seconds; a process that has reported its end needs far less


class LocalExecutor:
    """Runs jobs as processes of this machine, with a folder for each under `folder`.

    They continue when this process ends; another executor with the same folder finds them again.
    The external id is the supervisor's process id. Since process ids are reused, a process counts
    only if its command names the job's folder and attempt. `log_bytes` is the
    limit of a job's log.
    """

    name = "local"

    def __init__(self, folder: Path, grace: float = 10.0, log_bytes: int = LOG_BYTES) -> None:
        self.folder = folder.absolute()
        self._grace, self._log_bytes = grace, log_bytes
        self._children: set[int] = set()
        self._kill_at: dict[tuple[str, int], float] = {}

    def files(self, job_id: str) -> JobFolder:
        """Return the folder of a job."""
        return JobFolder(self.folder / job_id)

    def submit(self, job: Job, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Start a supervisor, which starts the command."""
        self._end_what_is_left(job, range(1, job.attempt), _ENDING)
        self.files(job.id).prepare(job.attempt)
        limits = job.limits
        arguments = [sys.executable, "-P", "-m", *self._identity(job)]
        arguments += ["--memory", str(limits.memory), "--seconds", str(limits.seconds)]
        arguments += ["--grace", str(self._grace), "--log-bytes", str(self._log_bytes)]
        arguments += ["--", *command]
        environment = {**os.environ, **environment, JOB: self._name(job, job.attempt)}
        pid = os.posix_spawn(sys.executable, arguments, environment, setsid=True)
        self._children.add(pid)
        return str(pid)

    def state(self, job: Job) -> ExternalState:
        """Return the state of the process of the job's attempt."""
        self.reconcile()
        if self._supervisor(job) is not None:
            return "running"
        self._kill_at.pop((job.id, job.attempt), None)
        return self.files(job.id).exit(job.attempt) or "gone"

    def cancel(self, job: Job, grace: float) -> None:
        """Signal the group; without a supervisor, kill the remaining processes of the job."""
        pid = self._supervisor(job)
        if pid is None:
            self._end_what_is_left(job, (job.attempt,))
            return
        attempt, now = (job.id, job.attempt), time.monotonic()
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            if grace <= 0 or now > self._kill_at.get(attempt, math.inf):
                os.killpg(pid, signal.SIGKILL)
            elif attempt not in self._kill_at:
                self._kill_at[attempt] = now + grace + _MARGIN
                os.killpg(pid, signal.SIGTERM)

    def last_lines(self, job: Job) -> str:
        """Return the last lines that the job printed."""
        return self.files(job.id).last_lines()

    def reconcile(self) -> None:
        """Reap supervisors that have ended and that this process started."""
        for pid in tuple(self._children):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0] == pid
            except ChildProcessError:  # other code in this process has reaped it
                ended = True
            if ended:
                self._children.discard(pid)

    def _identity(self, job: Job) -> list[str]:
        """Return the part of a supervisor's command that no other process has."""
        return [_SUPERVISOR, str(self.files(job.id).path), "--attempt", str(job.attempt)]

    def _supervisor(self, job: Job) -> int | None:
        if job.external_id is None:
            return None
        pid = int(job.external_id)
        try:
            process = psutil.Process(pid)
            command = process.cmdline()
            is_starting = not command and _has_just_started(process)
        except psutil.Error:  # gone, or not this user's
            return None
        identity = self._identity(job)
        return pid if is_starting or command[3 : 3 + len(identity)] == identity else None

    def _name(self, job: Job, attempt: int) -> str:
        return str(self.files(job.id).path / str(attempt))

    def _end_what_is_left(self, job: Job, attempts: Iterable[int], patience: float = 0.0) -> None:
        """Kill the processes of these attempts, which a dead supervisor may have left.

        They get `patience` seconds: one that has reported its end still sends its last spans.
        """
        names = {self._name(job, attempt) for attempt in attempts}
        if not names:
            return
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):  # ended meanwhile, or not this user's
                if process.environ().get(JOB) in names:
                    left.append(process)
        for process in psutil.wait_procs(left, patience)[1]:
            with contextlib.suppress(psutil.Error):
                process.kill()


def _has_just_started(process: psutil.Process) -> bool:
    """Return whether a process is so young that it may not have its arguments yet."""
    is_old = time.time() - process.create_time() > _STARTING
    return not (is_old or process.status() == psutil.STATUS_ZOMBIE)
