"""API keys: random secrets. The database stores only their SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from intertwine.errors import InvalidSetting
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from intertwine_api.storage.database import Database, has_item, now
from intertwine_api.storage.tables import keys
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import MOST_PRIORITY, SCOPES, implied_scopes

_LOG = logging.getLogger("intertwine.service")

#: The most days until a key expires.
MOST_DAYS = 36_500

_DAY = 86_400.0
_PREFIX = "itw"  # by which secret scanners find a leaked key
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_NO_DIGEST = "0" * 64
_NOTED_SECONDS = 60.0  # the precision of `last_used`, which saves writes
_RETRY_SECONDS = 5.0  # until the last uses are written again
_CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class Key:
    """An API key, without its secret. Times are seconds since 1970.

    `priority` is the highest priority of its jobs; admins have no limit.
    """

    id: str
    owner: str
    scopes: tuple[str, ...]
    created: float
    expires: float | None
    last_used: float | None
    revoked: float | None
    priority: int = 0

    def state(self, at: float) -> Literal["active", "expired", "revoked"]:
        """Return whether the key is active at a time, or why it is not."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= at else "active"


#: The fields of a key whose columns hold the same value.
_FIELDS = [field.name for field in fields(Key) if field.name != "scopes"]


@dataclass(frozen=True)
class Caller:
    """The caller of a request; `key_id` is None if the service does not ask for keys.

    `priority` is the highest priority of the key's jobs.
    """

    owner: str
    scopes: frozenset[str]
    key_id: str | None = None
    priority: int = 0

    @property
    def share(self) -> str | None:
        """The owner whose share of the workers this caller uses; None without keys."""
        return None if self.key_id is None else self.owner

    @property
    def is_admin(self) -> bool:
        """Whether the caller may see and do everything."""
        return "admin" in self.scopes

    @property
    def most_priority(self) -> int:
        """The highest priority of the caller's jobs. Only keys of non-admins are limited."""
        return MOST_PRIORITY if self.key_id is None or self.is_admin else self.priority

    def may(self, *scopes: str) -> bool:
        """Whether the caller has one of the scopes."""
        return self.is_admin or not implied_scopes(self.scopes).isdisjoint(scopes)

    def owns(self, owner: str) -> bool:
        """Whether the caller may see what belongs to this owner."""
        return self.is_admin or owner == self.owner

    def require_owner(self, owner: str, refusal: str) -> None:
        """Raise `ProblemError` with ``forbidden`` and the refusal unless the caller `owns` it."""
        if not self.owns(owner):
            raise ProblemError.of("forbidden", f"{refusal}: use a key of {owner}")

    def require_priority(self, priority: int) -> None:
        """Raise `ProblemError` with ``forbidden`` for a job's priority above `most_priority`."""
        if priority > self.most_priority:
            detail = (
                f"jobs of this key have a priority of at most {self.priority}, and this asks for "
                f"{priority}: ask for less, or ask the operator for a key with a larger one"
            )
            raise ProblemError.of("forbidden", detail, limit=self.priority)

    def require(self, *scopes: str) -> None:
        """Raise `ProblemError` with ``forbidden`` unless the caller has one of the scopes."""
        if not self.may(*scopes):
            wanted, given = " or ".join(scopes), ", ".join(sorted(self.scopes)) or "none"
            detail = f"this takes a key with the scope {wanted}, and the scopes of yours: {given}"
            raise ProblemError.of("forbidden", detail)


#: The caller of a service without keys.
LOCAL = Caller("local", frozenset(SCOPES))


class KeyMarker:
    """A file in the data folder, ``keys-required``: the databases that have had a key.

    With it, a service stays closed if its database is lost or loses its keys. To run a service
    without keys again, delete the file as well as the keys.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._path = folder / "keys-required"
        self._name = str(database)
        if database.is_sqlite:  # the folder may be moved
            file = Path(str(database.url.database)).absolute()
            if file.is_relative_to(folder):
                self._name = str(file.relative_to(folder))

    def __bool__(self) -> bool:
        """Whether the database has had a key. True if the file cannot be read."""
        try:
            return self._name in self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError):
            return True

    def set(self) -> None:
        """Add the database to the file. Raises `OSError` if that fails."""
        if not self:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{self._name}\n")


class _KeyUses:
    """Stores the last uses of keys in a thread: authentication does not wait for a write.

    At most one use of each key is kept in memory. If it cannot be written, because the database is
    locked or the disk is full, it is tried again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._uses: dict[str, float] = {}
        self._lock = threading.Lock()
        self._noted, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, key_id: str, at: float) -> None:
        """Note that a key was used, and return at once."""
        with self._lock:
            self._uses[key_id] = at
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="key uses", daemon=True)
                self._thread.start()
        self._noted.set()

    def close(self) -> None:
        """Store the uses that are in memory, for at most some seconds, and end the thread."""
        with self._lock:
            self._closed.set()
            thread = self._thread
        self._noted.set()
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._noted.wait()
            self._noted.clear()
            is_last = self._closed.is_set()
            try:
                self._store()
            except SQLAlchemyError as error:
                _LOG.warning("the last use of keys could not be stored, and is retried: %s", error)
                self._closed.wait(_RETRY_SECONDS)
                self._noted.set()

    def _store(self) -> None:
        with self._lock:
            uses = dict(self._uses)
        if not uses:
            return
        with self._database.write() as connection:
            for key_id, at in uses.items():
                is_later = or_(keys.c.last_used.is_(None), keys.c.last_used < at)
                storing = update(keys).where(keys.c.id == key_id, is_later)
                connection.execute(storing.values(last_used=at))
        with self._lock:
            for key_id, at in uses.items():
                if self._uses[key_id] == at:
                    del self._uses[key_id]


class Keys:
    """The API keys of a database. `folder` is the service's data folder, for `KeyMarker`."""

    def __init__(self, database: Database, folder: Path | None = None) -> None:
        self._database = database
        self._marker = None if folder is None else KeyMarker(folder, database)
        self._uses = _KeyUses(database)

    def create(
        self,
        owner: str,
        scopes: Sequence[str],
        expires: float | None = None,
        priority: int = 0,
        key_id: str | None = None,
    ) -> tuple[Key, str]:
        """Create a key. Return it and its token ``itw_<id>_<secret>``, which is not stored.

        `key_id` is its id, of 16 hexadecimal digits; by default it is random. Raises
        `InvalidSetting` for an invalid owner, scope, priority or time, or a time after `MOST_DAYS`,
        and `ProblemError` with ``wrong-state`` if there is a key with this id.
        """
        if not _OWNER.fullmatch(owner):
            raise InvalidSetting(
                f"the owner of a key cannot be {owner[:100]!r}: give 1 to 64 letters, digits and "
                "._@+-, a letter or digit first"
            )
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            what = f"has the unknown scope {unknown[0]!r}" if unknown else "has no scope"
            raise InvalidSetting(f"the key {what}: the scopes are {', '.join(SCOPES)}")
        if abs(priority) > MOST_PRIORITY:
            raise InvalidSetting(
                f"the highest priority of a key cannot be {priority}: give a number from "
                f"{-MOST_PRIORITY} to {MOST_PRIORITY}"
            )
        secret = secrets.token_urlsafe(32)
        if self._marker is not None:
            self._marker.set()
        with self._database.write() as connection:
            at = float(connection.execute(select(now(connection))).scalar_one())
            _require_to_come(at, expires)
            row = {
                "id": new_id() if key_id is None else key_id,
                "digest": _digest(secret),
                "owner": owner,
                "scopes": [scope for scope in SCOPES if scope in scopes],
                "created": at,
                "expires": expires,
                "priority": priority,
            }
            adding = self._database.insert(keys).values(row).on_conflict_do_nothing()
            added = connection.execute(adding.returning(keys)).one_or_none()
        if added is None:
            raise ProblemError.of(
                "wrong-state",
                f"the key {key_id} was created before, and its secret is shown only once: if it is "
                f"lost, revoke the key and create another",
            )
        return _key_of(added), f"{_PREFIX}_{added.id}_{secret}"

    def find(self, token: str) -> Key | None:
        """Return the key of a token; None if it is unknown, has expired or was revoked.

        Its last use is stored by a thread, within seconds or in `close`, so this waits for no
        write. The time that this takes does not depend on how much of the secret is right.
        """
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        with self._database.read() as connection:
            row = connection.execute(_valid(connection, key_id)).one_or_none()
        known = row.digest if row is not None else _NO_DIGEST
        is_right = hmac.compare_digest(_digest(secret), known)
        if row is None or prefix != _PREFIX or not is_right:
            return None
        if row.last_used is None or row.last_used < row.at - _NOTED_SECONDS:
            self._uses.note(key_id, row.at)
        return _key_of(row)

    def close(self) -> None:
        """Store the last uses of keys, unless the database cannot be written to."""
        self._uses.close()

    def list(self) -> list[Key]:
        """Return all keys, the newest first, with expired and revoked ones."""
        with self._database.read() as connection:
            query = select(keys).order_by(keys.c.created.desc(), keys.c.id)
            return [_key_of(row) for row in connection.execute(query)]

    def page(self, *, owner: str | None = None, skip: int = 0, limit: int = 100) -> Sequence[Key]:
        """Return some keys, those that are active first, then the newest first.

        `skip` keys are left out before them.
        """
        with self._database.read() as connection:
            query = select(keys).order_by(
                not_(and_(*_active(connection))), keys.c.created.desc(), keys.c.id
            )
            if owner is not None:
                query = query.where(keys.c.owner == owner)
            return [_key_of(row) for row in connection.execute(query.offset(skip).limit(limit))]

    def get(self, key_id: str) -> Key | None:
        """Return the key with an id, also an expired or revoked one; None if it is unknown."""
        with self._database.read() as connection:
            row = connection.execute(select(keys).where(keys.c.id == key_id)).one_or_none()
        return None if row is None else _key_of(row)

    def has_other_admin(self, key_id: str) -> bool:
        """Whether a key besides this one is active and has the scope ``admin``."""
        with self._database.read() as connection:
            is_admin = has_item(connection, keys.c.scopes, "admin")
            others = select(keys.c.id).where(keys.c.id != key_id, *_active(connection), is_admin)
            return bool(connection.execute(select(exists(others))).scalar())

    def revoke(self, key_id: str) -> bool:
        """Revoke a key permanently. Return whether it was active."""
        with self._database.write() as connection:
            revoking = update(keys).where(keys.c.id == key_id, keys.c.revoked.is_(None))
            return connection.execute(revoking.values(revoked=now(connection))).rowcount == 1

    def any(self) -> bool:
        """Whether a key was ever created. After that, a service always requires keys."""
        return bool(self._marker) or self._has_rows()

    def remember(self) -> None:
        """Set the marker in the data folder if the database has keys."""
        if self._marker is not None and self._has_rows():
            self._marker.set()

    def _has_rows(self) -> bool:
        with self._database.read() as connection:
            return bool(connection.execute(select(exists(select(keys.c.id)))).scalar())

    def count_active(self) -> int:
        """Return the number of keys that are neither revoked nor expired."""
        with self._database.read() as connection:
            counting = select(func.count()).select_from(keys).where(*_active(connection))
            return int(connection.execute(counting).scalar_one())


def new_id() -> str:
    """Return a random id for a key."""
    return secrets.token_hex(8)


def id_of(token: str) -> str:
    """Return the id in the token of a key; empty if it has none."""
    return token.partition("_")[2].partition("_")[0]


def expiry(days: float) -> float:
    """Return the time at which a key of `days` days expires.

    Raises `InvalidSetting` unless it is positive and at most `MOST_DAYS`.
    """
    if not 0 < days <= MOST_DAYS:
        raise InvalidSetting(
            f"a key cannot expire after {days:.15g} days: give more than 0 and at most "
            f"{MOST_DAYS:,}, or no days for a key that does not expire"
        )
    return time.time() + days * _DAY


def _require_to_come(now: float, expires: float | None) -> None:
    if expires is None:
        return
    if not now < expires < float("inf"):
        raise InvalidSetting("the key would have expired already: give a time in the future")
    if expires > now + (MOST_DAYS + 1) * _DAY:  # a day more: clocks differ
        raise InvalidSetting(
            f"keys expire after at most {MOST_DAYS:,} days: give an earlier time, or none for a "
            f"key that does not expire"
        )


def _valid(connection: Connection, key_id: str) -> Select[Any]:
    query = select(keys, now(connection).label("at"))
    return query.where(keys.c.id == key_id, *_active(connection))


def _active(connection: Connection) -> tuple[ColumnElement[bool], ...]:
    lives = or_(keys.c.expires.is_(None), keys.c.expires > now(connection))
    return keys.c.revoked.is_(None), lives


def _key_of(row: Row[Any]) -> Key:
    values = {name: row._mapping[name] for name in _FIELDS}
    return Key(**values, scopes=tuple(row.scopes))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()
