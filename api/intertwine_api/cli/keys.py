"""`intertwine keys`: who may use a service on this machine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine_api.cli import common
from intertwine_api.wire.vocabulary import SCOPES

if TYPE_CHECKING:
    from intertwine_api.storage.database import Database
    from intertwine_api.storage.keys import Key
    from intertwine_api.work.settings import Settings


_EXAMPLES = """\
  intertwine keys create alice
  intertwine keys create robot --scope models:forward --days 365
  intertwine keys create boss --scope admin
  intertwine keys list
  intertwine keys revoke 3f2a9c0b7d1e4f58
"""
_LAST_SECOND = 253_402_300_799.0  # of the year 9999, past which no date is written


def add_to(commands: Any) -> None:
    """Describe the command and its actions."""
    parser = common.add_command(
        commands,
        "keys",
        "Make API keys for the service of this machine, or revoke them.",
        _EXAMPLES,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = _action(actions, "create", run_create, "make a key, and print it, this once")
    create.add_argument("owner", metavar="OWNER", help="who it is for; jobs belong to them")
    create.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="what it is for, once or more (default: all but admin, which stands for all)",
    )
    create.add_argument("--days", type=float, help="for how many days (for ever)")
    _action(actions, "list", run_list, "every key, without its secret")
    revoke = _action(actions, "revoke", run_revoke, "let a key count no more, for ever")
    revoke.add_argument("id", metavar="ID", help="the id of a key, which is in it: itw_ID_…")


def run_create(arguments: argparse.Namespace) -> int:
    """Print the key alone, for scripts, and what to do with it beside it."""
    from intertwine_api.storage.keys import Keys, expiry

    expires = None if arguments.days is None else expiry(arguments.days)
    settings = _settings(arguments)
    is_new = not has_database(settings)
    with common.open_database(settings) as database:
        keys = Keys(database)
        is_first = not keys.any()
        key, token = keys.create(arguments.owner, arguments.scope or SCOPES[:-1], expires)
        try:
            _show(key, token, arguments)
        except OSError as error:  # the disk is full, or nobody reads it
            keys.revoke(key.id)
            error.add_note(f"the key could not be shown, and is revoked: {key.id}")
            raise
    if not arguments.json:
        _explain(key, database, is_new=is_new, is_first=is_first)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print a line for each key."""
    from intertwine_api.storage.keys import Keys

    with _known_database(arguments) as database:
        found = Keys(database).list()
    if arguments.json:
        common.print_json([_document(key) for key in found])
    else:
        columns = ("id", "owner", "scopes", "created", "expires", "last used", "")
        common.print_columns(columns, map(_row, found))
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """Revoke a key."""
    from intertwine.errors import NotFound

    from intertwine_api.storage.keys import Keys

    with _known_database(arguments) as database:
        revoked = Keys(database).revoke(arguments.id)
    if not revoked:
        raise NotFound(f"there is no key {arguments.id} that counts; see intertwine keys list")
    if arguments.json:
        common.print_json({"revoked": arguments.id})
    else:
        print(f"{arguments.id} counts no more, within a few seconds")
    return 0


def has_database(settings: Settings) -> bool:
    """Whether there is a database: the file of SQLite's, which to open would make.

    A server of PostgreSQL says by itself that it has none of a name.
    """
    from intertwine_api.storage.database import Database

    database = Database(settings.database_url)  # which connects to nothing yet
    return not database.is_sqlite or Path(str(database.url.database)).is_file()


def _action(actions: Any, name: str, run: Callable[..., int], summary: str) -> Any:
    parser = actions.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    common.add_host(parser)
    parser.set_defaults(run=run)
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    return common.read_settings(arguments, "data", "database")


@contextmanager
def _known_database(arguments: argparse.Namespace) -> Iterator[Database]:
    """The service's database. Raises `NotFound` where there is none: a look makes nothing."""
    from intertwine.errors import NotFound

    settings = _settings(arguments)
    if not has_database(settings):
        raise NotFound(
            f"there is no database {settings.database_url} yet, and so no key: name the folder of "
            f"the service's data with --data, or its database with --database"
        )
    with common.open_database(settings) as database:
        yield database


def _show(key: Key, token: str, arguments: argparse.Namespace) -> None:
    if arguments.json:
        common.print_json({**_document(key), "key": token})
    else:
        print(token)
    sys.stdout.flush()


def _explain(key: Key, database: Database, *, is_new: bool, is_first: bool) -> None:
    place = f"the new database {database}" if is_new else f"the database {database}"
    lines = [
        f"A key is made in {place}: it counts for a service that has this one.",
        f"This is the key of {key.owner}, for {', '.join(key.scopes)}. It is shown this once: "
        f"keep it, as INTERTWINE_KEY in the environment.",
    ]
    if is_first:
        lines.append("It is the first: from now on the service asks everybody for one.")
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
    """A time as ISO 8601 has it; one past the year 9999 as the end of that."""
    if at is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(at, _LAST_SECOND)))
