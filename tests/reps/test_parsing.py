"""Reps from text: every rule of the grammar as an example, its laws, and its complaints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from helpers.example_reps import MIXED, Tree, build, trees, write
from helpers.laws import laws
from helpers.program import python
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from intertwine.errors import IntertwineError, InvalidGroup, InvalidRep, ParseError, TooLarge
from intertwine.groups import SO as RotationGroup
from intertwine.groups import (
    C,
    Cube,
    D,
    Group,
    Lorentz,
    O,
    RubiksCube,
    S,
    SO13p,
    Z,
    ZksZnxZn,
    parse_group,
)
from intertwine.groups.generators import MAX_ENTRIES
from intertwine.reps import Rep, Scalar, T, V, parse, parsing
from intertwine.reps.parsing import register_function, register_notation
from intertwine.reps.syntax import MAX_FACTORS

SO3 = RotationGroup(3)


class P(Rep):
    def rho(self, M: Any) -> Any:
        return M


# -- the grammar by examples

MEANINGS: list[tuple[str, Rep]] = [
    # as in Python
    ("V", V),
    ("Vector", V),
    ("Scalar", Scalar),
    ("V**2*V.T+5V0", V**2 * V.T + 5 * Scalar),
    ("V + V.T", V + V.T),
    ("V*V.T*V", V * V.T * V),
    ("(V+V.T)*V", (V + V.T) * V),
    ("V*(V+V.T)", V * (V + V.T)),
    ("2*V", 2 * V),
    ("V*2", 2 * V),
    ("5*V*2", 10 * V),
    ("2*V**3", 2 * V**3),
    ("(2*V)**3", (2 * V) ** 3),
    ("V**2**3", V**8),
    ("(V**2)**3", V**6),
    ("V**(1+1)", V**2),
    ("V**(2*3)", V**6),
    ("V.T**2", V.T**2),
    ("(V**2).T", V.T**2),
    ("V.T.T", V),
    ("(V+5).T", V.T + 5),
    ("T(2,1)", T(2, 1)),
    ("T(2)", T(2)),
    ("T(0)", Scalar),
    ("T(0,2)", V.T**2),
    ("T(1,1)**2", T(1, 1) ** 2),
    ("T(2, 1).T", T(2, 1).T),
    # integers
    ("5", 5 * Scalar),
    ("1", Scalar),
    ("0", 0 * V),
    ("2+3", 5 * Scalar),
    ("2*3", 6 * Scalar),
    ("2**3", 8 * Scalar),
    ("2**3*V", 8 * V),
    ("V*(1+1)", 2 * V),
    ("V*5", 5 * V),
    ("(1+1)*(V+1)", V + 1 + V + 1),
    ("V+5", V + 5),
    ("5+V", 5 + V),
    ("0*V", 0 * V),
    ("0V+V", V),
    # an integer written against a factor
    ("5V", 5 * V),
    ("5V0", 5 * Scalar),
    ("5V**2", 5 * V**2),
    ("5V²", 5 * V**2),
    ("5 V", 5 * V),
    ("2V*3V", 6 * V**2),
    ("5(V+V.T)", 5 * (V + V.T)),
    ("5T(1,1)", 5 * T(1, 1)),
    ("5Scalar", 5 * Scalar),
    ("2V.T", 2 * V.T),
    ("2V(SO(3))", 2 * V(SO3)),
    ("2V*V", 2 * V**2),
    ("V*2V", 2 * V**2),
    ("(2)*V", 2 * V),
    # digits written against V
    ("V0", Scalar),
    ("V1", V),
    ("V2", V**2),
    ("V10", V**10),
    ("V02", V**2),
    ("V2**3", V**6),
    ("5V0+5V", 5 * Scalar + 5 * V),
    ("V2*V1", V**3),
    # as printed
    ("V⁰", Scalar),
    ("V²", V**2),
    ("V¹⁰", V**10),
    ("5V⁰+5V", 5 * Scalar + 5 * V),
    ("V²⊗V*", V**2 * V.T),
    ("V⊗V", V**2),
    ("V⊕V*", V + V.T),
    ("(V+V*)²", (V + V.T) ** 2),
    ("(V+V*)⊗(V⊗V*+V)", (V + V.T) * (V * V.T + V)),
    ("2((V+V*)⊗V)", 2 * ((V + V.T) * V)),
    ("V⊗(2V)", V * (2 * V)),
    ("5²", 25 * Scalar),
    # the star where no factor follows is the dual
    ("V*", V.T),
    ("V*+5", V.T + 5),
    ("V*²", V.T**2),
    ("V*⁰", Scalar),
    ("V*⊗V", V.T * V),
    ("V* + V", V.T + V),
    ("(V*)", V.T),
    ("V*>>V", V.T >> V),
    ("V>>V*", V >> V.T),
    ("V*.T", V),
    ("(V⊗V)*", V.T**2),
    ("(V+1)*²", (V.T + 1) ** 2),
    ("5V*", 5 * V.T),
    ("V²*", V.T**2),
    ("V2*", V.T**2),
    ("T(2)*+V**2*", 2 * V.T**2),
    ("T(1,1)*", T(1, 1).T),
    ("V* *V", V.T * V),
    # and the product otherwise
    ("V*V", V**2),
    ("V*(V)", V**2),
    ("V*T(1)", V**2),
    ("V*V*", V * V.T),
    ("V*V*V*", V**2 * V.T),
    ("V*Scalar", V),
    # maps bind weakest
    ("V>>V**2", V >> V**2),
    ("V<<V**2", V << V**2),
    ("V+1>>V", (V + 1) >> V),
    ("V>>V+1", V >> (V + 1)),
    ("V>>V>>V", (V >> V) >> V),
    ("V>>V<<V", (V >> V) << V),
    ("(V>>V)**2", (V >> V) ** 2),
    ("V>>5", V >> 5),
    ("5>>V", 5 >> V),
    ("V<<5", V << 5),
    ("2>>3", 6 * Scalar),
    # a group in parentheses applies to what stands before it
    ("V(SO(3))", V(SO3)),
    ("T(1)(SO(3))", V(SO3)),
    ("T(2,1)(SO13p)", T(2, 1)(SO13p())),
    ("(5V0+V)(SO(3))", (5 * Scalar + V)(SO3)),
    ("V²(SO(3))", (V**2)(SO3)),
    ("V**2*V(SO(3))", V**2 * V(SO3)),
    ("V(SO(3))**2", V(SO3) ** 2),
    ("V(SO(3))²", V(SO3) ** 2),
    ("V(SO(3))*", V(SO3)),
    ("V(SO13p)*", V(SO13p()).T),
    ("(V*)(SO13p)", V(SO13p()).T),
    ("V*(SO13p())", V(SO13p()).T),
    ("V*(SO13p)*V(Z(2))", V(SO13p()).T * V(Z(2))),
    ("V²*(SO13p)", (V(SO13p()) ** 2).T),
    ("(V**2)(SO(3))", V(SO3) ** 2),
    ("V.T(SO13p())", V(SO13p()).T),
    ("V(SO(3))⊗V(S(4))²", V(SO3) * V(S(4)) ** 2),
    ("2*V(Z(3))*V(S(4)) + V(O(3))**2", 2 * V(Z(3)) * V(S(4)) + V(O(3)) ** 2),
    ("V(Z(3)*S(4))", V(Z(3) * S(4))),
    ("V(Z(3)×S(4))", V(Z(3) * S(4))),
    ("V((Z(3)))", V(Z(3))),
    ("V(SO13p())", V(SO13p())),
    ("V(SO13p)", V(SO13p())),
    ("V(RubiksCube)", V(RubiksCube())),
    ("V(Cube())", V(Cube())),
    ("V(ZksZnxZn(2, 3))", V(ZksZnxZn(2, 3))),
    ("V(Lorentz)", V(Lorentz())),
    ("(V*V(Z(3)))(S(4))", V(S(4)) * V(Z(3))),
    ("V(SO(3))(SO(3))", V(SO3)),
    ("(V(C(4)) + V(D(4)))>>V(C(4))", (V(C(4)) + V(D(4))) >> V(C(4))),
    ("5V0(SO(3))", 5 * Scalar),
    # spaces mean nothing
    (" V ** 2 * V . T + 5 V0 ", V**2 * V.T + 5 * Scalar),
    ("T ( 2 , 1 ) ( SO ( 3 ) )", T(2, 1)(SO3)),
    ("V\t+\nV", 2 * V),
    ("V\u00a0+\u2003V", 2 * V),
    ("5\nV²", 5 * V**2),
]


@pytest.mark.parametrize(
    ("text", "meaning"), [pytest.param(text, rep, id=repr(text)) for text, rep in MEANINGS]
)
def test_the_text_means(text: str, meaning: Rep) -> None:
    assert parse(text) == meaning


# -- the complaints

FACTOR = "a rep such as V, V², T(2,1) or an integer"
END = "found the end of the text"
COMPLAINTS: list[tuple[str, str]] = [
    (
        "V V",
        "expected an operator at character 3 (write V*V for a product and V+V for a sum)\n"
        "  V V\n"
        "    ^",
    ),
    (
        "V**2 V",
        "expected an operator at character 6 (write V*V for a product and V+V for a sum)\n"
        "  V**2 V\n"
        "       ^",
    ),
    (
        "(V V)",
        "expected an operator or ')' at character 4 (write V*V for a product)\n  (V V)\n     ^",
    ),
    (
        "V 2",
        "expected an operator at character 3 (write V*V for a product and V+V for a sum)\n"
        "  V 2\n"
        "    ^",
    ),
    (
        "2 3",
        "expected an operator at character 3 (write V*V for a product and V+V for a sum)\n"
        "  2 3\n"
        "    ^",
    ),
    ("", f"expected {FACTOR} at character 1 ({END})\n  \n  ^"),
    ("   ", f"expected {FACTOR} at character 4 ({END})\n     \n     ^"),
    ("V+", f"expected {FACTOR} at character 3 ({END})\n  V+\n    ^"),
    ("V>>", f"expected {FACTOR} at character 4 ({END})\n  V>>\n     ^"),
    ("+V", f"expected {FACTOR} at character 1 (found '+')\n  +V\n  ^"),
    ("V+*V", f"expected {FACTOR} at character 3 (found '*')\n  V+*V\n    ^"),
    ("(V", f"expected ')' at character 3 ({END})\n  (V\n    ^"),
    ("()", f"expected {FACTOR} at character 2 (found ')')\n  ()\n   ^"),
    (
        "V)",
        "expected an operator or the end of the text at character 2 (found ')')\n  V)\n   ^",
    ),
    ("V**", f"expected an integer exponent at character 4 ({END})\n  V**\n     ^"),
    ("V**V", "expected an integer exponent at character 4 (not V)\n  V**V\n     ^"),
    (
        "V**(1+V)",
        "expected an integer exponent at character 4 (not V⁰+V)\n  V**(1+V)\n     ^",
    ),
    ("V.X", "expected T, as in V.T at character 3 (found 'X')\n  V.X\n    ^"),
    ("V.", f"expected T, as in V.T at character 3 ({END})\n  V.\n    ^"),
    ("T", f"expected '(' at character 2 ({END})\n  T\n   ^"),
    ("T(", f"expected an integer at character 3 ({END})\n  T(\n    ^"),
    ("T(1,", f"expected an integer at character 5 ({END})\n  T(1,\n      ^"),
    ("T(1,2,3)", "expected ')' at character 6 (found ',')\n  T(1,2,3)\n       ^"),
    ("T(V)", "expected an integer at character 3 (found 'V')\n  T(V)\n    ^"),
    (
        "V - V",
        "expected a known character at character 3 ('-' means nothing here)\n  V - V\n    ^",
    ),
    (
        "V**-1",
        "expected a known character at character 4 ('-' means nothing here)\n  V**-1\n     ^",
    ),
    (
        "V ™",
        "expected a known character at character 3 ('™' means nothing here)\n  V ™\n    ^",
    ),
    (
        "W",
        f"expected {FACTOR} at character 1 "
        "('W' is none of V, Scalar, Vector, T(p,q); a group is written in parentheses after a "
        "rep, as in V(SO(3)))\n  W\n  ^",
    ),
    (
        "v",
        f"expected {FACTOR} at character 1 ('v' is none of V, Scalar, Vector, T(p,q))\n  v\n  ^",
    ),
    (
        "2*SO(3)",
        f"expected {FACTOR} at character 3 "
        "('SO' is none of V, Scalar, Vector, T(p,q); a group is written in parentheses after a "
        "rep, as in V(SO(3)))\n  2*SO(3)\n    ^",
    ),
    (
        "V(SO(3)",
        "expected a matching ')' at character 2 (this parenthesis is never closed)\n"
        "  V(SO(3)\n"
        "   ^",
    ),
    ("V()", "expected a group such as SO(3) at character 3 (found ')')\n  V()\n    ^"),
    ("V(3)", "expected a group such as SO(3) at character 3 (found '3')\n  V(3)\n    ^"),
    (
        "V(SO(3),2)",
        "expected '*' or the end of the text at character 8 (found ',')\n  V(SO(3),2)\n         ^",
    ),
    ("V(SO)", "expected SO(n) at character 3 (found 0 arguments)\n  V(SO)\n    ^"),
    (
        "1+V(O(3, 4))",
        "expected O(n) at character 5 (found 2 arguments)\n  1+V(O(3, 4))\n      ^",
    ),
    (
        "V**257",
        "expected an exponent of at most 256 at character 4 (not 257)\n  V**257\n     ^",
    ),
    (
        "V**999999",
        "expected an exponent of at most 256 at character 4 (not 999,999)\n  V**999999\n     ^",
    ),
    ("V²⁵⁷", "expected an exponent of at most 256 at character 2 (not 257)\n  V²⁵⁷\n   ^"),
    ("V257", "expected an exponent of at most 256 at character 1 (not 257)\n  V257\n  ^"),
    (
        "T(257)",
        "expected an exponent of at most 256 at character 3 (not 257)\n  T(257)\n    ^",
    ),
    (
        "1234567890123456",
        "expected an integer of at most 15 digits at character 1\n  1234567890123456\n  ^",
    ),
    (
        "V+10**13",
        "expected integers of at most 1,000,000,000,000 at character 7 "
        "(this makes a larger one)\n  V+10**13\n        ^",
    ),
]


@pytest.mark.parametrize(
    ("text", "message"),
    [pytest.param(text, message, id=repr(text)) for text, message in COMPLAINTS],
)
def test_the_error_shows_the_place_and_the_expectation(text: str, message: str) -> None:
    with pytest.raises(ParseError) as error:
        parse(text)
    assert str(error.value) == message


REFUSED_BY_THE_ALGEBRA: list[tuple[str, type[IntertwineError], str]] = [
    (
        "1+V(SO(3))(O(3))",
        InvalidRep,
        "V(SO(3)) is over SO(3) already, and cannot be taken over O(3): write it without its "
        "group; in Python, Restrict(rep, H) takes it to a subgroup H\n"
        "  1+V(SO(3))(O(3))\n"
        "            ^",
    ),
    (
        "(V**256)**5",
        TooLarge,
        f"a tensor product has at most {MAX_FACTORS:,} factors\n  (V**256)**5\n            ^",
    ),
    (
        "V+6000(V+V*)",
        TooLarge,
        "the sum has 12,000 terms; at most 10,000. Adjacent equal terms count once: "
        "write 9V+9W, not 9(V+W)\n"
        "  V+6000(V+V*)\n"
        "        ^",
    ),
    (
        "5+V(SO(0))",
        InvalidGroup,
        "n of SO(n) is an integer from 1 on, not 0\n  5+V(SO(0))\n      ^",
    ),
    (
        "V(ZksZnxZn(3,4))",
        InvalidGroup,
        "the grid of ZksZnxZn(k, n) turns by 180° or 90°: k is 2 or 4, not 3\n"
        "  V(ZksZnxZn(3,4))\n"
        "    ^",
    ),
    (
        "V*V(SO(1000))",
        TooLarge,
        "SO(1000) would need 499,500,000,000 matrix entries for its generators; "
        f"at most {MAX_ENTRIES:,} are built\n"
        "  V*V(SO(1000))\n"
        "      ^",
    ),
    (
        "V(SO(50)*SO(50))",
        TooLarge,
        "the product would need 15,312,500,000 matrix entries for its generators; "
        f"at most {MAX_ENTRIES:,} are built\n"
        "  V(SO(50)*SO(50))\n"
        "          ^",
    ),
    (
        "3000(V+V*)+3000(V+V*)",
        TooLarge,
        "the sum has 12,000 terms; at most 10,000. Adjacent equal terms count once: "
        "write 9V+9W, not 9(V+W)\n"
        "  3000(V+V*)+3000(V+V*)\n"
        "            ^",
    ),
]


@pytest.mark.parametrize(
    ("text", "kind", "message"), [pytest.param(*row, id=row[0]) for row in REFUSED_BY_THE_ALGEBRA]
)
def test_what_the_algebra_refuses_is_shown_in_the_text_too(
    text: str, kind: type[IntertwineError], message: str
) -> None:
    with pytest.raises(kind) as error:
        parse(text)
    assert str(error.value) == message


def test_a_long_text_is_refused_with_the_bound() -> None:
    with pytest.raises(TooLarge) as error:
        parse("V+" * 3000 + "V")
    assert str(error.value) == "the text has 6,001 characters; at most 4,096 are read"


def test_deep_nesting_is_refused_with_the_bound() -> None:
    assert parse("(" * 40 + "V" + ")" * 40) == V
    with pytest.raises(ParseError) as error:
        parse("(" * 41 + "V" + ")" * 41)
    assert str(error.value) == (
        "expected less nesting at character 42 (parentheses go at most 40 deep)\n"
        "  …((((((((((((((((((((((((((((((((((((((((V)))))))))))))))))))…\n"
        "                                           ^"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("A" * 4000, id="a name"),
        pytest.param("V" + "9" * 4000, id="a power"),
        pytest.param("V" + "²" * 16, id="a superscript"),
        pytest.param(f"V({'A' * 4000})", id="a group"),
        pytest.param("V+" * 2000 + "-", id="a symbol"),
    ],
)
def test_a_complaint_about_a_long_text_is_short(text: str) -> None:
    with pytest.raises(IntertwineError) as error:
        parse(text)
    assert len(str(error.value)) < 1000


# -- names of the user's own


def test_names_stand_for_reps() -> None:
    p = P()
    assert parse("P*V", names={"P": p}) == p * V
    assert parse("2P**2+P.T", names={"P": p}) == 2 * p**2 + p.T
    assert parse("P*⊗P²", names={"P": p}) == p.T * p**2
    assert parse("P(SO(3))", names={"P": p}) == p(SO3)
    assert parse("hidden>>V", names={"hidden": V**2 + 1}) == (V**2 + 1) >> V


def test_names_stand_for_groups() -> None:
    G = Group(discrete_generators=[[1, 2, 0]])
    assert parse("V(G)", names={"G": G}) == V(G)
    assert parse("V(G*SO(2))", names={"G": G}) == V(G * RotationGroup(2))
    assert parse("V(my group)", names={"my group": G}) == V(G)


@pytest.mark.parametrize("name", ["ψ₂", "𝜓₂", "P'", "so(2)-irrep", "V₃", "ρ"])
def test_names_may_hold_any_characters(name: str) -> None:
    p = P()
    assert parse(f"2{name}*V+{name}²", names={name: p}) == 2 * p * V + p**2


def test_the_longest_name_is_read() -> None:
    p, q = P(), V**2
    assert parse("Px+P", names={"P": p, "Px": q}) == q + p


def test_names_of_the_users_own_go_before_the_known_ones() -> None:
    assert parse("V+T", names={"V": V**2, "T": V.T}) == V**2 + V.T
    assert parse("V(S)", names={"S": SO3}) == V(SO3)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ParseError) as error:
        parse("q", names={"P": P(), "G": SO3})
    assert str(error.value) == (
        f"expected {FACTOR} at character 1 ('q' is none of V, Scalar, Vector, P, T(p,q))\n  q\n  ^"
    )


def test_names_of_anything_else_are_refused() -> None:
    with pytest.raises(InvalidRep) as error:
        parse("V", names={"f": 3})
    assert str(error.value) == "the values of names must be reps or groups; these are not: {'f': 3}"


# -- laws


@laws
@given(trees())
def test_text_with_every_part_in_parentheses_is_read_back(tree: Tree) -> None:
    assert parse(write(tree)) == build(tree)


@laws
@given(trees(MIXED))
def test_text_that_names_its_groups_is_read_back(tree: Tree) -> None:
    assert parse(write(tree)) == build(tree)


@laws
@given(trees())
def test_what_prints_is_read_back(tree: Tree) -> None:
    rep = build(tree)
    assert parse(str(rep)) == rep
    assert parse(repr(rep)) == rep


@laws
@given(trees(), st.sampled_from(["SO(2)", "SO11p()", "C(3)", "Z(2)*Z(1)", "ZksZnxZn(2,1)"]))
def test_a_concrete_rep_is_read_back_without_its_group_and_with_it(tree: Tree, name: str) -> None:
    G = parse_group(name)
    rep = build(tree)(G)
    assert parse(str(rep))(G) == rep
    assert parse(repr(rep)) == rep


@laws
@given(trees(MIXED))
def test_a_rep_of_several_groups_is_read_back_as_it_prints(tree: Tree) -> None:
    rep = build(tree)
    assert parse(repr(rep)) == rep
    if rep.G is None:
        assert parse(str(rep)) == rep


class Named(Rep):
    """A user-defined rep whose name ends in a digit below the line."""

    def __init__(self, n: int) -> None:
        self.n = n

    def rho(self, M: Any) -> Any:
        return M

    def __str__(self) -> str:
        return f"ψ{'₀₁₂₃'[self.n]}"


OWN: tuple[Tree, ...] = (("V", None), ("scalar",), ("own", 1), ("own", 2))


def _build_own(tree: Tree) -> Rep:
    """As `build`, with the leaves of the user's own."""
    return parse(_write_own(tree), names={f"own{n}": Named(n) for n in (1, 2)})


def _write_own(tree: Tree) -> str:
    match tree:
        case ("own", n):
            return f"own{n}"
        case (str(operator), *parts) if operator not in ("V", "scalar"):
            texts = [str(p) if isinstance(p, int) else f"({_write_own(p)})" for p in parts]
            if operator == "T":
                return f"{texts[0]}.T"
            return operator.strip("k").join(texts)
    return write(tree)


@laws
@given(
    st.recursive(
        st.sampled_from(OWN),
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["+", "*", ">>"]), inner, inner),
            st.tuples(st.just("k*"), st.integers(0, 3), inner),
            st.tuples(st.just("**"), inner, st.integers(0, 3)),
            st.tuples(st.just("T"), inner),
        ),
        max_leaves=5,
    )
)
def test_reps_of_the_users_own_are_read_back_by_their_names(tree: Tree) -> None:
    names = {str(Named(n)): Named(n) for n in (1, 2)}
    rep = _build_own(tree)
    assert parse(str(rep), names=names) == rep
    assert parse(repr(rep), names=names) == rep
    G = SO3
    assert parse(str(rep(G)), names=names)(G) == rep(G)
    assert parse(repr(rep(G)), names=names) == rep(G)


def test_reps_of_the_users_own_over_several_groups_are_read_back() -> None:
    rep = P()(S(4)) * V(S(4)) + P()(Z(3))
    assert parse(repr(rep), names={"P": P()}) == rep


# -- Python as the judge of precedence


@st.composite
def _texts(draw: Any, form: str = "maps", depth: int = 3) -> tuple[str, bool]:
    """A text that is Python too, and whether it is an integer there."""

    def several(part: str, most: int) -> list[tuple[str, bool]]:
        return [draw(_texts(part, depth)) for _ in range(draw(st.integers(1, most)))]

    match form:
        case "maps":
            (text, is_integer), *others = several("sum", 2)
            for other, other_is_integer in others:
                assume(not (is_integer and other_is_integer))  # Python shifts two integers
                text += draw(st.sampled_from([">>", "<<", " >> "])) + other
                is_integer = False
            return text, is_integer
        case "sum":
            parts = several("product", 3)
            return "+".join(t for t, _ in parts), all(i for _, i in parts)
        case "product":
            parts = several("power", 3)
            return "*".join(t for t, _ in parts), all(i for _, i in parts)
        case "power":
            text, is_integer = draw(_texts("postfixed", depth))
            if draw(st.integers(0, 3)) == 0:
                text += "**" + draw(st.sampled_from(["0", "1", "2", "(1+1)"]))
            return text, is_integer
        case "postfixed":
            text, is_integer = draw(_texts("atom", depth))
            if not is_integer and draw(st.booleans()):
                text += ".T"
            return text, is_integer
    kinds = ["V", "Scalar", "T(1,1)", "T(2)", "0", "1", "2", "3"] + ["("] * 3 * (depth > 0)
    kind = draw(st.sampled_from(kinds))
    if kind == "(":
        inside, is_integer = draw(_texts("maps", depth - 1))
        return f"({inside})", is_integer
    return kind, kind.isdigit()


@settings(deadline=None, max_examples=30)
@given(_texts(depth=2))
def test_precedence_is_pythons(drawn: tuple[str, bool]) -> None:
    """The same text, evaluated by Python itself, is the same rep."""
    text, _ = drawn
    try:
        value = eval(text, {"V": V, "T": T, "Scalar": Scalar})
    except TooLarge:
        with pytest.raises(TooLarge):
            parse(text)
        return
    expected = value if isinstance(value, Rep) else value * Scalar
    assert parse(text) == expected


@laws
@given(st.integers(0, 9), _texts("power", 1), st.sampled_from(["", " "]))
def test_an_integer_written_against_a_factor_binds_like_a_star(
    count: int, factor: tuple[str, bool], space: str
) -> None:
    text, is_integer = factor
    assume(not is_integer)
    assert parse(f"{count}{space}{text}+V") == parse(f"{count}*{text}+V")


SPELLINGS: list[tuple[str, Callable[[str], str]]] = [
    ("⊗ for *", lambda text: text.replace("**", "^").replace("*", "⊗").replace("^", "**")),
    ("⊕ for +", lambda text: text.replace("+", "⊕")),
    ("V² for V**2", lambda text: text.replace("**2", "²").replace("**1", "¹").replace("**0", "⁰")),
    ("spaces", lambda text: " ".join(text.replace("**", "^").replace(">>", "→").replace("<<", "←"))
     .replace("^", "**").replace("→", ">>").replace("←", "<<").replace("S c a l a r", "Scalar")),
    ("Vector", lambda text: text.replace("V", "Vector")),
]  # fmt: skip


@pytest.mark.parametrize("respell", [pytest.param(f, id=name) for name, f in SPELLINGS])
@settings(deadline=None, max_examples=12)
@given(drawn=_texts(depth=1))
def test_other_spellings_mean_the_same(
    respell: Callable[[str], str], drawn: tuple[str, bool]
) -> None:
    text, _ = drawn
    try:
        expected = parse(text)
    except TooLarge:
        return
    assert parse(respell(text)) == expected


def test_parsing_takes_names_from_any_mapping() -> None:
    names: Mapping[str, Rep] = {"P": P()}
    assert parse("P", names) == P()


def test_names_of_irreps_are_read_where_only_reps_were_imported() -> None:
    program = (
        "import sys\nfrom intertwine.reps import parse\nparse('V+5')\n"
        "print('intertwine.irreps' in sys.modules)\nprint(parse('2W5_72e3b4*V'))\n"
    )
    assert python(program).split() == ["False", "2W5_72e3b4⊗V"]


def test_a_registered_notation_is_read_and_other_names_of_its_letter_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("intertwine.reps.parsing._NOTATION", {})
    register_notation("Q", lambda text: P() if text == "Q_p" else None)
    assert parse("2Q_p+V") == 2 * P() + V
    with pytest.raises(ParseError, match="'Q_q' is none of V, Scalar, Vector"):
        parse("2Q_q+V")
    assert parse("Q_p", {"Q_p": V}) == V  # a caller's own names come first


# -- functions


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Register functions for a test; the arguments of each call of `Power`."""
    monkeypatch.setattr(parsing, "_FUNCTIONS", dict(parsing._FUNCTIONS))
    given: list[tuple[Any, ...]] = []

    def power(k: Any, rep: Any) -> Rep:
        given.append((k, rep))
        if k == 0:
            raise InvalidRep("the power is from 1 on")
        return V**k

    register_function("Power", power)
    register_function("Zero", lambda: Scalar)
    return given


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("Power(2, V)", (2, V)),
        ("Power²(V)", (2, V)),
        ("Power(3, V+V.T)", (3, V + V.T)),
        ("Power(2, Power(1, V))", (2, V)),
        ("2Power( 2 , V(SO(3)) )**2", (2, V(SO3))),
    ],
)
def test_a_function_is_called_with_its_arguments(
    functions: Any, text: str, arguments: tuple[Any, ...]
) -> None:
    parse(text)
    assert functions[-1] == arguments


def test_a_function_takes_lists_and_strings(functions: Any) -> None:
    given: list[Any] = []
    register_function("Take", lambda first, second: given.extend([first, second]) or V)
    assert parse("Take([2, 1], 'ij=ji')*Zero()") == V
    assert given == [(2, 1), "ij=ji"]
    parse('Take([], "")')
    assert given[2:] == [(), ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Power(2)", r"Power\(k, rep\).*found 1 argument"),
        ("Power(2, V, V)", "3 arguments"),
        ("Power(2, V", r"'\)'"),
        ("Power 2", r"'\('"),
        ("Power(0, V)", "from 1 on"),
        ("Power([2, V)", "an integer"),
        ("Power([2 3], V)", "','"),
        ("Power('ij, V)", "a closing '"),
        ("V+'ij'", "a rep such as"),
    ],
)
def test_a_wrong_call_is_shown(functions: Any, text: str, says: str) -> None:
    with pytest.raises(IntertwineError, match=says):
        parse(text)
