"""The clock that all who share a database share."""

from __future__ import annotations

import time

from sqlalchemy import Connection, Float, cast, func, literal
from sqlalchemy.sql.elements import ColumnElement


def now(connection: Connection) -> ColumnElement[float]:
    """Seconds since 1970, as SQL: by the clock of PostgreSQL's host, or of SQLite's, which is ours.

    Leases are compared by it, so that hosts whose clocks differ take no jobs from each other.
    """
    if connection.dialect.name == "sqlite":
        return literal(time.time())
    return cast(func.extract("epoch", func.clock_timestamp()), Float)
