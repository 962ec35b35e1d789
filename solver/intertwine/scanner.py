"""Reading user text: tokens with offsets, bounds, and errors with a caret.

The grammars of reps, groups and exact numbers are written on top of this by recursive descent.
User text is never passed to an interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from reprlib import repr as shortened
from typing import NoReturn

from intertwine.errors import IntertwineError, ParseError, TooLarge

MAX_LENGTH = 4096
"""The longest text that is read, in characters."""
MAX_DEPTH = 40
"""The deepest nesting of parentheses."""
MAX_DIGITS = 15
"""The longest integer, in digits."""

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_TO_DIGITS = str.maketrans(_SUPERSCRIPTS, "0123456789")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text: its `kind` is integer, decimal, name, superscript, string, symbol or end."""

    kind: str
    text: str
    offset: int

    @property
    def integer(self) -> int:
        """The value of an integer or of a run of superscript digits."""
        return int(self.text.translate(_TO_DIGITS))

    @property
    def string(self) -> str:
        """The characters between the quotes of a string."""
        return self.text[1:-1]

    @property
    def stop(self) -> int:
        """The offset after the token."""
        return self.offset + len(self.text)

    def __str__(self) -> str:
        """Return the text for error messages, long ones without their middle."""
        return shortened(self.text) if self.text else "the end of the text"


class Scanner:
    """The tokens of a text, with one token of lookahead. Every error goes through `fail`.

    With a `span` only that part of the text is read; errors still show all of it.
    """

    def __init__(
        self,
        text: str,
        symbols: Iterable[str],
        *,
        names: Iterable[str] = (),
        decimals: bool = False,
        strings: bool = False,
        span: tuple[int, int] | None = None,
    ) -> None:
        if len(text) > MAX_LENGTH:
            raise TooLarge(
                f"the text has {len(text):,} characters; at most {MAX_LENGTH:,} are read"
            )
        self.text = text
        self._depth = 0
        self._symbols = sorted(symbols, key=len, reverse=True)
        self._names = sorted(filter(None, names), key=len, reverse=True)
        self._decimals, self._strings = decimals, strings
        start, self._stop = span or (0, len(text))
        self.next = self._read(start)

    def _read(self, at: int) -> Token:
        text = self.text
        while at < self._stop and text[at].isspace():
            at += 1
        if at >= self._stop:
            return Token("end", text[self._stop : self._stop + 1], self._stop)
        here = text[at]
        if here in "0123456789":
            return self._number(at)
        if here in _SUPERSCRIPTS:
            return self._digits("superscript", at, at + self._run(at, _SUPERSCRIPTS))
        if self._strings and here in "'\"":
            return self._string(at)
        given = next((name for name in self._names if text.startswith(name, at)), "")
        word = self._word(at)
        if given or word:
            return Token("name", max(given, word, key=len), at)
        for symbol in self._symbols:
            if text.startswith(symbol, at):
                return Token("symbol", symbol, at)
        raise ParseError(text, at, "a known character", f"{here!r} means nothing here")

    def _run(self, at: int, characters: str) -> int:
        stop = at
        while stop < len(self.text) and self.text[stop] in characters:
            stop += 1
        return stop - at

    def _word(self, at: int) -> str:
        if not self.text[at].isidentifier():
            return ""
        stop = at
        while stop < len(self.text) and ("_" + self.text[stop]).isidentifier():
            stop += 1
        return self.text[at:stop]

    def _number(self, at: int) -> Token:
        stop = at + self._run(at, "0123456789")
        if not self._decimals:
            return self._digits("integer", at, stop)
        kind = "integer"
        if self.text[stop : stop + 1] == ".":
            kind, stop = "decimal", stop + 1 + self._run(stop + 1, "0123456789")
        if self.text[stop : stop + 1] in ("e", "E"):
            sign = self.text[stop + 1 : stop + 2] in ("+", "-")
            digits = self._run(stop + 1 + sign, "0123456789")
            if digits:
                kind, stop = "decimal", stop + 1 + sign + digits
        return self._digits(kind, at, stop) if kind == "integer" else self._token(kind, at, stop)

    def _string(self, at: int) -> Token:
        """Characters between two equal quotes; there are no escapes."""
        closing = self.text.find(self.text[at], at + 1, self._stop)
        if closing < 0:
            raise ParseError(
                self.text, at, f"a closing {self.text[at]}", "this string is not closed"
            )
        return self._token("string", at, closing + 1)

    def _digits(self, kind: str, at: int, stop: int) -> Token:
        if stop - at > MAX_DIGITS:
            raise ParseError(self.text, at, f"an integer of at most {MAX_DIGITS} digits")
        return self._token(kind, at, stop)

    def _token(self, kind: str, at: int, stop: int) -> Token:
        return Token(kind, self.text[at:stop], at)

    def take(self) -> Token:
        """Consume the next token and return it."""
        token = self.next
        self.next = self._read(token.stop)
        return token

    def after(self, token: Token) -> Token:
        """Return the token after another, for further lookahead."""
        return self._read(token.stop)

    def skip_to(self, offset: int) -> None:
        """Continue at `offset`; another grammar has read the text before it."""
        self.next = self._read(offset)

    def sees(self, *symbols: str) -> bool:
        """Return whether the next token is one of these symbols."""
        return self.next.kind == "symbol" and self.next.text in symbols

    def accept(self, *symbols: str) -> Token | None:
        """Consume and return the next token if it is one of these symbols."""
        return self.take() if self.sees(*symbols) else None

    def expect(self, symbol: str) -> Token:
        """Consume this symbol, or raise `ParseError` if it is missing."""
        return self.accept(symbol) or self.fail(f"{symbol!r}")

    def expect_kind(self, kind: str, expected: str) -> Token:
        """Consume a token of this kind, or raise `ParseError` if it is missing."""
        return self.take() if self.next.kind == kind else self.fail(expected)

    def expect_end(self, expected: str, hint: str = "") -> None:
        """Raise `ParseError` unless the whole text was read."""
        if self.next.kind != "end":
            self.fail(expected, hint)

    def fail(self, expected: str, hint: str = "", offset: int | None = None) -> NoReturn:
        """Raise a `ParseError` at the next token, or at `offset`."""
        if offset is None:
            raise ParseError(self.text, self.next.offset, expected, hint or f"found {self.next}")
        raise ParseError(self.text, offset, expected, hint)

    @contextmanager
    def showing(self, offset: int) -> Iterator[None]:
        """Append the place in the text to errors raised inside."""
        try:
            yield
        except ParseError:
            raise
        except IntertwineError as error:
            caret = ParseError(self.text, offset, "").caret
            raise type(error)(f"{error}\n{caret}") from error

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Count one level of nesting, and fail before the interpreter's stack overflows."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail("less nesting", f"parentheses go at most {MAX_DEPTH} deep")
        yield
        self._depth -= 1

    def closing(self) -> int:
        """Return the offset of the `)` that matches the next token, a `(`."""
        depth = 0
        for at in range(self.next.offset, len(self.text)):
            depth += {"(": 1, ")": -1}.get(self.text[at], 0)
            if depth == 0:
                return at
        self.fail("a matching ')'", "this parenthesis is never closed")


def superscript(number: int) -> str:
    """Return the number in superscript digits."""
    return str(number).translate(str.maketrans("0123456789", _SUPERSCRIPTS))
