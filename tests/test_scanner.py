"""Reading user text: tokens with offsets, bounds, and complaints with a caret."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import ParseError, TooLarge
from intertwine.scanner import MAX_DEPTH, MAX_DIGITS, MAX_LENGTH, Scanner, Token, superscript

SYMBOLS = ("*", "**", "+", ">>", "(", ")", ",", ".")


def tokens(text: str, symbols: Any = SYMBOLS, **options: Any) -> list[Token]:
    scanner = Scanner(text, symbols, **options)
    found = []
    while scanner.next.kind != "end":
        found.append(scanner.take())
    return found


def kinds(text: str, **options: Any) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokens(text, **options)]


# -- tokens


def test_tokens_know_their_kind_their_text_and_their_place() -> None:
    assert tokens(" V²*10 ") == [
        Token("name", "V", 1),
        Token("superscript", "²", 2),
        Token("symbol", "*", 3),
        Token("integer", "10", 4),
    ]
    assert Scanner("  ", SYMBOLS).next == Token("end", "", 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("V**2", [("name", "V"), ("symbol", "**"), ("integer", "2")]),
        ("***", [("symbol", "**"), ("symbol", "*")]),
        ("V10W", [("name", "V10W")]),
        ("10V", [("integer", "10"), ("name", "V")]),
        ("¹⁰²", [("superscript", "¹⁰²")]),
        ("_x1", [("name", "_x1")]),
        ("ψ", [("name", "ψ")]),
        ("V²W", [("name", "V"), ("superscript", "²"), ("name", "W")]),
        ("1.5", [("integer", "1"), ("symbol", "."), ("integer", "5")]),
        ("1e5", [("integer", "1"), ("name", "e5")]),
        ("", []),
        ("\t\n\u00a0\u2003", []),
    ],
)
def test_a_text_is_cut_into_tokens(text: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", [("decimal", "1.5")]),
        ("1.", [("decimal", "1.")]),
        ("12", [("integer", "12")]),
        ("1e5", [("decimal", "1e5")]),
        ("1.5E-12", [("decimal", "1.5E-12")]),
        ("2e+3", [("decimal", "2e+3")]),
        ("1e", [("integer", "1"), ("name", "e")]),
        ("1ex", [("integer", "1"), ("name", "ex")]),
        ("1.e5", [("decimal", "1.e5")]),
        ("1.2.3", [("decimal", "1.2"), ("symbol", "."), ("integer", "3")]),
    ],
)
def test_decimals_are_read_where_they_are_asked_for(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert kinds(text, decimals=True) == expected


def test_names_that_are_given_may_hold_any_characters() -> None:
    names = ("ψ₂", "P'", "so(2) rep", "")
    assert kinds("ψ₂*P'+so(2) rep", names=names) == [
        ("name", "ψ₂"),
        ("symbol", "*"),
        ("name", "P'"),
        ("symbol", "+"),
        ("name", "so(2) rep"),
    ]


def test_the_longest_reading_of_a_name_wins() -> None:
    assert kinds("Px", names=("P", "Px")) == [("name", "Px")]
    assert kinds("Pxy", names=("P", "Px")) == [("name", "Pxy")]
    assert kinds("P x", names=("P", "P x")) == [("name", "P x")]


@pytest.mark.parametrize("digits", ["٣", "३", "𝟛", "③", "½"])
def test_only_ascii_digits_are_digits(digits: str) -> None:
    with pytest.raises(ParseError, match="means nothing here"):
        tokens(digits)


@laws
@given(st.lists(st.sampled_from(["V", "ab1", "*", "**", "+", ">>", "(", ")", "12", "²³", " "])))
def test_nothing_is_lost_and_nothing_is_added(pieces: list[str]) -> None:
    text = " ".join(pieces)
    found = tokens(text)
    assert "".join(token.text for token in found) == text.replace(" ", "")
    for token in found:
        assert text[token.offset : token.stop] == token.text
    assert [token.offset for token in found] == sorted(token.offset for token in found)


@laws
@given(st.text(max_size=60))
def test_any_text_is_cut_or_refused_with_its_place(text: str) -> None:
    try:
        found = tokens(text)
    except ParseError as error:
        offset = error.offset
    else:
        assert "".join(t.text for t in found) == "".join(c for c in text if not c.isspace())
        return
    assert 0 <= offset < len(text)


@laws
@given(st.integers(0, 10**15 - 1))
def test_superscripts_are_integers_written_above_the_line(number: int) -> None:
    (token,) = tokens(superscript(number))
    assert token.kind == "superscript"
    assert token.integer == number
    (plain,) = tokens(str(number))
    assert plain.integer == number


def test_a_token_says_what_it_is() -> None:
    scanner = Scanner("V", SYMBOLS)
    assert str(scanner.next) == "'V'"
    scanner.take()
    assert str(scanner.next) == "the end of the text"


# -- reading on


def test_reading_is_one_token_ahead() -> None:
    scanner = Scanner("V*(2)", SYMBOLS)
    assert scanner.expect_kind("name", "a name").text == "V"
    assert scanner.sees("+", "*")
    assert not scanner.sees("+")
    assert scanner.accept("+") is None
    assert scanner.accept("+", "*") == Token("symbol", "*", 1)
    assert scanner.after(scanner.next) == Token("integer", "2", 3)
    assert scanner.expect("(").offset == 2
    assert scanner.take().integer == 2
    scanner.expect(")")
    scanner.expect_end("the end")


def test_a_text_in_parentheses_can_be_skipped() -> None:
    scanner = Scanner("((a)(b))c", SYMBOLS)
    assert scanner.closing() == 7
    scanner.skip_to(8)
    assert scanner.next == Token("name", "c", 8)


COMPLAINTS = [
    ("V", lambda s: s.expect("("), "expected '(' at character 1 (found 'V')\n  V\n  ^"),
    (
        "V",
        lambda s: s.expect_kind("integer", "an integer"),
        "expected an integer at character 1 (found 'V')\n  V\n  ^",
    ),
    (
        "V",
        lambda s: s.expect_end("nothing"),
        "expected nothing at character 1 (found 'V')\n  V\n  ^",
    ),
    (
        "V W",
        lambda s: (s.take(), s.expect_end("an operator", "write V*W")),
        "expected an operator at character 3 (write V*W)\n  V W\n    ^",
    ),
    (
        "V",
        lambda s: (s.take(), s.expect(")")),
        "expected ')' at character 2 (found the end of the text)\n  V\n   ^",
    ),
    ("V W", lambda s: s.fail("less", offset=2), "expected less at character 3\n  V W\n    ^"),
    (
        "(V",
        lambda s: s.closing(),
        "expected a matching ')' at character 1 (this parenthesis is never closed)\n  (V\n  ^",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "read", "message"), COMPLAINTS)
def test_complaints_show_the_place(text: str, read: Any, message: str) -> None:
    with pytest.raises(ParseError) as error:
        read(Scanner(text, SYMBOLS))
    assert str(error.value) == message


def test_an_unknown_character_is_shown() -> None:
    with pytest.raises(ParseError) as error:
        tokens("V $")
    assert str(error.value) == (
        "expected a known character at character 3 ('$' means nothing here)\n  V $\n    ^"
    )
    with pytest.raises(ParseError) as error:
        tokens("\x00")
    assert str(error.value) == (
        "expected a known character at character 1 ('\\x00' means nothing here)\n   \n  ^"
    )


# -- bounds


def test_long_texts_are_refused_before_they_are_read() -> None:
    assert len(tokens("V " * (MAX_LENGTH // 2))) == MAX_LENGTH // 2
    with pytest.raises(TooLarge) as error:
        Scanner("\x00" * (MAX_LENGTH + 1), SYMBOLS)
    assert str(error.value) == "the text has 4,097 characters; at most 4,096 are read"


def test_long_integers_are_refused() -> None:
    (token,) = tokens("9" * MAX_DIGITS)
    assert token.integer == 10**MAX_DIGITS - 1
    for digit in "9⁹":
        with pytest.raises(ParseError) as error:
            tokens("V+" + digit * (MAX_DIGITS + 1))
        assert str(error.value) == (
            f"expected an integer of at most 15 digits at character 3\n  V+{digit * 16}\n    ^"
        )


def test_nesting_is_counted() -> None:
    scanner = Scanner("(" * 50, SYMBOLS)

    def descend(levels: int) -> None:
        if levels:
            with scanner.nested():
                descend(levels - 1)

    descend(MAX_DEPTH)
    descend(MAX_DEPTH)  # and counted down again
    with pytest.raises(ParseError, match="parentheses go at most 40 deep"):
        descend(MAX_DEPTH + 1)
