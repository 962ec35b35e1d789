"""Groups from text."""

from __future__ import annotations

import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import InvalidGroup, ParseError, TooLarge
from intertwine.groups import (
    CATALOGUE,
    SO,
    C,
    Cube,
    DkeR3,
    Group,
    S,
    SO13p,
    Trivial,
    Z,
    ZksZnxZn,
    parse_group,
)

MEANINGS = [
    ("SO(3)", SO(3)),
    ("SO13p()", SO13p()),
    ("SO13p", SO13p()),
    ("Z(3)*S(4)", Z(3) * S(4)),
    ("Z(3)×S(4)", Z(3) * S(4)),
    ("Z(2)*Z(3)*C(4)", Z(2) * Z(3) * C(4)),
    ("(Z(2)*Z(3))*C(4)", Z(2) * Z(3) * C(4)),
    ("(((Cube)))", Cube()),
    ("Cube*Cube()", Cube() * Cube()),
    ("ZksZnxZn(2,3)", ZksZnxZn(2, 3)),
    ("ZksZnxZn ( 2 , 3 )", ZksZnxZn(2, 3)),
    (" SO\t(\n3 ) ", SO(3)),
    ("DkeR3(5)", DkeR3(5)),
    ("SO(003)", SO(3)),
]


@pytest.mark.parametrize(
    ("text", "group"), [pytest.param(*row, id=repr(row[0])) for row in MEANINGS]
)
def test_the_text_means(text: str, group: Group) -> None:
    assert parse_group(text) == group


def test_names_of_the_users_own_come_first() -> None:
    swap = Group(discrete_generators=[[1, 0]], name="swap")
    assert parse_group("swap*SO(2)", {"swap": swap}) == swap * SO(2)
    assert parse_group("S", {"S": swap}) == swap
    assert parse_group("my swap*swap", {"my swap": Z(3), "swap": swap}) == Z(3) * swap


@laws
@given(st.lists(st.sampled_from(["SO(2)", "Z(2)", "S(3)", "SO11p()"]), min_size=1, max_size=3))
def test_what_prints_is_read_back(names: list[str]) -> None:
    group = parse_group("*".join(names))
    assert repr(group) == "*".join(names)
    assert parse_group(repr(group)) == group


KNOWN = ", ".join(CATALOGUE)
COMPLAINTS = [
    ("", "expected a group such as SO(3) at character 1 (found the end of the text)"),
    ("SO(3", "expected ')' at character 5 (found the end of the text)"),
    ("SO(", "expected an integer at character 4 (found the end of the text)"),
    ("SO(n)", "expected an integer at character 4 (found 'n')"),
    ("SO(3))", "expected '*' or the end of the text at character 6 (found ')')"),
    ("Z(3) S(4)", "expected '*' or the end of the text at character 6 (found 'S')"),
    ("Z(3)*", "expected a group such as SO(3) at character 6 (found the end of the text)"),
    ("*Z(3)", "expected a group such as SO(3) at character 1 (found '*')"),
    ("SO(-1)", "expected a known character at character 4 ('-' means nothing here)"),
    ("SO(3.5)", "expected a known character at character 5 ('.' means nothing here)"),
    ("so(3)", f"expected a group such as SO(3) at character 1 ('so' is none of {KNOWN})"),
    ("Z(3)*G", f"expected a group such as SO(3) at character 6 ('G' is none of {KNOWN})"),
    ("Group", f"expected a group such as SO(3) at character 1 ('Group' is none of {KNOWN})"),
    ("SO", "expected SO(n) at character 1 (found 0 arguments)"),
    ("SO()", "expected SO(n) at character 1 (found 0 arguments)"),
    ("O(3,4)", "expected O(n) at character 1 (found 2 arguments)"),
    ("SO(3,4,5)", "expected SO(n, q) at character 1 (found 3 arguments)"),
    ("Cube(1)", "expected Cube() at character 1 (found 1 arguments)"),
    ("ZksZnxZn(2)", "expected ZksZnxZn(k, n) at character 1 (found 1 arguments)"),
    ("SO(1234567890123456)", "expected an integer of at most 15 digits at character 4"),
]


@pytest.mark.parametrize(
    ("text", "complaint"), [pytest.param(*row, id=repr(row[0])) for row in COMPLAINTS]
)
def test_the_error_shows_the_place_and_the_expectation(text: str, complaint: str) -> None:
    with pytest.raises(ParseError) as error:
        parse_group(text)
    before = " " * error.value.offset
    assert f"at character {len(before) + 1}" in complaint
    assert str(error.value) == f"{complaint}\n  {text}\n  {before}^"


def test_what_a_group_refuses_is_shown_in_the_text() -> None:
    with pytest.raises(InvalidGroup) as error:
        parse_group("Z(3)*SO(0)")
    assert str(error.value) == ("n of SO(n) is an integer from 1 on, not 0\n  Z(3)*SO(0)\n       ^")
    with pytest.raises(TooLarge) as too_large:
        parse_group("Z(3)*SO(1000)")
    assert str(too_large.value).endswith("are built\n  Z(3)*SO(1000)\n       ^")
    with pytest.raises(TooLarge, match="the product would need"):
        parse_group("SO(50)*SO(50)")


def test_errors_state_the_bounds() -> None:
    with pytest.raises(TooLarge, match="the text has 8,000 characters; at most 4,096 are read"):
        parse_group("SO(3)*  " * 1000)
    with pytest.raises(ParseError, match="parentheses go at most 40 deep"):
        parse_group("(" * 41 + "SO(3)" + ")" * 41)
    with pytest.raises(ParseError, match="groups in a product"):
        parse_group("*".join(["Trivial(1)"] * 100))


def test_a_group_without_generators_has_its_size() -> None:
    assert parse_group("Trivial(7)") == Trivial(7)
    assert parse_group("Trivial(7)").d == 7


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("m-3m", "PointGroup(m-3m)"),
        ("6mm", "PointGroup(6mm)"),
        ("Oh", "PointGroup(Oh)"),
        ("4'/mm'm", "MagneticPointGroup(4'/mm'm)"),
        ("SO3", "SO(3)"),
        ("S4", "S(4) or PointGroup(S4)"),
    ],
)
def test_symbols_alone_are_refused_with_the_groups_that_they_may_mean(
    text: str, meant: str
) -> None:
    with pytest.raises(ParseError) as error:
        parse_group(text)
    assert f"; did you mean {meant}?)" in str(error.value)
    for name in meant.split(" or "):
        parse_group(name)
