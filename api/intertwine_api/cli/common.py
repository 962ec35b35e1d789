"""What the commands share: reading a rep with its group, and printing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intertwine.groups import Group
    from intertwine.reps import Rep

    from intertwine_api.client import Client
    from intertwine_api.storage.database import Database
    from intertwine_api.work.settings import Settings


#: Exit codes, by which a script tells failures apart.
FAILED = 1
BAD_INPUT = 2
UNREACHABLE = 3


def add_command(commands: Any, name: str, description: str, examples: str) -> Any:
    """A sub-command with its description and examples."""
    return commands.add_parser(
        name,
        help=description,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


class _Once(argparse.Action):
    """An option that may be given once: of two groups the first would else be forgotten."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option} was given twice")
        setattr(namespace, self.dest, values)


def add_rep(parser: argparse.ArgumentParser) -> None:
    """The text of a rep, and where its group comes from."""
    parser.add_argument("text", metavar="TEXT", help="a rep, such as 'V**2*V.T+5V0' or 'T(2,1)'")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--group",
        metavar="NAME",
        action=_Once,
        help="a group, such as 'SO(3)', 'SO13p' or 'Z(3)*S(4)'",
    )
    group.add_argument(
        "--generators",
        metavar="FILE.json",
        type=Path,
        action=_Once,
        help='a group by its generators: {"lie_algebra": [...], "discrete_generators": [...]}',
    )
    parser.add_argument(
        "--refine",
        metavar="TOL",
        nargs="?",
        type=_tolerance,
        const=1e-5,
        action=_Once,
        help="take the nearest exact group, for generators that were rounded, changed by at most "
        "TOL (default 1e-5) of their largest entry; 0 says that they are meant as they are",
    )


def _tolerance(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a number such as 1e-5 was expected, not {text!r}: write --refine behind the rep"
        ) from None


def read_group(arguments: argparse.Namespace) -> Group | None:
    """The group of the options, if they name one.

    Raises `InvalidSetting` for a refinement without a group.
    """
    from intertwine.errors import InvalidSetting
    from intertwine.groups import group_from_json, parse_group

    group = None
    if arguments.group is not None:
        group = parse_group(arguments.group)
    elif arguments.generators is not None:
        group = group_from_json(_read_json(arguments.generators))
    if arguments.refine is None:
        return group
    if group is None:
        raise InvalidSetting("--refine needs a group: give --generators FILE.json, or --group")
    return group.refined(arguments.refine)


def read_rep(arguments: argparse.Namespace) -> Rep:
    """The rep of the text, over the group of the options where it is given."""
    from intertwine.reps import parse

    rep, group = parse(arguments.text), read_group(arguments)
    return rep if group is None else rep(group)


def add_service(parser: argparse.ArgumentParser) -> None:
    """Which service is asked, and by whom."""
    parser.add_argument(
        "--remote",
        metavar="URL",
        help="the service's address (default INTERTWINE_URL, else http://127.0.0.1:8000)",
    )
    parser.add_argument(
        "--key", metavar="KEY", help="an API key (default INTERTWINE_KEY, which no list shows)"
    )


def open_client(arguments: argparse.Namespace) -> Client:
    """A client of the service that the options, or the environment, name."""
    from intertwine_api.client import Client

    return Client(arguments.remote, arguments.key)


def add_host(parser: argparse.ArgumentParser) -> None:
    """Where the service of this host has its data and its database."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder of the service's data")
    parser.add_argument(
        "--database",
        metavar="URL",
        help="its database: sqlite:///path (default: a file in the folder of the data) or "
        "postgresql://user@host/name",
    )


def read_settings(arguments: argparse.Namespace, *names: str) -> Settings:
    """The settings of the environment, but for the options that were given.

    Raises `InvalidSetting` for what cannot be.
    """
    from intertwine.errors import InvalidSetting
    from pydantic import ValidationError

    from intertwine_api.work.settings import Settings

    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = (f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise InvalidSetting("; ".join(faults)) from error


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The database of the settings, up to date. Raises `InvalidSetting` where it is not there."""
    from intertwine.errors import InvalidSetting
    from sqlalchemy.exc import OperationalError

    from intertwine_api.storage.database import Database

    database = Database(settings.database_url)
    try:
        database.migrate()
        yield database
    except OperationalError as error:
        raise InvalidSetting(f"{database} cannot be used: {error.orig}") from error
    finally:
        database.close()


def group_text(rep: Rep) -> str | None:
    """The rep's one group, as text; None for a rep over several groups, or none."""
    return None if rep.G is None else repr(rep.G)


def warn(message: str) -> None:
    """Say what is not as it might be, beside what a command prints."""
    print(f"intertwine: warning: {message}", file=sys.stderr)


def print_json(document: Any) -> None:
    """One JSON object on standard output; numbers that JSON does not have are an error."""
    readable = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    print(json.dumps(document, indent=2, ensure_ascii=not readable, allow_nan=False))


def print_columns(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns under their names."""
    table = [[name.upper() for name in names], *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def print_table(rows: Iterable[tuple[str, str]]) -> None:
    """Two aligned columns."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def _read_json(path: Path) -> Any:
    from intertwine.errors import InvalidGroup

    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidGroup(f"{path} holds no JSON: {error}") from error


def exit_code(error: Exception) -> int:
    """Return the exit code of an error other than a failed solve."""
    from intertwine_api.client.errors import (
        ConnectionFailed,
        JobFailed,
        ServiceError,
        WaitedTooLong,
    )

    if isinstance(error, ConnectionFailed):
        return UNREACHABLE
    its_fault = isinstance(error, ServiceError) and error.status >= 500
    return FAILED if its_fault or isinstance(error, JobFailed | WaitedTooLong) else BAD_INPUT
