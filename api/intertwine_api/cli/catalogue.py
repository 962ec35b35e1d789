"""`intertwine catalogue`: a web folder of solved bases."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from intertwine_api.cli import common

_EXAMPLES = """\
  intertwine catalogue build public/
  intertwine catalogue build public/ --list reps.txt
  intertwine catalogue list > reps.txt
"""

group = common.CommandGroup(
    "catalogue", "Publish bases as static files.", common.examples(_EXAMPLES)
)


@group.command("list")
def print_list() -> None:
    """Print the default list of groups and reps, in the form that --list reads."""
    from intertwine_api.catalogue.entries import default_entries

    for entry in default_entries():
        print(f"{entry.group}: {entry.rep}")


@group.command("build")
@click.argument("folder", metavar="DIR", type=common.PATH, help="The folder of the files.")
@click.option(
    "--list",
    "listed",
    metavar="FILE",
    type=common.PATH,
    help="Lines such as 'SO(3): V**2' (default: the lines of `catalogue list`).",
)
@common.as_json
def build(folder: Path, listed: Path | None, as_json: bool) -> int:
    """Solve a list of reps, and write a folder for any web server: signed bases, and a page.

    An interrupted build goes on when it is started again. A rep that cannot be solved is left out,
    with a warning, and the exit code is 1.
    """
    from intertwine.errors import IntertwineError, InvalidSetting
    from intertwine_cache import Store, default_keyring, default_store

    from intertwine_api.catalogue.entries import default_entries, read_entries
    from intertwine_api.catalogue.web_folder import Catalogue, Row

    entries = list(default_entries() if listed is None else read_entries(listed.read_text("utf-8")))
    rows: dict[str, Row] = {}
    failed = 0
    with ExitStack() as stack:
        try:
            store = default_store() or Store(
                Path(stack.enter_context(tempfile.TemporaryDirectory()))
            )
            catalogue = Catalogue(folder, store, default_keyring())
        except ValueError as error:
            raise InvalidSetting(str(error)) from error
        shown = stack.enter_context(
            click.progressbar(
                entries,
                file=sys.stderr,
                hidden=as_json or not sys.stderr.isatty(),
                item_show_func=lambda each: "" if each is None else f"{each.rep} over {each.group}",
            )
        )
        for entry in shown:
            try:
                row = catalogue.add(entry)
                rows[row.key] = row  # two texts may be of one rep
            except IntertwineError as error:
                failed += 1
                common.warn(f"{entry.group}: {entry.rep} is left out: {error}")
        catalogue.write_page(list(rows.values()))
    common.print_fields({"folder": str(folder), "bases": len(rows), "failed": failed}, as_json)
    return common.FAILED if failed else 0
