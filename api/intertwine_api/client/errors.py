"""The errors of the client.

Problems with a code of the library are raised as the library's own error, such as `InvalidGroup`.
All other problems are raised as a `ServiceError`, and responses that are not from Intertwine as a
`ForeignAnswer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intertwine import errors
from intertwine.errors import FormatError, IntertwineError, ParseError


class ConnectionFailed(IntertwineError, ConnectionError):
    """The service could not be reached, or did not answer in time, also after retries."""

    code = "connection-failed"


class WaitedTooLong(IntertwineError, TimeoutError):
    """The timeout expired before the result was ready. The work continues at the service."""

    code = "waited-too-long"


class ServiceError(IntertwineError):
    """The service answered with a `problem` document (RFC 9457) with this `code` and `status`.

    `retry_after` is the time of its Retry-After header, in seconds.
    """

    code = "service"

    def __init__(self, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or problem))
        self.problem, self.retry_after = dict(problem), retry_after
        self.code = str(problem.get("code", "service"))  # type: ignore[misc] # per instance
        status = problem.get("status")
        self.status = status if isinstance(status, int) else 500

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem, self.retry_after)


class ForeignAnswer(ServiceError, FormatError):
    """An answer is not in the service's format, such as a login page or an error page of a proxy.

    The message has the address, the status, the content type and the start of the answer.
    """

    code = "foreign-answer"


class JobFailed(ServiceError):
    """A job failed, so it has no result: `job` is its id, `problem` the reason."""

    def __init__(self, job: str, problem: Mapping[str, Any]) -> None:
        super().__init__(problem)
        self.job = job

    def __str__(self) -> str:
        return f"job {self.job} failed: {self.args[0]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job, self.problem)


class JobCancelled(JobFailed):
    """A job was cancelled, so it has no result."""

    def __str__(self) -> str:
        return f"job {self.job} was cancelled: {self.args[0]}"


def detached(message: str) -> KeyboardInterrupt:
    """Return the `KeyboardInterrupt` of Ctrl-C while waiting for a job, which continues.

    A notebook shows the message without a traceback. A subclass would not do: Python signals
    Ctrl-C to the shell only for `KeyboardInterrupt` itself.
    """
    interrupt = KeyboardInterrupt(message)
    vars(interrupt)["_render_traceback_"] = lambda: [message]  # a hook of IPython
    return interrupt


def error_of(problem: Mapping[str, Any], retry_after: float | None = None) -> IntertwineError:
    """Return the exception of a problem document: the library's own if its code has one."""
    kind = _library_errors().get(str(problem.get("code")))
    own: IntertwineError | None = None
    if kind is ParseError:
        own = _parse_error(problem)
    elif kind is not None:
        own = kind(str(problem.get("detail")))
    return own or ServiceError(problem, retry_after)


def _library_errors() -> dict[str, type[IntertwineError]]:
    """Return the library's errors by code."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    own = [kind for kind in kinds if issubclass(kind, IntertwineError)]
    return {kind.code: kind for kind in own if kind is not IntertwineError}


_LONGEST_TEXT = 2**20  # characters of a text with a syntax error


def _parse_error(problem: Mapping[str, Any]) -> ParseError | None:
    """Return the `ParseError` that local parsing raises; None if the problem lacks a part of it.

    The problem contains the text around the offset only, which is the part that is shown.
    """
    offset, expected, caret = (problem.get(name) for name in ("offset", "expected", "caret"))
    if not (isinstance(offset, int) and isinstance(expected, str) and isinstance(caret, str)):
        return None
    if not 0 <= offset <= _LONGEST_TEXT:
        return None
    shown, _, mark = caret.removeprefix("  ").partition("\n")
    column = len(mark) - len("  ^")
    unseen = 0 if column == offset else offset - column + len("…")
    text = " " * unseen + (shown[1:] if unseen else shown)
    _, _, rest = str(problem.get("detail")).partition(f" at character {offset + 1}")
    hint = rest.partition("\n")[0].strip().removeprefix("(").removesuffix(")")
    return ParseError(text, offset, expected, hint)
