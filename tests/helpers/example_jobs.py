"""Jobs for tests, and the small programs that they run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import psutil
from intertwine_api.work.job import Job, Limits

from helpers.patience import PATIENCE

_Value = TypeVar("_Value")

GENEROUS = Limits(seconds=600, memory=4 * 10**9)

_JOB = Job(
    id="a1b2c3",
    kind="train",
    state="leased",
    reason="for a test",
    owner="somebody",
    name="",
    labels=(),
    priority=0,
    request={},
    subject=None,
    attempt=1,
    limits=GENEROUS,
    not_before=0.0,
    host="here",
    external_id=None,
    lease_expires=None,
    created=0.0,
    updated=0.0,
    started=None,
    ended=None,
)


def a_job(**changes: Any) -> Job:
    """A leased job."""
    return replace(_JOB, **changes)


def program(text: str) -> Sequence[str]:
    """The command of a Python program."""
    return [sys.executable, "-c", text]


def soon(what: Callable[[], _Value], seconds: float = PATIENCE) -> _Value:
    """Wait until the result is true, and return it. Fail after a timeout."""
    give_up = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < give_up, "it did not become so"
        time.sleep(0.02)
    return value


def is_dead(process: psutil.Process) -> bool:
    """Whether a process has ended; its parent may not know yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
