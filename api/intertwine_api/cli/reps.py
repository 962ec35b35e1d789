"""`intertwine parse`, `irreps` and `groups`: what texts of reps and groups mean."""

from __future__ import annotations

import argparse
from typing import Any

from intertwine_api.cli import common

_PARSE_EXAMPLES = """\
  intertwine parse "V**2*V.T+5V0"
  intertwine parse "T(2,1)" --group "SO(3)"
  intertwine parse "2V(Z(3))*V(S(4)) + V(O(3))**2" --json
"""


def add_parse(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "parse",
        "Show how a rep's text is read: its canonical form and size.",
        _PARSE_EXAMPLES,
    )
    common.add_rep(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run_parse)


def run_parse(arguments: argparse.Namespace) -> int:
    """Parse, and print."""
    from intertwine.reps import canonical, dimension, latex

    rep = common.read_rep(arguments)
    document = {
        "rep": str(rep),
        "canonical": str(canonical(rep).rep),
        "group": common.group_text(rep),
        "size": rep.size() if rep.is_concrete else None,
        "dimension": str(dimension(rep)),
        "latex": latex(rep),
    }
    if arguments.json:
        common.print_json(document)
    else:
        common.print_table((k, str(v)) for k, v in document.items() if v is not None)
    return 0


_IRREPS_EXAMPLES = """\
  intertwine irreps "V**3" --group SO13p
  intertwine irreps "V**2+3V" --group "SO(3)" --json
"""


def add_irreps(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "irreps",
        "Decompose a rep into irreps, for any reductive group.",
        _IRREPS_EXAMPLES,
    )
    common.add_rep(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run_irreps)


def run_irreps(arguments: argparse.Namespace) -> int:
    """Decompose, and print."""
    from intertwine.irreps import decompose

    found = decompose(common.read_rep(arguments))
    if arguments.json:
        common.print_json(found.to_json())
    else:
        print(found)
    return 0


_GROUPS_EXAMPLES = """\
  intertwine groups
  intertwine groups "SO(3)"
  intertwine groups "Z(3)*S(4)" --json
"""


def add_groups(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "groups", "List the catalogue of groups, or describe one group.", _GROUPS_EXAMPLES
    )
    parser.add_argument("group", metavar="NAME", nargs="?", help="a group, such as 'SO(3)'")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run_groups)


def run_groups(arguments: argparse.Namespace) -> int:
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
