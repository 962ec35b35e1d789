"""The exit codes of the program, by which a script tells what went wrong."""

from __future__ import annotations

FAILED = 1
BAD_INPUT = 2
UNREACHABLE = 3


def exit_code(error: Exception) -> int:
    """What a script is told of an error that is no failed solve."""
    from intertwine_api.client.errors import (
        ConnectionFailed,
        JobFailed,
        ServiceError,
        WaitedTooLong,
    )

    if isinstance(error, ConnectionFailed):
        return UNREACHABLE
    its_fault = isinstance(error, ServiceError) and error.status >= 500
    return FAILED if its_fault or isinstance(error, JobFailed | WaitedTooLong) else BAD_INPUT
