"""Groups from text: ``SO(3)``, ``SO13p``, ``Z(3)*S(4)``, ``PointGroup(m-3m)``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

from intertwine.errors import IntertwineError, InvalidGroup, ParseError
from intertwine.groups.catalogue import CATALOGUE
from intertwine.groups.group import Group
from intertwine.scanner import Scanner

_SYMBOLS = ("(", ")", ",", "*", "×", "#")
_GROUP = "a group such as SO(3)"
_LONGEST_SYMBOL = 12
MAX_FACTORS = 16
"""The largest number of groups in a product."""


def parse_group(text: str, names: Mapping[str, Group] | None = None) -> Group:
    """Parse the name of a group; `names` adds user-defined groups.

    Raises `ParseError` for a text that is not a group, and `InvalidGroup` or `TooLarge` for
    arguments that the group does not accept.
    """
    if not isinstance(text, str):
        raise InvalidGroup(f"the name of a group is a text such as 'SO(3)', not {text!r}")
    return parse_group_within(text, (0, len(text)), names or {})


def parse_group_within(text: str, span: tuple[int, int], names: Mapping[str, Group]) -> Group:
    """Parse a group in a part of a text; errors show its place in the whole text."""
    try:
        scanner = Scanner(text, _SYMBOLS, names=names, span=span)
        group = _product(scanner, names)
        scanner.expect_end("'*' or the end of the text")
        return group
    except ParseError as error:
        meant = " or ".join(_meant(text[slice(*span)].strip()))
        if not meant:
            raise
        hint = f"{error.hint}; did you mean {meant}?"
        raise ParseError(text, error.offset, error.expected, hint) from None


def _meant(text: str) -> list[str]:
    """Return the groups that a text may mean: SO(3) by SO3, point groups by their symbols alone."""
    if len(text) > _LONGEST_SYMBOL or text.isdigit():
        return []
    number = re.fullmatch(r"([A-Za-z]+)([0-9]+)", text)
    found = [f"{number[1]}({number[2]})"] if number and number[1] in CATALOGUE else []
    for kind in ("PointGroup", "MagneticPointGroup"):
        try:
            CATALOGUE[kind](text)
        except IntertwineError:
            continue
        return [*found, f"{kind}({text})"]
    return found


def _product(scanner: Scanner, names: Mapping[str, Group]) -> Group:
    """product := factor ("*" factor)*"""
    group, factors = _factor(scanner, names), 1
    while times := scanner.accept("*", "×"):
        factors += 1
        if factors > MAX_FACTORS:
            scanner.fail(f"at most {MAX_FACTORS} groups in a product")
        right = _factor(scanner, names)
        with scanner.showing(times.offset):
            group = group * right
    return group


def _factor(scanner: Scanner, names: Mapping[str, Group]) -> Group:
    """factor := original ("#" INTEGER)*"""
    start = scanner.next.offset
    group = _original(scanner, names)
    numbers: list[int] = []
    while scanner.accept("#"):
        number = scanner.expect_kind("integer", "the number of a copy, as in SO(3)#1")
        numbers.append(number.integer)
    with scanner.showing(start):
        return group.numbered(numbers) if numbers else group


def _original(scanner: Scanner, names: Mapping[str, Group]) -> Group:
    """original := NAME ["(" [INTEGER ("," INTEGER)* | SYMBOL] ")"] | "(" product ")"."""
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
        scanner.fail(_GROUP, f"{name} is none of {known}", name.offset)
    kind = CATALOGUE[name.text]
    wanted = list(inspect.signature(kind).parameters.values())
    least = sum(parameter.default is parameter.empty for parameter in wanted)
    is_symbolic = [parameter.name for parameter in wanted] == ["symbol"]
    arguments = _symbol(scanner) if is_symbolic else _arguments(scanner)
    if not least <= len(arguments) <= len(wanted):
        shown = wanted[: len(wanted) if len(arguments) > least else least]
        form = f"{name.text}({', '.join(parameter.name for parameter in shown)})"
        scanner.fail(form, f"found {len(arguments)} arguments", name.offset)
    with scanner.showing(name.offset):
        return kind(*arguments)


def _symbol(scanner: Scanner) -> list[str]:
    """symbol := ["(" [any characters but parentheses, maybe in quotation marks] ")"]."""
    if not scanner.sees("("):
        return []
    opening, closing = scanner.next.offset, scanner.closing()
    inside = scanner.text[opening + 1 : closing].strip()
    scanner.skip_to(closing + 1)
    for mark in "\"'":
        if len(inside) > 1 and inside[0] == inside[-1] == mark:
            inside = inside[1:-1].strip()
    return [inside] if inside else []


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
