"""The tree of errors, as its docstring draws it; and how a complaint about a text looks."""

from __future__ import annotations

import pickle
import re

import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine import errors
from intertwine.errors import IntertwineError, ParseError

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, IntertwineError)
}


def _drawn() -> dict[str, str | None]:
    """The parent of each error, by the indentation of the drawing in the module's docstring."""
    parents: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ├└─]*)([A-Z]\w+)(  |$)", line)
        if not found:
            continue
        depth = len(found[1]) // 4
        path = [(d, name) for d, name in path if d < depth]
        parents[found[2]] = path[-1][1] if path else None
        path.append((depth, found[2]))
    return parents


def test_the_tree_is_the_one_that_is_drawn() -> None:
    actual = {
        name: None if kind is IntertwineError else kind.__mro__[1].__name__
        for name, kind in CLASSES.items()
    }
    assert _drawn() == actual
    assert len(actual) > 10


def test_every_error_of_the_library_is_in_the_tree() -> None:
    """None is defined elsewhere, where the drawing would not show it."""
    import intertwine.bases
    import intertwine.invariants
    import intertwine.reps
    import intertwine.verify  # noqa: F401 - imported for the errors that it might define

    def below(kind: type[IntertwineError]) -> set[type[IntertwineError]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    ours = {kind for kind in below(IntertwineError) if kind.__module__.startswith("intertwine.")}
    assert ours == set(CLASSES.values())


CODES = {
    "IntertwineError": "error",
    "ParseError": "syntax",
    "InvalidGroup": "invalid-group",
    "InvalidRep": "invalid-rep",
    "NotConcrete": "not-concrete",
    "UnknownMethod": "unknown-method",
    "Unavailable": "unavailable",
    "MethodNotApplicable": "method-not-applicable",
    "TooLarge": "too-large",
    "FormatError": "format",
    "NotEquivariant": "not-equivariant",
    "SolveError": "solve",
    "AmbiguousRank": "ambiguous-rank",
    "NotConverged": "not-converged",
    "NonFiniteLoss": "non-finite-loss",
}


def test_codes_are_stable_and_different() -> None:
    """Scripts and HTTP clients rely on them."""
    codes = {name: kind.code for name, kind in CLASSES.items()}
    assert {name: codes[name] for name in CODES} == CODES
    assert len(set(codes.values())) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes.values())


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_says_what_it_is_for_and_survives_pickling(name: str) -> None:
    kind = CLASSES[name]
    assert kind.__doc__
    error = ParseError("V V", 2, "an operator") if kind is ParseError else kind("a message")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


def test_errors_are_pythons_kinds_too() -> None:
    assert issubclass(errors.ParseError, ValueError)
    assert issubclass(errors.InvalidGroup, ValueError)
    assert issubclass(errors.InvalidRep, ValueError)
    assert issubclass(errors.TooLarge, ValueError)
    assert issubclass(errors.SolveError, ArithmeticError)
    assert issubclass(errors.NotEquivariant, AssertionError)


# -- complaints about a text


def test_a_complaint_says_what_was_expected_where_and_shows_it() -> None:
    error = ParseError("V**2 V", 5, "an operator", "write V*V")
    assert str(error) == (
        "expected an operator at character 6 (write V*V)\n"
        "  V**2 V\n"
        "       ^"
    )  # fmt: skip
    assert (error.text, error.offset, error.expected) == ("V**2 V", 5, "an operator")
    assert str(ParseError("V", 1, "more")) == "expected more at character 2\n  V\n   ^"
    assert error.message == str(error)


def test_the_text_around_the_place_is_shown_in_one_line() -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(200))
    error = ParseError(text, 100, "an operator")
    assert error.caret == (
        "  …ijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop…\n"
        "                                           ^"
    )


@laws
@given(st.text(max_size=300), st.data())
def test_the_caret_stands_beneath_the_place(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    error = ParseError(text, offset, "something")
    first, shown, caret = str(error).split("\n")
    assert first == f"expected something at character {offset + 1}"
    assert len(shown) <= 64
    assert caret.strip() == "^"
    column = caret.index("^")
    if offset < len(text):
        here = text[offset]
        assert shown[column] == (here if here.isprintable() else " ")
    else:
        assert column == len(shown)


def test_control_characters_do_not_break_the_line() -> None:
    error = ParseError("V\n\t\x1b[31m+\u2028V", 9, "a factor")
    assert error.caret == "  V   [31m+ V\n           ^"
