"""Numbers from text, such as ``sqrt(3)/2`` or ``-1/2 + I*sin(pi/5)``."""

from __future__ import annotations

from functools import cache
from typing import Any

from intertwine.scanner import Scanner

_SYMBOLS = ("**", "+", "-", "*", "/", "(", ")")
_FUNCTIONS = ("sqrt", "cos", "sin")
_NUMBER = "a number, sqrt(…), cos(…), sin(…), pi or I"
MAX_EXPONENT = 64
"""The largest exponent of a power, in magnitude."""
MAX_MAGNITUDE = 300
"""Every intermediate result is at most 10 to this, and nonzero ones at least 10 to minus this."""
MAX_ANGLE = 10**6
"""The largest argument of sin and cos, in magnitude."""
_DIGITS = 100
_KEPT = 60  # sums that cancel to less than 10 to minus this of their terms are zero


@cache
def _context() -> Any:
    """Return a private arithmetic of 100 digits (mpmath's own is global)."""
    from mpmath import MPContext

    context = MPContext()
    context.dps = _DIGITS
    return context


def parse_number(text: str) -> complex:
    """Return the text's value, correctly rounded to complex128.

    It is computed with 100 digits, so that ``cos(pi/2)`` and ``sqrt(2)**2 - 2`` are zero and
    intermediate rounding does not show. Raises `ParseError` for anything but + − * / ** ,
    parentheses, decimal numbers, sqrt, cos, sin, pi and I (or i), for a division by zero, and for
    intermediate results past 10^300; `TooLarge` for a text that is too long.
    """
    reader = _Reader(Scanner(text, _SYMBOLS, decimals=True))
    value = reader.sum()
    reader.scanner.expect_end("an operator or the end of the number")
    return complex(value)


class _Reader:
    """The grammar; each function's docstring is its rule."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.context = _context()
        self.noise = self.context.mpf(10) ** -_KEPT

    def sum(self) -> Any:
        """sum := ["+" | "-"] product (("+" | "-") product)*"""
        sign = self.scanner.accept("+", "-")
        value = self.product()
        if sign and sign.text == "-":
            value = -value
        while operator := self.scanner.accept("+", "-"):
            other = self.product()
            total = value + other if operator.text == "+" else value - other
            value = self._bounded(self._cleared(total, abs(value) + abs(other)))
        return value

    def product(self) -> Any:
        """product := power (("*" | "/") power)*"""
        value = self.power()
        while operator := self.scanner.accept("*", "/"):
            other = self.power()
            if operator.text == "/" and other == 0:
                self.scanner.fail("a divisor other than zero", offset=operator.offset)
            value = self._bounded(value * other if operator.text == "*" else value / other)
        return value

    def power(self) -> Any:
        """power := atom ["**" ["-"] INTEGER]."""
        value = self.atom()
        if operator := self.scanner.accept("**"):
            sign = -1 if self.scanner.accept("-") else 1
            exponent = self.scanner.expect_kind("integer", "an integer exponent").integer
            if exponent > MAX_EXPONENT:
                self.scanner.fail(f"an exponent of at most {MAX_EXPONENT}", offset=operator.offset)
            if sign < 0 and value == 0:
                self.scanner.fail("a base other than zero", offset=operator.offset)
            value = self._bounded(value ** (sign * exponent))
        return value

    def atom(self) -> Any:
        """atom := NUMBER | "pi" | "I" | FUNCTION "(" sum ")" | "(" sum ")"."""
        token = self.scanner.next
        if token.kind in ("integer", "decimal"):
            _, _, exponent = token.text.lower().partition("e")
            if abs(int(exponent or 0)) > MAX_MAGNITUDE:
                self.scanner.fail(f"a decimal exponent of at most {MAX_MAGNITUDE}")
            self.scanner.take()
            return self._bounded(self.context.mpf(token.text))
        if self.scanner.accept("("):
            return self._inside()
        constants = {"pi": self.context.pi, "I": self.context.j, "i": self.context.j}
        if token.text in constants and token.kind == "name":
            self.scanner.take()
            return +constants[token.text]
        if token.text in _FUNCTIONS and token.kind == "name":
            self.scanner.take()
            self.scanner.expect("(")
            return self._bounded(self._function(token.text, self._inside()))
        return self.scanner.fail(_NUMBER)

    def _inside(self) -> Any:
        """inside := sum ")"."""
        with self.scanner.nested():
            value = self.sum()
        self.scanner.expect(")")
        return value

    def _function(self, name: str, argument: Any) -> Any:
        if name == "sqrt":
            return self.context.sqrt(argument)
        if abs(argument) > MAX_ANGLE or abs(self.context.im(argument)) > MAX_MAGNITUDE:
            self.scanner.fail(f"an angle of at most {MAX_ANGLE:,}", "this one is larger")
        found = self.context.cos(argument) if name == "cos" else self.context.sin(argument)
        return self._cleared(found, 1)

    def _cleared(self, value: Any, scale: Any) -> Any:
        """Return the value with parts that are rounding errors at this scale set to zero."""
        real, imaginary = self.context.re(value), self.context.im(value)
        small = self.noise * scale
        real = real if abs(real) > small else self.context.zero
        return real if abs(imaginary) <= small else self.context.mpc(real, imaginary)

    def _bounded(self, value: Any) -> Any:
        magnitude = abs(value)
        limit = self.context.mpf(10) ** MAX_MAGNITUDE
        if magnitude > limit or 0 < magnitude < 1 / limit:
            self.scanner.fail(
                f"numbers between 1e-{MAX_MAGNITUDE} and 1e{MAX_MAGNITUDE} in magnitude",
                "this makes one outside",
            )
        return value
