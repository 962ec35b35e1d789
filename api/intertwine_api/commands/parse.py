"""`intertwine parse`: what a text means."""

from __future__ import annotations

import argparse
from typing import Any

from intertwine_api.commands import common

_EXAMPLES = """\
  intertwine parse "V**2*V.T+5V0"
  intertwine parse "T(2,1)" --group "SO(3)"
  intertwine parse "2V(Z(3))*V(S(4)) + V(O(3))**2" --json
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "parse", "Show how a rep's text is read: its canonical form and size.", _EXAMPLES
    )
    common.add_rep(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
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
