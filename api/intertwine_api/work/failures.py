"""What ended a job, as a problem document."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from intertwine.errors import IntertwineError

from intertwine_api.wire.problems import Problem, ProblemError, from_error
from intertwine_api.work.executor import Exit
from intertwine_api.work.job import Limits

#: By these a process is ended from outside, whatever it did: the job may try again.
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")

#: The exit code of a job's process that could not say how it ended: the database was away.
UNTOLD = 75


def is_lost(ended: Exit) -> bool:
    """Whether the job was interrupted, rather than ended by what it did."""
    return ended.cause is None and (ended.signal in _FROM_OUTSIDE or ended.code == UNTOLD)


def loss(ended: Exit) -> str:
    """In words, how the process of a job that is lost ended."""
    if ended.signal is None:
        return "its process could not tell how it ended, because the database was away"
    size = _size(ended.peak_bytes)
    return f"its process was ended by {ended.signal}; the largest it was seen at is {size}"


def from_exit(ended: Exit, limits: Limits, log: str) -> Problem:
    """The problem of a process that ended without a word of its own; `log` is its last."""
    took = f"the largest it was seen at is {_size(ended.peak_bytes)}"
    measured = {"peak_bytes": ended.peak_bytes, "limit_bytes": limits.memory, "log": log}
    if ended.cause == "memory":
        return Problem.of(
            "out-of-memory",
            f"the job was ended because it took more than the {_size(limits.memory)} that it may "
            f"have; {took}. Give it more, or less to do at once: a smaller batch, fewer channels",
            **measured,
        )
    if ended.cause == "killed-for-memory":
        return Problem.of(
            "out-of-memory",
            f"the machine had no memory left, and its kernel ended the job, which may have "
            f"{_size(limits.memory)}; {took}. Run fewer jobs at once, or give "
            f"it less to do at once",
            **measured,
        )
    if ended.cause == "time":
        return Problem.of(
            "out-of-time",
            f"the job was ended after {ended.seconds:.0f} seconds; it may take {limits.seconds:g}",
            seconds=ended.seconds,
            limit_seconds=limits.seconds,
            log=log,
        )
    how = ended.signal or f"exit code {ended.code}"
    return Problem.of(
        "worker-died",
        f"the job's process ended by itself with {how} after {ended.seconds:.1f} seconds; {took}. "
        f"Its log may say why",
        peak_bytes=ended.peak_bytes,
        log=log,
        **{"signal": ended.signal} if ended.signal else {"exit_code": ended.code},
    )


def from_exception(error: BaseException, limits: Limits) -> Problem:
    """The problem of what a job raised; what nobody foresaw is in the log alone."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, IntertwineError):
        return from_error(error)
    if any(_is_full_disk(cause) for cause in _causes(error)):
        where = getattr(error, "filename", None)
        return Problem.of(
            "disk-full",
            f"the disk is full{f' at {where}' if where else ''}: make room, and retry the job",
        )
    if _is_lack_of_memory(error):
        return Problem.of(
            "out-of-memory",
            f"memory ran out in the job, which may have {_size(limits.memory)}: "
            f"{_first_line(error) or 'nothing was left'}. "
            f"Give it more, or less to do at once: a smaller batch, fewer channels",
            limit_bytes=limits.memory,
        )
    return Problem.of("internal", "an unexpected error; the log of the job has it")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_full_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # safetensors and SQLite have errors of their own for it
    return "No space left on device" in str(error) or "disk is full" in str(error)


def _is_lack_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    return type(error).__name__ in ("JaxRuntimeError", "XlaRuntimeError") and (
        "RESOURCE_EXHAUSTED" in str(error)
    )


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
