"""`intertwine open`: pages of a service's console in the browser."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import click

from intertwine_api.cli import common

_EXAMPLES = """\
  intertwine open
  intertwine open basis "V>>V**2" --group "SO(3)"
  intertwine open basis "V>>V" --generators group.json
  intertwine open group "PointGroup(m-3m)"
  intertwine open job
  intertwine open model inertia 2
"""
_JOB = re.compile(r"[0-9A-Za-z_-]{1,32}")
_LONGEST = 30_000  # characters of an address: many browsers and proxies accept no longer ones
_REMOTE_HELP = "The service's address (default: INTERTWINE_URL, else http://127.0.0.1:8000)."

_remote_option = click.option("--remote", metavar="URL", help=_REMOTE_HELP)
_generators_option = click.option(
    "--generators", metavar="FILE.json", type=common.PATH, help="A group by its generators."
)


@click.pass_context
def _open_front_page(context: click.Context, remote: str | None) -> None:
    if context.invoked_subcommand is None:
        _show(remote, "", {})


group = common.CommandGroup(
    "open",
    "Open the console of a running service in the browser, and print the address.",
    common.examples(_EXAMPLES),
    callback=_open_front_page,
    params=[click.Option(["--remote"], metavar="URL", help=_REMOTE_HELP)],
    invoke_without_command=True,
)


@group.command("basis")
@click.argument("text", metavar="TEXT", help="A rep, such as 'V>>V**2'.")
@click.option("--group", "name", metavar="NAME", help="A group, such as 'SO(3)'.")
@_generators_option
@_remote_option
@click.pass_context
def open_basis(
    context: click.Context,
    text: str,
    name: str | None,
    generators: Path | None,
    remote: str | None,
) -> None:
    """Open the explorer with a rep and a group."""
    fields = {"rep": text, "group": name, "generators": _read(generators)}
    _show(remote or _of_parent(context), "", fields)


@group.command("group")
@click.argument("name", metavar="[NAME]", required=False, help="A group, such as 'SO(3)'.")
@_generators_option
@_remote_option
@click.pass_context
def open_group(
    context: click.Context, name: str | None, generators: Path | None, remote: str | None
) -> None:
    """Open the page of a group, or the catalogue."""
    fields = {"name": name, "generators": _read(generators)}
    _show(remote or _of_parent(context), "groups", fields)


@group.command("job")
@click.argument("ids", metavar="[JOB]...", nargs=-1, help="The ids of jobs.")
@_remote_option
@click.pass_context
def open_job(context: click.Context, ids: tuple[str, ...], remote: str | None) -> None:
    """Open the page of a job, the comparison of several, or the list."""
    for each in ids:
        if not _JOB.fullmatch(each):
            raise click.UsageError(
                f"{each!r} is not the id of a job: `intertwine jobs list` shows them"
            )
    service = remote or _of_parent(context)
    if len(ids) > 1:
        _show(service, f"jobs/compare?{urlencode([('job', each) for each in ids])}", {})
    else:
        _show(service, "/".join(("jobs", *ids)), {})


@group.command("model")
@click.argument("name", metavar="[NAME]", required=False, help="The name of a model.")
@click.argument(
    "version", metavar="[VERSION]", required=False, type=click.IntRange(1), help="Its number."
)
@_remote_option
@click.pass_context
def open_model(
    context: click.Context, name: str | None, version: int | None, remote: str | None
) -> None:
    """Open the page of a model, of one of its versions, or the list."""
    from intertwine.training.recipe.description import MODEL_NAME

    if name is not None and not re.fullmatch(MODEL_NAME.strip("^$"), name):
        raise click.UsageError(
            f"{name!r} is not the name of a model: `intertwine models list` shows them"
        )
    parts = ["models", *([] if name is None else [name])]
    if version is not None:
        parts += ["versions", str(version)]
    _show(remote or _of_parent(context), "/".join(parts), {})


def _of_parent(context: click.Context) -> str | None:
    """Return the option that was given before the name of the subcommand."""
    found: str | None = context.parent.params.get("remote") if context.parent else None
    return found


def _read(generators: Path | None) -> str | None:
    return None if generators is None else generators.read_text(encoding="utf-8")


def _show(remote: str | None, page: str, fields: dict[str, str | None]) -> None:
    """Open a page of the console, and print its address.

    Raises `InvalidSetting` for an invalid address of a service, and `TooLarge` for generators that
    do not fit into an address.
    """
    import webbrowser

    from intertwine.errors import TooLarge

    from intertwine_api.client.address import server_address

    # no key is sent, so plain HTTP reveals none
    service = server_address(remote, None, 1.0, 1.0, allow_plain_http=True)
    query = urlencode({name: text for name, text in fields.items() if text})
    address = f"{service.url}/{page}{'?' if query else ''}{query}"
    if len(address) > _LONGEST:
        raise TooLarge(
            f"the address has {len(address):,} characters, and browsers open at most "
            f"{_LONGEST:,}: open the console without --generators, and paste them there (up to "
            f"about 60,000 characters), or use intertwine basis"
        )
    print(address, flush=True)
    if not webbrowser.open(address):
        common.warn("this machine has no browser: open the address on another one")
