"""Groups from text: ``SO(3)``, ``SO13p``, ``Z(3)*S(4)``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from intertwine.errors import IntertwineError, ParseError
from intertwine.groups.catalogue import CATALOGUE
from intertwine.groups.group import Group
from intertwine.scanner import Scanner

_SYMBOLS = ("(", ")", ",", "*", "×")
_GROUP = "a group such as SO(3)"
MAX_FACTORS = 16
"""The most groups in a product."""


def parse_group(text: str, names: Mapping[str, Group] | None = None) -> Group:
    """The group that a text names; `names` adds groups of the user's own.

    Raises `ParseError` for a text that names no group, and `InvalidGroup` or `TooLarge` for
    arguments that a group does not take.
    """
    given = dict(names or {})
    scanner = Scanner(text, _SYMBOLS, names=given)
    group = _product(scanner, given)
    scanner.expect_end("'*' or the end of the text")
    return group


def _product(scanner: Scanner, names: Mapping[str, Group]) -> Group:
    """product := factor ("*" factor)*"""
    group, factors = _factor(scanner, names), 1
    while scanner.accept("*", "×"):
        factors += 1
        if factors > MAX_FACTORS:
            scanner.fail(f"at most {MAX_FACTORS} groups in a product")
        group = group * _factor(scanner, names)
    return group


def _factor(scanner: Scanner, names: Mapping[str, Group]) -> Group:
    """factor := NAME ["(" [INTEGER ("," INTEGER)*] ")"] | "(" product ")"."""
    if scanner.accept("("):
        with scanner.nested():
            group = _product(scanner, names)
        scanner.expect(")")
        return group
    name = scanner.expect_kind("name", _GROUP)
    if name.text in names:
        return names[name.text]
    if name.text not in CATALOGUE:
        known = ", ".join([*names, *CATALOGUE])
        scanner.fail(_GROUP, f"{name.text!r} is none of {known}", name.offset)
    arguments = _arguments(scanner)
    wanted = [parameter for parameter in inspect.signature(CATALOGUE[name.text]).parameters]
    if len(arguments) != len(wanted):
        form = f"{name.text}({', '.join(wanted)})"
        scanner.fail(form, f"found {len(arguments)} arguments", name.offset)
    try:
        return CATALOGUE[name.text](*arguments)
    except ParseError:
        raise
    except IntertwineError as error:
        error.add_note(f"in {scanner.text!r}, at character {name.offset + 1}")
        raise


def _arguments(scanner: Scanner) -> list[int]:
    """arguments := ["(" [INTEGER ("," INTEGER)*] ")"]."""
    values: list[int] = []
    if not scanner.accept("("):
        return values
    if not scanner.sees(")"):
        values.append(scanner.expect_kind("integer", "an integer").integer)
        while scanner.accept(","):
            values.append(scanner.expect_kind("integer", "an integer").integer)
    scanner.expect(")")
    return values
