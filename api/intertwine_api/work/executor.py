"""What runs the processes of jobs: the interface, and how a process ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # the supervisor imports this module, and nothing heavy
    from intertwine_api.work.job import Job

#: What ended a process from outside: the job's limits of memory and of time, or the kernel's
#: killer where the machine had no memory left. None where it ended by itself or was told to.
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


#: Where a process is. "gone": there is none, and no word of how it ended.
ExternalState = Literal["running", "gone"] | Exit


class Executor(Protocol):
    """Where jobs run. None of this waits for a job; all of it may be called again and again."""

    @property
    def name(self) -> str:
        """What it is called in settings."""

    def submit(self, job: Job, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Start this attempt at a job, and give its external id. What is left of earlier ones ends.

        `environment` is added to that of this process. Raises `OSError` where it cannot be started.
        """

    def state(self, job: Job) -> ExternalState:
        """Where the process of the job's attempt is, whoever started it."""

    def cancel(self, job: Job, grace: float) -> None:
        """Have the process end: asked now, killed after `grace` seconds, and at once if that is 0.

        It is called until `state` says that the process has ended.
        """

    def last_lines(self, job: Job) -> str:
        """The last lines that the job's processes printed."""

    def reconcile(self) -> None:
        """Tidy up what has ended."""
