"""Numbers from text: safely, correctly rounded, and within bounds."""

from __future__ import annotations

import ast
import cmath
import json
import operator
from typing import Any

import pytest
from helpers.laws import laws
from helpers.support import run_python
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import IntertwineError, ParseError, TooLarge
from intertwine.groups.numbers import parse_number
from sympy import I, Integer, Rational, cos, pi, sin, sqrt

VALUES = [
    ("0", Integer(0)),
    ("42", Integer(42)),
    ("1.5", Rational(3, 2)),
    ("0.1", Rational(1, 10)),
    ("1.", Integer(1)),
    ("1e-3", Rational(1, 1000)),
    ("2.5E+2", Integer(250)),
    ("-1", Integer(-1)),
    ("+1", Integer(1)),
    ("1/3", Rational(1, 3)),
    ("sqrt(3)/2", sqrt(3) / 2),
    ("-sqrt(3)/2", -sqrt(3) / 2),
    ("sqrt(-1)", I),
    ("sqrt(1/2)", sqrt(2) / 2),
    ("-1/2 + I*sin(pi/5)", -Rational(1, 2) + I * sin(pi / 5)),
    ("cos(2*pi/7)", cos(2 * pi / 7)),
    ("i", I),
    ("I*I", Integer(-1)),
    ("pi**2", pi**2),
    ("2**10", Integer(1024)),
    ("2**-2", Rational(1, 4)),
    ("-2**2", Integer(-4)),
    ("(-2)**2", Integer(4)),
    ("2*3+4", Integer(10)),
    ("2+3*4", Integer(14)),
    ("2*(3+4)", Integer(14)),
    ("8/4/2", Integer(1)),
    ("1-2-3", Integer(-4)),
    ("-(1+2)", Integer(-3)),
    ("sqrt(2)**2", Integer(2)),
    ("sqrt(2 + sqrt(3))", sqrt(2 + sqrt(3))),
    ("0**0", Integer(1)),
    (" 1 / 2 ", Rational(1, 2)),
    ("1/2 + I/3", Rational(1, 2) + I / 3),
]


@pytest.mark.parametrize(("text", "value"), [pytest.param(*row, id=row[0]) for row in VALUES])
def test_the_text_means_the_number(text: str, value: Any) -> None:
    assert parse_number(text) == complex(value.evalf(40))


@laws
@given(
    st.recursive(
        st.integers(0, 99).map(str),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map("".join),
            inner.map("({})".format),
            inner.map("-({})".format).map("({})".format),
            st.tuples(inner.map("({})".format), st.just("**"), st.sampled_from("0123")).map(
                "".join
            ),
        ),
        max_leaves=8,
    )
)
def test_precedence_is_pythons(text: str) -> None:
    """Python's own syntax tree, worked out in rational numbers, gives the same value."""
    operations = {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.Pow: operator.pow,
    }

    def value(node: Any) -> Rational:
        match node:
            case ast.Constant(int(number)):
                return Integer(number)
            case ast.UnaryOp(ast.USub(), operand):
                return -value(operand)
            case ast.BinOp(left, kind, right):
                if isinstance(kind, ast.Div) and value(right) == 0:
                    raise ZeroDivisionError
                return operations[type(kind)](value(left), value(right))
        raise AssertionError(node)

    try:
        expected = value(ast.parse(text, mode="eval").body)
    except ZeroDivisionError:
        with pytest.raises(ParseError, match="zero"):
            parse_number(text)
        return
    try:
        assert parse_number(text) == int(expected.p) / int(expected.q)
    except ParseError as error:
        assert "1e300" in str(error)  # noqa: PT017 - a bound may be passed on the way
        assert max(abs(expected.p), expected.q).bit_length() > 100


NUMBER = "a number, sqrt(…), cos(…), sin(…), pi or I"
COMPLAINTS = [
    ("", f"expected {NUMBER} at character 1 (found the end of the text)"),
    ("1+", f"expected {NUMBER} at character 3 (found the end of the text)"),
    ("--1", f"expected {NUMBER} at character 2 (found '-')"),
    ("e", f"expected {NUMBER} at character 1 (found 'e')"),
    ("oo", f"expected {NUMBER} at character 1 (found 'oo')"),
    ("nan", f"expected {NUMBER} at character 1 (found 'nan')"),
    ("x", f"expected {NUMBER} at character 1 (found 'x')"),
    ("exp(1)", f"expected {NUMBER} at character 1 (found 'exp')"),
    ("2 3", "expected an operator or the end of the number at character 3 (found '3')"),
    ("2pi", "expected an operator or the end of the number at character 2 (found 'pi')"),
    ("1e", "expected an operator or the end of the number at character 2 (found 'e')"),
    ("0x10", "expected an operator or the end of the number at character 2 (found 'x10')"),
    ("1_000", "expected an operator or the end of the number at character 2 (found '_000')"),
    ("1)", "expected an operator or the end of the number at character 2 (found ')')"),
    ("(1", "expected ')' at character 3 (found the end of the text)"),
    ("sqrt 2", "expected '(' at character 6 (found '2')"),
    ("sqrt", "expected '(' at character 5 (found the end of the text)"),
    ("2^3", "expected a known character at character 2 ('^' means nothing here)"),
    ("I.real", "expected a known character at character 2 ('.' means nothing here)"),
    ("1/0", "expected a divisor other than zero at character 2"),
    ("1/(1-1)", "expected a divisor other than zero at character 2"),
    ("0**-1", "expected a base other than zero at character 2"),
    ("2**x", "expected an integer exponent at character 4 (found 'x')"),
    ("2**0.5", "expected an integer exponent at character 4 (found '0.5')"),
    ("2**65", "expected an exponent of at most 64 at character 2"),
    ("1e999", "expected a decimal exponent of at most 300 at character 1 (found '1e999')"),
    ("2+1e-999", "expected a decimal exponent of at most 300 at character 3 (found '1e-999')"),
    ("cos(10**7)", "expected an angle of at most 1,000,000 at character 11 (this one is larger)"),
    ("9" * 16, "expected an integer of at most 15 digits at character 1"),
]


@pytest.mark.parametrize(
    ("text", "complaint"), [pytest.param(*row, id=repr(row[0])) for row in COMPLAINTS]
)
def test_the_error_shows_the_place_and_the_expectation(text: str, complaint: str) -> None:
    with pytest.raises(ParseError) as error:
        parse_number(text)
    before = " " * error.value.offset
    assert f"at character {len(before) + 1}" in complaint
    assert str(error.value) == f"{complaint}\n  {text}\n  {before}^"


@pytest.mark.parametrize(
    "text",
    [
        "1/(sqrt(2)**2 - 2)",
        "1/(sqrt(3 + 2*sqrt(2)) - 1 - sqrt(2))",
        "1/(cos(pi/7) - cos(2*pi/7) + cos(3*pi/7) - 1/2)",
        "1/(sin(1)**2 + cos(1)**2 - 1)",
    ],
)
def test_a_zero_in_disguise_is_no_divisor(text: str) -> None:
    """Rounding would else make a number of 140 digits of it."""
    with pytest.raises(ParseError, match="expected a divisor other than zero"):
        parse_number(text)


def _tower(inner: str, levels: int) -> str:
    return "(" * levels + inner + ")**64" * levels


#: Each would take hours or all memory if it were worked out.
BOMBS = {
    "nested powers": "((9**64)**64)**64",
    "many nested powers": _tower("9", 30),
    "nested powers of a sum": _tower("1+sqrt(2)", 30),
    "nested powers of a complex number": _tower("1+2*I", 30),
    "a product of powers": "*".join(["999999999999999**64"] * 50),
    "a tower": "9**9**9**9",
    "the cosine of a huge number": f"cos({_tower('1+sqrt(2)', 5)})",
    "the sine of a huge number": f"sin({_tower('pi', 8)})",
    "a hyperbolic cosine within a sine": "sin(cos(I*10**8))",
    "cosines of imaginary numbers": "cos(I*10*" * 20 + "1" + ")" * 20,
    "a root of a huge number": f"sqrt({_tower('1+sqrt(2)', 20)})",
    "many roots": "sqrt(" * 40 + "2" + ")" * 40,
    "many cosines": "cos(" * 40 + "1" + ")" * 40,
    "a long sum": "+".join(f"sqrt({p})" for p in range(2, 400)),
    "a long product": "*".join(["(1+sqrt(2))"] * 300),
    "deep parentheses": "(" * 2000 + "1" + ")" * 2000,
    "deep signs": "-(" * 1000 + "1" + ")" * 1000,
    "a long decimal": "0." + "3" * 4000,
    "many digits": "1" * 4000,
    "a huge decimal": "1e400*1e400*1e400*1e400",
    "fractions of fractions": "/".join(["(1/3**64)"] * 100),
}

PROGRAM = """
import os, resource, sys
from intertwine.errors import IntertwineError
from intertwine.groups import group_from_json
from intertwine.groups.numbers import parse_number

def outcome(text):
    try:
        group_from_json({"lie_algebra": [[[text]]]})
        return "read"
    except IntertwineError as error:
        return error.code
    except Exception as error:
        return f"{type(error).__name__}: {error}"

parse_number("cos(pi/5)+sqrt(2)*sin(1)")  # what it needs is loaded on first use
outcomes = {}
for name, text in json.loads(sys.argv[1]).items():
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))  # which ends it, whatever it computes
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        os.write(writing, outcome(text).encode())
        os._exit(0)
    os.close(writing)
    said = os.read(reading, 10_000).decode() or "killed"
    usage = os.wait4(child, 0)[2]
    outcomes[name] = [said, usage.ru_utime + usage.ru_stime]
answer(outcomes)
"""


def test_bombs_are_read_or_refused_at_once() -> None:
    """In processes that can be killed: arithmetic of millions of digits heeds no exception."""
    with pytest.raises(TooLarge):
        parse_number("1+" * 10**6 + "1")
    finished = run_python(PROGRAM, json.dumps(BOMBS))
    assert finished.status == 0, finished.stderr
    fine = ("read", "syntax", "too-large", "invalid-group")
    assert {name: said for name, (said, _) in finished.value.items() if said not in fine} == {}
    assert {name: took for name, (_, took) in finished.value.items() if not took < 1} == {}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*"0123456789+-*/().eEI ", "sqrt(", "cos(", "sin(", "pi", "**", "1/2", "**2", "I"]
        ),
        max_size=25,
    ).map("".join)
)
def test_random_texts_give_a_number_or_a_complaint(text: str) -> None:
    try:
        value = parse_number(text)
    except IntertwineError:
        return
    assert isinstance(value, complex)
    assert cmath.isfinite(value)
