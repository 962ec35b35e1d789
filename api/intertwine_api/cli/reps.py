"""`intertwine parse`, `irreps`, `weights`, `groups`, `characters`: what reps and groups are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine.reps import Rep

_PARSE_EXAMPLES = """\
  intertwine parse "V**2*V.T+5V0"
  intertwine parse "T(2,1)" --group "SO(3)"
  intertwine parse "2V(Z(3))*V(S(4)) + V(O(3))**2" --json
"""
_IRREPS_EXAMPLES = """\
  intertwine irreps "V**3" --group SO13p
  intertwine irreps "V**2+3V" --group "SO(3)" --json
"""
_WEIGHTS_EXAMPLES = """\
  intertwine weights "V**2" --group "SU(3)"
  intertwine weights "Sym(3, V)" --group G2 --json
"""
_GROUPS_EXAMPLES = """\
  intertwine groups
  intertwine groups "SO(3)"
  intertwine groups "Z(3)*S(4)" --json
"""
_CHARACTERS_EXAMPLES = """\
  intertwine characters "S(4)"
  intertwine characters "PointGroup(m-3m)" --json
"""


@click.command("parse", epilog=common.examples(_PARSE_EXAMPLES))
@common.with_rep
@common.as_json
def parse_text(rep: Rep, as_json: bool) -> None:
    """Show how a rep's text is read: its canonical form and size."""
    from intertwine.reps import describe_rep

    document = describe_rep(rep)
    if not as_json:
        document = {name: value for name, value in document.items() if value is not None}
    common.print_fields(document, as_json)


@click.command("irreps", epilog=common.examples(_IRREPS_EXAMPLES))
@common.with_rep
@common.as_json
def print_irreps(rep: Rep, as_json: bool) -> None:
    """Decompose a rep into irreps, for any reductive group."""
    from intertwine.irreps import decompose

    found = decompose(rep)
    if as_json:
        common.print_json(found.to_json())
    else:
        print(found)


@click.command("weights", epilog=common.examples(_WEIGHTS_EXAMPLES))
@common.with_rep
@common.as_json
def print_weights(rep: Rep, as_json: bool) -> None:
    """Print the weights of a rep of a reductive Lie group."""
    from intertwine.irreps import describe_weights, weights

    if as_json:
        common.print_json(describe_weights(rep))
    else:
        print(weights(rep))


@click.command("groups", epilog=common.examples(_GROUPS_EXAMPLES))
@click.argument("name", metavar="[NAME]", required=False, help="A group, such as 'SO(3)'.")
@common.as_json
def print_groups(name: str | None, as_json: bool) -> None:
    """List the catalogue of groups, or describe one group."""
    from intertwine.groups import describe_catalogue, describe_group, parse_group

    document: dict[str, Any]
    if name is None:
        document = {entry["form"]: entry["summary"] for entry in describe_catalogue()}
    else:
        document = describe_group(parse_group(name))
    common.print_fields(document, as_json)


@click.command("characters", epilog=common.examples(_CHARACTERS_EXAMPLES))
@click.argument("name", metavar="NAME")
@common.as_json
def print_characters(name: str, as_json: bool) -> None:
    """Print the character table of a finite group, such as 'S(4)'."""
    from intertwine.groups import parse_group
    from intertwine.irreps import character_table, describe_characters

    group = parse_group(name)
    if as_json:
        common.print_json(describe_characters(group))
    else:
        print(character_table(group))
