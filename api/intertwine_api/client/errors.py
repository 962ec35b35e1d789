"""What can go wrong between this machine and a service.

The library's own errors come back as themselves: a group that cannot be used is an `InvalidGroup`
wherever it was looked at. What only a service can say is a `ServiceError` with its problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from intertwine.errors import IntertwineError, ParseError


class ConnectionFailed(IntertwineError, ConnectionError):
    """The service could not be asked, or did not answer in time; trying again did not help."""

    code = "connection-failed"


class WaitedTooLong(IntertwineError, TimeoutError):
    """What was waited for did not come in the time that was given; it goes on at the service."""

    code = "waited-too-long"


class ServiceError(IntertwineError):
    """The service answered with a problem (RFC 9457): its `code`, its `status`, all of it.

    `retry_after` is for how many seconds it asked not to be asked again.
    """

    code = "service"

    def __init__(self, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or problem))
        self.problem, self.retry_after = dict(problem), retry_after
        self.code = str(problem.get("code", "service"))  # type: ignore[misc] # one class for many
        self.status = int(problem.get("status", 500))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem, self.retry_after)


class JobFailed(ServiceError):
    """A job whose result was asked for has failed: `job` is its id, `problem` what ended it."""

    def __init__(self, job: str, problem: Mapping[str, Any]) -> None:
        super().__init__(problem)
        self.job = job

    def __str__(self) -> str:
        return f"job {self.job} failed: {self.args[0]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job, self.problem)


class JobCancelled(JobFailed):
    """A job whose result was asked for was cancelled."""

    def __str__(self) -> str:
        return f"job {self.job} was cancelled: {self.args[0]}"


def detached(message: str) -> KeyboardInterrupt:
    """What Ctrl-C becomes while a job is waited for, which goes on: `message` says how to return.

    A notebook shows the message alone, without a traceback. It is no class of its own: Python
    ends a script, and tells the shell of Ctrl-C, for `KeyboardInterrupt` itself.
    """
    interrupt = KeyboardInterrupt(message)
    vars(interrupt)["_render_traceback_"] = lambda: [message]  # IPython asks for it
    return interrupt


def error_of(problem: Mapping[str, Any], retry_after: float | None = None) -> IntertwineError:
    """The exception for a problem document: the library's own where its code names one."""
    kind = _library_errors().get(str(problem.get("code")))
    own: IntertwineError | None = None
    if kind is ParseError:
        own = _parse_error(problem)
    elif kind is not None:
        own = kind(str(problem.get("detail")))
    return own or ServiceError(problem, retry_after)


def _library_errors() -> dict[str, type[IntertwineError]]:
    """The library's errors by their codes."""

    def below(kind: type[IntertwineError]) -> Iterator[type[IntertwineError]]:
        for inner in kind.__subclasses__():
            yield inner
            yield from below(inner)

    home = IntertwineError.__module__
    return {kind.code: kind for kind in below(IntertwineError) if kind.__module__ == home}


def _parse_error(problem: Mapping[str, Any]) -> ParseError | None:
    """The complaint as it would have been made here; None where the problem lacks a part of it.

    The whole text does not come back, but its part around the offset, which is what is shown.
    """
    offset, expected, caret = (problem.get(name) for name in ("offset", "expected", "caret"))
    if not (isinstance(offset, int) and isinstance(expected, str) and isinstance(caret, str)):
        return None
    shown, _, mark = caret.removeprefix("  ").partition("\n")
    column = len(mark) - len("  ^")
    unseen = 0 if column == offset else offset - column + len("…")
    text = " " * unseen + (shown[1:] if unseen else shown)
    _, _, rest = str(problem.get("detail")).partition(f" at character {offset + 1}")
    hint = rest.partition("\n")[0].strip().removeprefix("(").removesuffix(")")
    return ParseError(text, offset, expected, hint)
