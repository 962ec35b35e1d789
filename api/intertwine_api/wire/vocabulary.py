"""The words that both sides of the wire use: scopes of keys, kinds and states of jobs."""

from __future__ import annotations

from typing import Literal, get_args

#: The scopes of keys; `admin` stands for all of them.
SCOPES = ("bases:read", "bases:solve", "jobs:write", "models:forward", "admin")

Kind = Literal["solve", "train"]
KINDS: tuple[Kind, ...] = get_args(Kind)

State = Literal["queued", "leased", "running", "cancelling", "succeeded", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
#: In these a host holds the job.
HELD: tuple[State, ...] = ("leased", "running", "cancelling")
#: In these the job has ended; only a retry leads out of the last two.
ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")


def implied_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """Return the scopes of a key and those that they imply: solving implies reading."""
    return scopes | {"bases:read"} if "bases:solve" in scopes else scopes
