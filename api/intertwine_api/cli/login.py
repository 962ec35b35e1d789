"""`intertwine login` and `intertwine logout`: the keys of services that are kept for this user."""

from __future__ import annotations

import sys

import click

from intertwine_api.cli import common

_EXAMPLES = """\
  intertwine login https://lab.example.org
  intertwine login https://lab.example.org --key-stdin < key.txt
"""
_LOGOUT = """\
  intertwine logout https://lab.example.org
"""


@click.command("login", epilog=common.examples(_EXAMPLES))
@click.argument("address", metavar="URL", help="The address of a service.")
@click.option("--key-stdin", is_flag=True, help="Read the key from standard input.")
@common.as_json
def log_in(address: str, key_stdin: bool, as_json: bool) -> None:
    """Ask for your API key of a service, check it there, and keep it for this user.

    The client, the command line and the store use it for this address, unless INTERTWINE_KEY or
    --key gives another.
    """
    from intertwine.errors import InvalidSetting
    from intertwine_cache import keep_key

    from intertwine_api.client import Client
    from intertwine_api.client.errors import ServiceError

    key = _ask_for_key(address, key_stdin)
    with Client(address, key) as client:
        try:
            client.store()
        except ServiceError as error:
            if error.code != "forbidden":  # the key is valid, and may not read bases
                raise
        service = client.url
    try:
        path = keep_key(service, key)
    except (ValueError, RuntimeError) as error:  # an invalid file, or no home
        raise InvalidSetting(f"the key is not kept: {error}") from error
    common.print_fields({"service": service, "kept": str(path)}, as_json)


@click.command("logout", epilog=common.examples(_LOGOUT))
@click.argument("address", metavar="URL", help="The address of a service.")
@common.as_json
def log_out(address: str, as_json: bool) -> None:
    """Delete the kept key of a service. The service still accepts it, until it is revoked there."""
    from intertwine.errors import InvalidSetting, NotFound
    from intertwine_cache import forget_key

    try:
        was_kept = forget_key(address)
    except (ValueError, RuntimeError) as error:
        raise InvalidSetting(str(error)) from error
    if not was_kept:
        raise NotFound(f"there is no kept key of {address}: give the address of the login")
    common.print_fields({"deleted": address}, as_json)


def _ask_for_key(address: str, key_stdin: bool) -> str:
    """Return the key, from standard input or a hidden prompt. Raises `click.UsageError`."""
    from getpass import getpass

    if key_stdin:
        key = sys.stdin.readline().strip()
    elif sys.stdin is not None and sys.stdin.isatty():
        key = getpass(f"API key of {address}: ").strip()
    else:
        raise click.UsageError("standard input is no terminal: give the key with --key-stdin")
    if not key:
        raise click.UsageError("no key was given: `intertwine keys create` makes one")
    return key
