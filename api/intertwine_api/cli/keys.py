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
    from intertwine_api.work.key_changes import CreatedKey
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
    from intertwine_api.work.key_changes import create_key, revoke_key
    from intertwine_api.work.logs import audited_command

    expires = None if days is None else expiry(days)
    is_new = not has_database(settings)
    with common.open_database(settings) as database, audited_command(settings.home):
        keys = Keys(database, settings.home)
        created = create_key(keys, None, owner, scopes or USER_SCOPES, expires, priority)
        try:
            _show(created, as_json)
        except OSError as error:  # the disk is full, or standard output is closed
            revoke_key(keys, None, created.key.id)
            error.add_note(f"the key could not be shown and was revoked: {created.key.id}")
            raise
    if not as_json:
        place = f"the new database {database}" if is_new else f"the database {database}"
        first = f"A key was created in {place}. It is valid for a service with this database."
        print("\n".join([first, *created.notes]), file=sys.stderr)


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
    from intertwine_api.work.key_changes import revoke_key
    from intertwine_api.work.logs import audited_command

    with existing_database(settings) as database, audited_command(settings.home):
        revoked = revoke_key(Keys(database), None, key_id)
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


def _show(created: CreatedKey, as_json: bool) -> None:
    if as_json:
        common.print_json({**_document(created.key), "key": created.token})
    else:
        print(created.token)
    sys.stdout.flush()


def _document(key: Key) -> dict[str, Any]:
    times = {n: _time(getattr(key, n)) for n in ("created", "expires", "last_used", "revoked")}
    return {**asdict(key), **times}


def _row(key: Key) -> tuple[str, ...]:
    state = key.state(time.time())
    times = (_time(at) or "-" for at in (key.created, key.expires, key.last_used))
    return (key.id, key.owner, ",".join(key.scopes), *times, "" if state == "active" else state)


def _time(at: float | None) -> str | None:
    """Return a time in ISO 8601, at most the end of the year 9999."""
    if at is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(at, _LAST_SECOND)))
