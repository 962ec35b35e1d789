"""Outages of the database and of the bucket: recognise their errors, and retry calls."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from intertwine_api.storage.bucket import BucketUnavailable

_LOG = logging.getLogger("intertwine.database")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0  # seconds between two attempts
_TOLD_EVERY = 30.0  # seconds between two lines of the log
_LOGIC_ERROR = 1  # SQLite's code of an error in the statement, such as a missing table
_READ_ONLY = "25006"  # PostgreSQL's code of a write to a standby, after a failover

_Value = TypeVar("_Value")
_Class = TypeVar("_Class", bound=type)


def is_outage(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, means an outage of the database or bucket.

    It cannot be reached, is starting or stopping, is locked by another process, has no room, or has
    closed the connection. The same call can succeed later.
    """
    return any(map(_is_outage, _causes(error)))


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, NoConnection | BucketUnavailable):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or getattr(error.orig, "sqlstate", None) == _READ_ONLY:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    return isinstance(error, OperationalError | InterfaceError) and code != _LOGIC_ERROR


def cause_of_outage(error: BaseException) -> str:
    """Return what is unavailable, in words."""
    is_bucket = any(isinstance(cause, BucketUnavailable) for cause in _causes(error))
    return "the bucket is unavailable" if is_bucket else "the database is unavailable"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def retry(call: Callable[[], _Value], seconds: float) -> _Value:
    """Return the result of a call, which is repeated for up to `seconds` during an outage.

    Raises other errors of the call at once, and the error of an outage that lasts longer.
    """
    begun, told, pause = time.monotonic(), -_TOLD_EVERY, _FIRST_PAUSE
    while True:
        try:
            return call()
        except Exception as error:
            waited = time.monotonic() - begun
            if waited + pause > seconds or not is_outage(error):
                raise
            if waited - told >= _TOLD_EVERY:
                told = waited
                what = cause_of_outage(error)
                _LOG.warning("%s, and the call is retried: %s", what, error)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


class _Patient(Protocol):
    @property
    def patience(self) -> float: ...


def retried(cls: _Class) -> _Class:
    """Retry each public method of a class during outages, for the patience of its `_database`.

    Each method must be one transaction, or several that may be repeated. Methods whose name ends
    in ``_in`` belong to a transaction of their caller, which is repeated as a whole. A subclass
    must be decorated too.
    """
    for name, method in list(vars(cls).items()):
        is_own = name.startswith("_") or name.endswith("_in") or not inspect.isfunction(method)
        if not is_own:
            setattr(cls, name, _retried(method))
    return cls


def _retried(method: Callable[..., _Value]) -> Callable[..., _Value]:
    @wraps(method)
    def call(self: Any, *arguments: Any, **named: Any) -> _Value:
        database: _Patient = self._database
        if not database.patience:
            return method(self, *arguments, **named)
        return retry(lambda: method(self, *arguments, **named), database.patience)

    return call
