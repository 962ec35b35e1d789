"""`intertwine groups`: the catalogue, and what is known of one group."""

from __future__ import annotations

import argparse
from typing import Any

from intertwine_api.commands import common

_EXAMPLES = """\
  intertwine groups
  intertwine groups "SO(3)"
  intertwine groups "Z(3)*S(4)" --json
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "groups", "List the catalogue of groups, or describe one group.", _EXAMPLES
    )
    parser.add_argument("group", metavar="NAME", nargs="?", help="a group, such as 'SO(3)'")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue, or one group."""
    from intertwine.groups import describe_catalogue, describe_group, parse_group

    document: dict[str, Any]
    if arguments.group is None:
        document = {entry["form"]: entry["summary"] for entry in describe_catalogue()}
    else:
        document = describe_group(parse_group(arguments.group))
    if arguments.json:
        common.print_json(document)
    else:
        common.print_table((name, str(value)) for name, value in document.items())
    return 0
