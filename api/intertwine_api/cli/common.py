"""Options that several commands share, and what the commands print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from intertwine.groups import Group

    from intertwine_api.storage.database import Database
    from intertwine_api.work.settings import Settings


#: Exit codes, by which a script tells failures apart.
FAILED = 1
BAD_INPUT = 2
UNREACHABLE = 3
FOREIGN = 4

#: The type of paths. The command itself checks the file, and reports it in the library's words.
PATH = click.Path(path_type=Path, readable=False)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def examples(lines: str) -> str:
    """Return the end of a help text: the examples, whose lines click must not join (`\\b`)."""
    return f"\b\nexamples:\n{lines}"


class CommandGroup(click.Group):
    """A group that lists its commands in their order, and requires one of them."""

    def __init__(self, name: str, summary: str, epilog: str, **settings: Any) -> None:
        super().__init__(name, help=summary, epilog=epilog, no_args_is_help=False, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order in which they were added."""
        return list(self.commands)


def _given_once(_: click.Context, option: click.Parameter, values: Sequence[Any]) -> Any:
    """Return an option's only value, or None. Raise `click.UsageError` for a second value."""
    if len(values) > 1:
        raise click.UsageError(f"{option.opts[0]} was given twice: give it once")
    return values[0] if values else None


_option_given_once = partial(click.option, multiple=True, callback=_given_once)


def _tolerance(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(
            f"a number such as 1e-5 was expected, not {text!r}: write --refine behind the rep"
        ) from None


def with_rep(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument TEXT and the options of its group; the command receives `rep`."""

    @click.argument("text", metavar="TEXT", help="A rep, such as 'V**2*V.T+5V0' or 'T(2,1)'.")
    @_option_given_once(
        "--group",
        metavar="NAME",
        help="A group, such as 'SO(3)', 'SO13p' or 'Z(3)*S(4)'.",
    )
    @_option_given_once(
        "--generators",
        metavar="FILE.json",
        type=PATH,
        help='A group by its generators: {"lie_algebra": [...], "discrete_generators": [...]}.',
    )
    @_option_given_once(
        "--refine",
        metavar="[TOL]",
        type=_tolerance,
        is_flag=False,
        flag_value=1e-5,
        help="Take the nearest exact group, for rounded generators: their entries change by at "
        "most TOL (default 1e-5) of the largest entry. 0 takes the generators as they are.",
    )
    @wraps(command)
    def run(
        text: str, group: str | None, generators: Path | None, refine: float | None, **options: Any
    ) -> Any:
        from intertwine.reps import parse

        if group is not None and generators is not None:
            raise click.UsageError("--generators is not allowed with --group: give one of them")
        rep, own_group = parse(text), _read_group(group, generators, refine)
        return command(rep=rep if own_group is None else rep(own_group), **options)

    return run


def _read_group(name: str | None, generators: Path | None, refine: float | None) -> Group | None:
    """Return the group of the options, or None without one.

    Raises `InvalidSetting` for a refinement without a group.
    """
    from intertwine.errors import InvalidSetting
    from intertwine.groups import group_from_json, parse_group

    group = None
    if name is not None:
        group = parse_group(name)
    elif generators is not None:
        group = group_from_json(_read_json(generators))
    if refine is None:
        return group
    if group is None:
        raise InvalidSetting("--refine needs a group: give --generators FILE.json, or --group")
    return group.refined(refine)


def _read_json(path: Path) -> Any:
    from intertwine.errors import InvalidGroup

    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidGroup(f"{path} holds no JSON: {error}") from error


def with_client(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json, --remote and --key; the command receives `client`, open while it runs."""

    @as_json
    @click.option(
        "--remote",
        metavar="URL",
        help="The service's address (default: INTERTWINE_URL, else http://127.0.0.1:8000).",
    )
    @click.option(
        "--key",
        metavar="KEY",
        help="An API key (default: INTERTWINE_KEY, else that of intertwine login; process lists "
        "do not show these).",
    )
    @wraps(command)
    def run(remote: str | None, key: str | None, **options: Any) -> Any:
        from intertwine_api.client import Client

        with Client(remote, key) as client:
            return command(client=client, **options)

    return run


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data and --database; the command receives `settings`.

    These are the settings of the environment, except where the command has an option of the same
    name and it was given. Raises `InvalidSetting` for a value that is not valid.
    """

    @click.option("--data", metavar="DIR", type=PATH, help="The folder of the service's data.")
    @click.option(
        "--database",
        metavar="URL",
        help="The service's database: sqlite:///path (default: a file in the data folder) or "
        "postgresql://user@host/name.",
    )
    @wraps(command)
    def run(**options: Any) -> Any:
        from intertwine.errors import InvalidSetting
        from pydantic import ValidationError

        from intertwine_api.storage.permissions import private_files
        from intertwine_api.work.settings import Settings

        names = Settings.model_fields.keys() & options.keys()
        chosen = {name: options.pop(name) for name in names}
        try:
            settings = Settings(**{n: value for n, value in chosen.items() if value is not None})
        except ValidationError as error:
            faults = (f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
            raise InvalidSetting("; ".join(faults)) from error
        with private_files(settings.home):
            return command(settings=settings, **options)

    return run


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Open the database of the settings. Upgrade its schema if needed, after a snapshot.

    Raises `InvalidSetting` if that fails.
    """
    from intertwine.errors import InvalidSetting
    from sqlalchemy.exc import OperationalError

    from intertwine_api.storage.database import Database
    from intertwine_api.storage.upgrades import upgrade

    database = Database(settings.database_url)
    try:
        upgrade(database, settings.home)
        yield database
    except OperationalError as error:
        raise InvalidSetting(f"{database} cannot be used: {error.orig}") from error
    finally:
        database.close()


def warn(message: str) -> None:
    """Print a warning on standard error."""
    print(f"intertwine: warning: {message}", file=sys.stderr)


def print_json(document: Any) -> None:
    """Print a JSON document on standard output. Raises `ValueError` for NaN and infinity."""
    readable = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    print(json.dumps(document, indent=2, ensure_ascii=not readable, allow_nan=False))


def print_fields(document: Mapping[str, Any], as_json: bool) -> None:
    """Print an object as JSON, or as a table of its names and values."""
    if as_json:
        print_json(document)
    else:
        print_table((name, str(value)) for name, value in document.items())


def print_columns(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns under their names."""
    table = [[name.upper() for name in names], *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def print_table(rows: Iterable[tuple[str, str]]) -> None:
    """Print two aligned columns."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def exit_code(error: Exception) -> int:
    """Return the exit code of an error other than a failed solve."""
    from intertwine_api.client import errors

    if isinstance(error, errors.ConnectionFailed) or _is_tier_error(error):
        return UNREACHABLE
    if isinstance(error, errors.ForeignAnswer):
        return FOREIGN
    has_failed = isinstance(error, errors.JobFailed | errors.WaitedTooLong)
    its_fault = isinstance(error, errors.ServiceError) and error.status >= 500
    return FAILED if has_failed or its_fault else BAD_INPUT


def _is_tier_error(error: Exception) -> bool:
    """Return whether a far tier of the store cannot be reached."""
    from intertwine_cache.tiers.tier import CannotList, TierError

    return isinstance(error, TierError) and not isinstance(error, CannotList)
