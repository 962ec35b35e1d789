"""Why work failed, as problem documents: jobs, and the solves of worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from intertwine.errors import IntertwineError
from intertwine.memory import is_lack_of_memory
from intertwine.whole_files import is_full_disk

from intertwine_api.storage.bucket import BucketError
from intertwine_api.wire.problems import Problem, ProblemError, from_error
from intertwine_api.work.executor import Exit
from intertwine_api.work.job import Limits

#: Signals that end a process from outside, whatever it did: the job may be retried.
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")

_ADVICE = "Give it more, or less to do at once: a smaller batch, fewer channels"

#: The exit code of a job's process after a long outage of the database or the bucket.
UNTOLD = 75


def out_of_memory(work: str, limit: int, advice: str = "", **measured: Any) -> Problem:
    """Return the problem of work that took more than `limit` bytes, in whichever process."""
    detail = f"{work} took more than the {_size(limit)} of memory that it may have{advice}"
    return Problem.of("out-of-memory", detail, limit_bytes=limit, **measured)


def out_of_time(work: str, limit: float, took: float, **measured: Any) -> Problem:
    """Return the problem of work that was ended after `took` seconds, in whichever process."""
    detail = f"{work} was ended after {took:.3g} seconds; it may take {limit:g}"
    return Problem.of("out-of-time", detail, limit_seconds=limit, **measured)


def died(work: str, how: str, more: str = "", **measured: Any) -> Problem:
    """Return the problem of work whose process ended by itself, by a signal or an exit code."""
    return Problem.of(
        "worker-died", f"the process of {work} ended by itself with {how}{more}", **measured
    )


def is_lost(ended: Exit) -> bool:
    """Whether the job was interrupted, rather than ended by what it did."""
    return ended.cause is None and (ended.signal in _FROM_OUTSIDE or ended.code == UNTOLD)


def loss(ended: Exit) -> str:
    """Return how the process of a lost job ended, in words."""
    if ended.signal is None:
        return (
            "its process could not tell how it ended, because the database or the bucket was "
            "unavailable"
        )
    size = _size(ended.peak_bytes)
    return f"its process was ended by {ended.signal}; the largest it was seen at is {size}"


def from_exit(ended: Exit, limits: Limits, log: str) -> Problem:
    """Return the problem of a process that ended without a report; `log` is the end of its log."""
    took = f"; the largest it was seen at is {_size(ended.peak_bytes)}"
    measured = {"peak_bytes": ended.peak_bytes, "log": log}
    if ended.cause == "memory":
        return out_of_memory("the job", limits.memory, f"{took}. {_ADVICE}", **measured)
    if ended.cause == "killed-for-memory":
        return Problem.of(
            "out-of-memory",
            f"the machine had no memory left, and its kernel ended the job, which may have "
            f"{_size(limits.memory)}{took}. Run fewer jobs at once, or give it less to do at once",
            limit_bytes=limits.memory,
            **measured,
        )
    if ended.cause == "time":
        return out_of_time("the job", limits.seconds, ended.seconds, seconds=ended.seconds, log=log)
    how = ended.signal or f"exit code {ended.code}"
    measured |= {"signal": ended.signal} if ended.signal else {"exit_code": ended.code}
    after = f" after {ended.seconds:.1f} seconds{took}. Its log may say why"
    return died("the job", how, after, **measured)


def from_exception(error: BaseException, limits: Limits) -> Problem:
    """Return the problem of what a job raised; only its log describes an unexpected error."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, IntertwineError):
        return from_error(error)
    refused = next((cause for cause in _causes(error) if isinstance(cause, BucketError)), None)
    if refused is not None:
        return Problem.of(
            "not-ready",
            f"the bucket of the service refuses a request ({refused}): its operator must correct "
            f"its address or its credentials; then retry the job",
        )
    if any(is_full_disk(cause) for cause in _causes(error)):
        where = getattr(error, "filename", None)
        return Problem.of(
            "disk-full",
            f"the disk is full{f' at {where}' if where else ''}: make room, and retry the job",
        )
    if is_lack_of_memory(error):
        why = _first_line(error) or "nothing was left"
        return out_of_memory("the job", limits.memory, f" ({why}). {_ADVICE}")
    return Problem.of("internal", "an unexpected error; the log of the job has it")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
