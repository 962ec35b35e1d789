"""The logs of a service: messages, requests, and the audit log.

Records have `fields` besides their message. `JsonFormatter` writes one JSON object a line, and
`TextFormatter` a line of text. Audit records also go to the file ``audit.jsonl`` in the data
folder, which commands on the service's machine share.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from intertwine_api.storage.keys import Caller
from intertwine_api.work import traces
from intertwine_api.work.settings import Settings

#: The id of the request that is being answered.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

_AUDIT = logging.getLogger("intertwine.audit")
_FILE = "audit.jsonl"


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object with time, level, logger, message and fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record. `exception` is the traceback of its exception."""
        document = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


class TextFormatter(logging.Formatter):
    """Formats a record as text: time, logger, level, message, and the fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with its traceback below."""
        fields = "".join(f" {name}={json.dumps(v)}" for name, v in _fields_of(record).items())
        message = f"{record.name} {record.levelname} {record.getMessage()}{fields}"
        text = f"{_time_of(record)} {message}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _time_of(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record, and the ids of the request and trace that it belongs to."""
    ids = {"request_id": REQUEST_ID.get(), "trace_id": traces.trace_id()}
    return {
        **{name: value for name, value in ids.items() if value},
        **getattr(record, "fields", {}),
    }


def configure_logging(settings: Settings) -> None:
    """Write the log of this process to standard error, and its audit records to their file too."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("intertwine").setLevel(logging.INFO)
    _AUDIT.addHandler(_AuditFile(settings.home, settings.audit_bytes))


def audit(action: str, caller: Caller | str | None, **subject: Any) -> None:
    """Log an action of a caller on a subject.

    The caller may also be the name of a part of the service, or None for a command on its machine.
    """
    if caller is None:
        who = {"by": f"{_user()} with the command line"}
    elif isinstance(caller, str):
        who = {"by": caller}
    else:
        who = {"by": caller.owner, "key": caller.key_id or "none"}
    _AUDIT.info(action, extra={"fields": {**who, **subject}})


@contextmanager
def audited_command(home: Path) -> Iterator[None]:
    """Write the audit records of a block only to the file in the data folder."""
    handler = _AuditFile(home)
    propagate, level = _AUDIT.propagate, _AUDIT.level
    _AUDIT.addHandler(handler)
    _AUDIT.setLevel(logging.INFO)
    _AUDIT.propagate = False
    try:
        yield
    finally:
        _AUDIT.propagate = propagate
        _AUDIT.setLevel(level)
        _AUDIT.removeHandler(handler)
        handler.close()


class _AuditFile(WatchedFileHandler):
    """Appends to a file that any process may rotate. After a rotation, it is opened again.

    A file above `limit` bytes is renamed to ``audit.TIME.jsonl``, by one process at a time.
    Commands do not rotate it.
    """

    def __init__(self, home: Path, limit: float = math.inf) -> None:
        home.mkdir(parents=True, exist_ok=True)
        super().__init__(home / _FILE, encoding="utf-8", delay=True)
        self.setFormatter(JsonFormatter())
        self._file, self._limit = home / _FILE, limit

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. If the file cannot be rotated, it grows.

        If it cannot be opened, the record is in the log alone: what it reports is already done.
        """
        try:
            self._rotate()
        except OSError:
            self.handleError(record)
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def _rotate(self) -> None:
        if not self._is_full():
            return
        from filelock import FileLock

        with FileLock(f"{self._file}.lock"):
            if self._is_full():  # no other process has rotated it
                now = time.time()
                at = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
                self._file.rename(self._file.with_name(f"audit.{at}.{now % 1 * 1e6:06.0f}Z.jsonl"))

    def _is_full(self) -> bool:
        try:
            return self._file.stat().st_size >= self._limit
        except FileNotFoundError:
            return False


def rotated_audit_files(home: Path) -> list[Path]:
    """Return the rotated files of the audit log, oldest first."""
    return sorted(home.glob("audit.*Z.jsonl"))


def _user() -> str:
    """Return the name of the operating system's user, or its number."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user id without a name
        return f"user {os.getuid()}"
