"""The interface of executors, which run the processes of jobs; and how a process ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # the supervisor imports this module, and nothing heavy
    from intertwine_api.work.job import Job

#: What ended a process from outside: the job's limit of memory or of time, or the kernel's OOM
#: killer. None if it ended by itself or was cancelled.
Cause = Literal["memory", "time", "killed-for-memory"]


@dataclass(frozen=True)
class Exit:
    """How the process of an attempt ended: by an exit code, or by a signal.

    `peak_bytes` is the most memory that it held, `seconds` how long it ran.
    """

    code: int | None
    signal: str | None
    cause: Cause | None
    peak_bytes: int
    seconds: float


#: The state of a process. "gone": it has ended, and how is unknown.
ExternalState = Literal["running", "gone"] | Exit


class Executor(Protocol):
    """Runs jobs. No method waits for a job, and all may be called repeatedly."""

    @property
    def name(self) -> str:
        """The executor's name in settings."""

    def submit(self, job: Job, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Start an attempt of a job, and end processes of earlier ones. Return its external id.

        `environment` is added to that of this process. Raises `OSError` if it cannot be started.
        """

    def state(self, job: Job) -> ExternalState:
        """Return the state of the process of the job's attempt, also of another executor's."""

    def cancel(self, job: Job, grace: float) -> None:
        """End the process: signal it, and kill it after `grace` seconds.

        It is called until `state` reports that the process has ended.
        """

    def last_lines(self, job: Job) -> str:
        """Return the last lines that the job's processes printed."""

    def reconcile(self) -> None:
        """Clean up after processes that have ended."""
