"""`intertwine molien`, `generators` and `polynomials`: invariant and equivariant polynomials."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine.polynomials import PolynomialMaps
    from intertwine.reps import Rep

_MOLIEN_EXAMPLES = """\
  intertwine molien "V" --group "PointGroup(m-3m)" --degree 8
  intertwine molien "2V" --group "O(3)" --degree 5 --to "V"
"""
_GENERATORS_EXAMPLES = """\
  intertwine generators "V" --group "PointGroup(m-3m)" --degree 6
  intertwine generators "3V" --group "SO(3)" --degree 3 --json
"""
_POLYNOMIALS_EXAMPLES = """\
  intertwine polynomials "2V" --group "SO(3)" --degree 2 --to "V"
"""

_degree = click.option(
    "--degree", metavar="K", type=int, required=True, help="The largest degree of the polynomials."
)


def _with_values(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --to, the rep of the values."""
    return click.option(
        "--to",
        "values",
        metavar="TEXT",
        help="The rep of the values, for equivariant polynomials (default: V0, for invariants).",
    )(command)


@click.command("molien", epilog=common.examples(_MOLIEN_EXAMPLES))
@common.with_rep
@_degree
@_with_values
@common.as_json
def print_series(rep: Rep, degree: int, values: str | None, as_json: bool) -> None:
    """Count the invariant polynomials of each degree: the Hilbert series."""
    from intertwine.polynomials import describe_series, molien

    rep, rep_out = _concrete(rep, values)
    found = molien(rep, degree, rep_out)
    if as_json:
        common.print_json(describe_series(found, rep, rep_out))
        return
    print(found)
    if found.closed_form is not None:
        print(f"= {found.closed_form}")


@click.command("generators", epilog=common.examples(_GENERATORS_EXAMPLES))
@common.with_rep
@_degree
@common.as_json
def print_generators(rep: Rep, degree: int, as_json: bool) -> None:
    """Find minimal generators of all invariant polynomials up to a degree."""
    from intertwine.polynomials import generators

    rep, _ = _concrete(rep, None)
    _print(generators(rep, degree), "generator", as_json)


@click.command("polynomials", epilog=common.examples(_POLYNOMIALS_EXAMPLES))
@common.with_rep
@_degree
@_with_values
@common.as_json
def print_basis(rep: Rep, degree: int, values: str | None, as_json: bool) -> None:
    """Find a basis of all equivariant polynomials up to a degree."""
    from intertwine.polynomials import polynomial_basis

    rep, rep_out = _concrete(rep, values)
    _print(polynomial_basis(rep, rep_out, degree), "polynomial", as_json)


def _concrete(rep: Rep, values: str | None) -> tuple[Rep, Rep]:
    """Return the rep and that of the values, over the same group.

    Raises `NotConcrete` without a group.
    """
    from intertwine.errors import NotConcrete
    from intertwine.reps import Scalar, parse

    rep_out = Scalar if values is None else parse(values)
    if not rep_out.is_concrete and rep.G is not None:
        rep_out = rep_out(rep.G)
    for each in (rep, rep_out):
        if not each.is_concrete:
            raise NotConcrete(
                f"{each} has no group: give --group 'SO(3)', or write V(SO(3)) in the text"
            )
    return rep, rep_out


def _print(maps: PolynomialMaps, noun: str, as_json: bool) -> None:
    """Print polynomial maps as formulas, each without its factor, or as JSON."""
    from intertwine.polynomials import describe_maps, formulas_of

    if as_json:
        common.print_json(describe_maps(maps))
        return
    formulas = formulas_of(maps)
    plural = "" if len(formulas) == 1 else "s"
    print(f"{len(formulas):,} {noun}{plural} of degree up to {maps.degree} of {maps.rep_in!r}")
    if formulas:
        print()
        common.print_table((f"degree {formula.degree}", str(formula)) for formula in formulas)
