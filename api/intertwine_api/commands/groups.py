"""`intertwine groups`: the catalogue, and what is known of one group."""

from __future__ import annotations

import argparse
import inspect
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
    document = catalogue() if arguments.group is None else describe(arguments.group)
    if arguments.json:
        common.print_json(document)
    else:
        common.print_table((name, str(value)) for name, value in document.items())
    return 0


def catalogue() -> dict[str, str]:
    """Each group of the catalogue as it is written, with its summary."""
    from intertwine.groups import CATALOGUE

    return {
        f"{name}({', '.join(inspect.signature(group).parameters)})": (
            inspect.getdoc(group) or ""
        ).partition("\n")[0]
        for name, group in CATALOGUE.items()
    }


def describe(text: str) -> dict[str, Any]:
    """What is known of one group."""
    from intertwine.groups import parse_group

    group = parse_group(text)
    return {
        "group": repr(group),
        "d": group.d,
        "lie_generators": len(group.lie_generators),
        "discrete_generators": len(group.group_generators),
        "orthogonal": group.is_orthogonal,
        "permutation": group.is_permutation,
        "complex": group.is_complex,
        "digest": group.digest,
    }
