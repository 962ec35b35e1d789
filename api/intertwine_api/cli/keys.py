"""`intertwine keys`: the API keys of this machine's service."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common
from intertwine_api.wire.vocabulary import MOST_PRIORITY, SCOPES, USER_SCOPES

if TYPE_CHECKING:
    from intertwine_api.storage.database import Database
    from intertwine_api.storage.keys import Key
    from intertwine_api.work.settings import Settings


_EXAMPLES = """\
  intertwine keys create alice
  intertwine keys create robot --scope models:forward --days 365
  intertwine keys create boss --scope admin
  intertwine keys create urgent --priority 10
  intertwine keys list
  intertwine keys revoke 3f2a9c0b7d1e4f58
"""
_LAST_SECOND = 253_402_300_799.0  # of the year 9999, past which no date is written


group = common.CommandGroup(
    "keys", "Create, list or revoke API keys of this machine's service.", common.examples(_EXAMPLES)
)


@group.command("create")
@click.argument("owner", metavar="OWNER", help="The owner of the key, and of its jobs.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="A scope of the key; may be repeated (default: all but metrics:read and admin; admin "
    "implies all).",
)
@click.option("--days", type=float, help="The days until the key expires (default: never).")
@click.option(
    "--priority",
    type=click.IntRange(-MOST_PRIORITY, MOST_PRIORITY),
    default=0,
    help="The highest priority of the key's jobs (default 0; admins have no limit).",
)
@common.as_json
@common.with_settings
def create(
    settings: Settings,
    owner: str,
    scopes: Sequence[str],
    days: float | None,
    priority: int,
    as_json: bool,
) -> None:
    """Create a key, and print it this once."""
    from intertwine_api.storage.keys import Keys, expiry
    from intertwine_api.work.logs import audit, audited_command

    expires = None if days is None else expiry(days)
    is_new = not has_database(settings)
    with common.open_database(settings) as database:
        keys = Keys(database, settings.home)
        is_first = not keys.any()
        key, token = keys.create(owner, scopes or USER_SCOPES, expires, priority)
        with audited_command(settings.home):
            audit("key created", None, id=key.id, owner=owner, scopes=list(key.scopes))
        try:
            _show(key, token, as_json)
        except OSError as error:  # the disk is full, or standard output is closed
            keys.revoke(key.id)
            with audited_command(settings.home):
                audit("key revoked", None, id=key.id)
            error.add_note(f"the key could not be shown and was revoked: {key.id}")
            raise
    if not as_json:
        _explain(key, database, is_new=is_new, is_first=is_first)


@group.command("list")
@common.as_json
@common.with_settings
def print_list(settings: Settings, as_json: bool) -> None:
    """List every key, without its secret."""
    from intertwine_api.storage.keys import Keys

    with existing_database(settings) as database:
        found = Keys(database).list()
    if as_json:
        common.print_json([_document(key) for key in found])
    else:
        columns = ("id", "owner", "scopes", "created", "expires", "last used", "")
        common.print_columns(columns, map(_row, found))


@group.command("revoke")
@click.argument("key_id", metavar="ID", help="The id of a key, which is part of it: itw_ID_…")
@common.as_json
@common.with_settings
def revoke(settings: Settings, key_id: str, as_json: bool) -> None:
    """Revoke a key permanently."""
    from intertwine.errors import NotFound

    from intertwine_api.storage.keys import Keys
    from intertwine_api.work.logs import audit, audited_command

    with existing_database(settings) as database:
        revoked = Keys(database).revoke(key_id)
        if revoked:
            with audited_command(settings.home):
                audit("key revoked", None, id=key_id)
    if not revoked:
        raise NotFound(f"there is no active key {key_id}; see intertwine keys list")
    if as_json:
        common.print_json({"revoked": key_id})
    else:
        print(f"{key_id} is revoked; the service rejects it within a few seconds")


def has_database(settings: Settings) -> bool:
    """Return whether the database exists, without creating the file of SQLite.

    True for PostgreSQL, whose server reports a missing database.
    """
    from intertwine_api.storage.database import Database

    database = Database(settings.database_url)  # does not connect yet
    return not database.is_sqlite or Path(str(database.url.database)).is_file()


@contextmanager
def existing_database(settings: Settings) -> Iterator[Database]:
    """Open the service's database. Raises `NotFound` if it does not exist, and creates nothing."""
    from intertwine.errors import NotFound

    if not has_database(settings):
        raise NotFound(
            f"there is no database {settings.database_url}: name the folder of "
            f"the service's data with --data, or its database with --database"
        )
    with common.open_database(settings) as database:
        yield database


def _show(key: Key, token: str, as_json: bool) -> None:
    if as_json:
        common.print_json({**_document(key), "key": token})
    else:
        print(token)
    sys.stdout.flush()


def _explain(key: Key, database: Database, *, is_new: bool, is_first: bool) -> None:
    place = f"the new database {database}" if is_new else f"the database {database}"
    lines = [
        f"A key was created in {place}. It is valid for a service with this database.",
        f"This is the key of {key.owner}, for {', '.join(key.scopes)}. It is shown only once: "
        f"keep it, as INTERTWINE_KEY in the environment.",
    ]
    if is_first:
        lines.append("It is the first key: from now on the service requires one.")
    print("\n".join(lines), file=sys.stderr)


def _document(key: Key) -> dict[str, Any]:
    times = {n: _time(getattr(key, n)) for n in ("created", "expires", "last_used", "revoked")}
    return {**asdict(key), **times}


def _row(key: Key) -> tuple[str, ...]:
    has_expired = key.expires is not None and key.expires <= time.time()
    state = "revoked" if key.revoked is not None else "expired" if has_expired else ""
    times = (_time(at) or "-" for at in (key.created, key.expires, key.last_used))
    return (key.id, key.owner, ",".join(key.scopes), *times, state)


def _time(at: float | None) -> str | None:
    """Return a time in ISO 8601, at most the end of the year 9999."""
    if at is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(at, _LAST_SECOND)))
