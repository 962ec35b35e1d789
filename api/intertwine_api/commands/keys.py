"""`intertwine keys`: who may use a service on this machine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from intertwine_api.commands import common
from intertwine_api.scopes import SCOPES

if TYPE_CHECKING:
    from intertwine_api.keys import Key, Keys

_EXAMPLES = """\
  intertwine keys create alice
  intertwine keys create robot --scope models:forward --days 365
  intertwine keys create boss --scope admin
  intertwine keys list
  intertwine keys revoke 3f2a9c0b7d1e4f58
"""
_DAY = 86_400.0


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
    expires = None if arguments.days is None else time.time() + arguments.days * _DAY
    with _keys(arguments) as keys:
        is_first = not keys.any()
        key, token = keys.create(arguments.owner, arguments.scope or SCOPES[:-1], expires)
    if arguments.json:
        common.print_json({**_document(key), "key": token})
        return 0
    print(token, flush=True)
    print(
        f"This is the key of {key.owner}, for {', '.join(key.scopes)}. It is shown this once: "
        f"keep it, as INTERTWINE_KEY in the environment.",
        file=sys.stderr,
    )
    if is_first:
        print("It is the first: from now on the service asks everybody for one.", file=sys.stderr)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print a line for each key."""
    with _keys(arguments) as keys:
        found = keys.list()
    if arguments.json:
        common.print_json([_document(key) for key in found])
    else:
        columns = ("id", "owner", "scopes", "created", "expires", "last used", "")
        common.print_columns(columns, map(_row, found))
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """Revoke a key."""
    from intertwine.errors import NotFound

    with _keys(arguments) as keys:
        revoked = keys.revoke(arguments.id)
    if not revoked:
        raise NotFound(f"there is no key {arguments.id} that counts; see intertwine keys list")
    if arguments.json:
        common.print_json({"revoked": arguments.id})
    else:
        print(f"{arguments.id} counts no more, within a few seconds")
    return 0


def _action(actions: Any, name: str, run: Callable[..., int], summary: str) -> Any:
    parser = actions.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    common.add_host(parser)
    parser.set_defaults(run=run)
    return parser


@contextmanager
def _keys(arguments: argparse.Namespace) -> Iterator[Keys]:
    """The keys of the service's database."""
    from intertwine_api.keys import Keys

    settings = common.read_settings(arguments, "data", "database")
    with common.open_database(settings) as database:
        yield Keys(database)


def _document(key: Key) -> dict[str, Any]:
    times = {n: _time(getattr(key, n)) for n in ("created", "expires", "last_used", "revoked")}
    return {**asdict(key), **times}


def _row(key: Key) -> tuple[str, ...]:
    has_expired = key.expires is not None and key.expires <= time.time()
    state = "revoked" if key.revoked is not None else "expired" if has_expired else ""
    times = (_time(at) or "-" for at in (key.created, key.expires, key.last_used))
    return (key.id, key.owner, ",".join(key.scopes), *times, state)


def _time(at: float | None) -> str | None:
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
