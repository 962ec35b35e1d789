"""The scopes of keys, the kinds and states of jobs, and durations in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

#: What each scope of a key allows; `admin` includes all others.
ALLOWED_BY: Mapping[str, str] = {
    "bases:read": "read bases, also as blobs, groups and reps",
    "bases:solve": "read and solve bases; solve jobs require it too",
    "bases:write": "send bases to the service's store, and read and solve bases",
    "jobs:write": "upload data, submit and follow jobs, read one's own data, and read models and "
    "their weights",
    "models:forward": "read and call models, and read their weights",
    "metrics:read": "read /metrics, which shows the owners' names and bytes",
    "admin": "all of the above, the jobs and data of all owners, and keys",
}
#: The scopes of keys.
SCOPES = tuple(ALLOWED_BY)
#: The default scopes of a key.
USER_SCOPES = ("bases:read", "bases:solve", "jobs:write", "models:forward")

#: The highest priority of a job. The lowest is its negative.
MOST_PRIORITY = 100

Kind = Literal["solve", "train"]
KINDS: tuple[Kind, ...] = get_args(Kind)

State = Literal["queued", "leased", "running", "cancelling", "succeeded", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
#: The states in which a host holds the job's lease.
HELD: tuple[State, ...] = ("leased", "running", "cancelling")
#: The states of a job that has ended. A failed or cancelled job can be retried.
ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")


def implied_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """Return a key's scopes with those that they imply.

    `bases:write` implies `bases:solve`, since what cannot be proven is solved, and `bases:solve`
    implies `bases:read`.
    """
    if "bases:write" in scopes:
        scopes |= {"bases:solve"}
    return scopes | {"bases:read"} if "bases:solve" in scopes else scopes


def duration(seconds: float) -> str:
    """Return seconds as a readable duration: 41 s, 3:05, 2:10:00."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
