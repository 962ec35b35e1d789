"""`intertwine irreps`: a rep as a sum of irreps."""

from __future__ import annotations

import argparse
from typing import Any

from intertwine_api.commands import common

_EXAMPLES = """\
  intertwine irreps "V**3" --group SO13p
  intertwine irreps "V**2+3V" --group "SO(3)" --json
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "irreps", "Decompose a rep into irreps, for any reductive group.", _EXAMPLES
    )
    common.add_rep(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decompose, and print."""
    from intertwine.irreps import decompose

    found = decompose(common.read_rep(arguments))
    if arguments.json:
        common.print_json(found.to_json())
    else:
        print(found)
    return 0
