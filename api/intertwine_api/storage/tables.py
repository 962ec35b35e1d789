"""The tables. Times are seconds since 1970 in UTC; documents are JSON.

A change here needs a migration in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator


class Text(TypeDecorator[str]):
    """A text. NUL and lone surrogates, which no database can hold, are written as escapes.

    Texts that a column is compared with are escaped too.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as it is stored."""
        return None if value is None else plain(value)


class Document(TypeDecorator[Any]):
    """A JSON document, as `plain` returns it; None is SQL's null."""

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return the document as it is stored."""
        return plain(value)


def plain(value: Any) -> Any:
    """Return a document that JSON and both databases can hold; non-finite numbers become None.

    >>> plain({"loss": float("nan"), "note": ("a" + chr(0), 1)})
    {'loss': None, 'note': ['a\\\\x00', 1]}
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


_NAMES = {  # so that a migration can name what it changes, on either database
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=_NAMES)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text(32), primary_key=True),
    Column("kind", Text(16), nullable=False),
    Column("state", Text(16), nullable=False),
    Column("reason", Text, nullable=False),  # why it is in this state
    Column("owner", Text(64), nullable=False),
    Column("name", Text(128), nullable=False),
    Column("labels", Document, nullable=False),  # a list of texts
    Column("priority", Integer, nullable=False),  # larger ones run first
    Column("request", Document, nullable=False),  # completed by validation
    Column("subject", Text(64)),  # such as the key of the basis that the job solves
    Column("idempotency_key", Text(255)),
    Column("request_digest", Text(64), nullable=False),
    Column("attempt", Integer, nullable=False),  # the fencing token: counted up by every claim
    Column(
        "attempts_limit", Integer, nullable=False
    ),  # the most lost attempts in succession without a new checkpoint
    Column("attempts_most", Integer, nullable=False),  # the last value that `attempt` may have
    Column("not_before", Float, nullable=False),
    Column("seconds_limit", Float, nullable=False),
    Column("memory_limit", BigInteger, nullable=False),
    Column("host", Text(255)),  # where it runs
    Column("external_id", Text(255)),  # the id of the executor
    Column("lease_expires", Float),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("progress", Document),
    Column("result", Document),
    Column("problem", Document),
    Column("last_event", Integer, nullable=False),
    UniqueConstraint("owner", "idempotency_key"),
    Index(None, "state", "priority", "created"),
    Index(None, "owner", "created"),
    Index(None, "subject", "created"),
    Index(None, "created"),
)

events = Table(
    "job_events",
    metadata,
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("type", Text(16), nullable=False),
    Column("data", Document, nullable=False),
)

metrics = Table(
    "job_metrics",
    metadata,
    Column("job", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("train_loss", Float),  # null where it is not a finite number
    Column("test_loss", Float),
    Column("validation_loss", Float),
    Column("learning_rate", Float),
    Column("seconds", Float, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Text(64), primary_key=True),  # the sha256 of its file
    Column("owner", Text(64), primary_key=True),  # every owner of the same samples has a row
    Column("name", Text(128), nullable=False),
    Column("rep_in", Text),
    Column("rep_out", Text),
    Column("group", Document),  # a text, or generators
    Column("samples", Integer, nullable=False),
    Column("inputs", Document, nullable=False),  # {"shape": […], "dtype": …}
    Column("targets", Document, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", Float, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("name", Text(128), primary_key=True),
    Column("owner", Text(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("last_version", Integer, nullable=False),
)

versions = Table(
    "model_versions",
    metadata,
    Column("model", ForeignKey("models.name", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("job", Text(32)),  # the job may have been deleted
    Column("config", Document, nullable=False),
    Column("weights", Text(64), nullable=False),  # the digest of the blob
    Column("bytes", BigInteger, nullable=False),
    Column("metrics", Document, nullable=False),
    Column("equivariance_error", Float),
    Column("is_equivariant", Boolean, nullable=False),
    Column("provenance", Document, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("job"),
)

keys = Table(
    "api_keys",
    metadata,
    Column("id", Text(16), primary_key=True),
    Column("digest", Text(64), nullable=False),  # the sha256 of the secret
    Column("owner", Text(64), nullable=False),
    Column("scopes", Document, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("last_used", Float),
    Column("revoked", Float),
    Column("priority", Integer, nullable=False, server_default="0"),  # the highest of its jobs
)

uploaded_weights = Table(
    "uploaded_weights",
    metadata,
    Column("owner_digest", Text(64), primary_key=True),  # the sha256 of the owner's name
    Column("digest", Text(64), primary_key=True),  # of the weights
    Column("bytes", BigInteger, nullable=False),
)

identity = Table(
    "identity",
    metadata,
    Column(
        "one", Integer, primary_key=True, autoincrement=False
    ),  # always 1: the table has one row
    Column("id", Text(32), nullable=False),  # as in the data folder (see `storage.identity`)
    Column("created", Float, nullable=False),
)

solving = Table(
    "solving",
    metadata,
    Column("key", Text(64), primary_key=True),  # the basis that a process solves for
    Column("holder", Text(32), nullable=False),  # a random token of this one solve
    Column("places", Document, nullable=False),  # a list of the tiers that will have the result
    Column("until", Float, nullable=False),  # when the lease expires
)
