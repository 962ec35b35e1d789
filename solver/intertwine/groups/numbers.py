"""Exact numbers from text, such as ``sqrt(3)/2`` or ``-1/2 + I*sin(pi/5)``."""

from __future__ import annotations

from typing import Any

from intertwine.scanner import Scanner

_SYMBOLS = ("**", "+", "-", "*", "/", "(", ")")
_FUNCTIONS = ("sqrt", "cos", "sin")
_NUMBER = "a number, sqrt(…), cos(…), sin(…), pi or I"
MAX_EXPONENT = 64
"""The largest exponent of a power, in magnitude."""
MAX_BITS = 2048
"""The longest exact integer, numerator or denominator that may arise on the way."""


def parse_number(text: str) -> Any:
    """The text's value as an exact SymPy expression.

    Raises `ParseError` for anything but + − * / ** , parentheses, decimal numbers, sqrt, cos,
    sin, pi and I (or i), and `TooLarge` for a text that is too long.
    """
    scanner = Scanner(text, _SYMBOLS, decimals=True)
    value = _sum(scanner)
    scanner.expect_end("an operator or the end of the number")
    return value


def _sum(scanner: Scanner) -> Any:
    """sum := ["+" | "-"] product (("+" | "-") product)*"""
    sign = scanner.accept("+", "-")
    value = _product(scanner)
    if sign and sign.text == "-":
        value = -value
    while operator := scanner.accept("+", "-"):
        other = _product(scanner)
        value = _bounded(scanner, value + other if operator.text == "+" else value - other)
    return value


def _product(scanner: Scanner) -> Any:
    """product := power (("*" | "/") power)*"""
    value = _power(scanner)
    while operator := scanner.accept("*", "/"):
        other = _power(scanner)
        if operator.text == "/" and other.is_zero:
            scanner.fail("a divisor other than zero", offset=operator.offset)
        value = _bounded(scanner, value * other if operator.text == "*" else value / other)
    return value


def _power(scanner: Scanner) -> Any:
    """power := atom ["**" ["-"] INTEGER]."""
    value = _atom(scanner)
    if operator := scanner.accept("**"):
        sign = -1 if scanner.accept("-") else 1
        exponent = scanner.expect_kind("integer", "an integer exponent").integer
        if exponent > MAX_EXPONENT:
            scanner.fail(f"an exponent of at most {MAX_EXPONENT}", offset=operator.offset)
        if sign < 0 and value.is_zero:
            scanner.fail("a base other than zero", offset=operator.offset)
        value = _bounded(scanner, value ** (sign * exponent))
    return value


def _atom(scanner: Scanner) -> Any:
    """atom := NUMBER | "pi" | "I" | FUNCTION "(" sum ")" | "(" sum ")"."""
    import sympy

    if scanner.next.kind in ("integer", "decimal"):
        text = scanner.take().text
        _, _, exponent = text.lower().partition("e")
        if abs(int(exponent or 0)) > 400:
            scanner.fail("a decimal exponent of at most 400")
        return sympy.Rational(text)
    if scanner.accept("("):
        return _inside(scanner)
    if scanner.next.kind == "name":
        name = scanner.next.text
        if name in _FUNCTIONS:
            scanner.take()
            scanner.expect("(")
            function = {"sqrt": sympy.sqrt, "cos": sympy.cos, "sin": sympy.sin}[name]
            return function(_inside(scanner))
        constant = {"pi": sympy.pi, "I": sympy.I, "i": sympy.I}.get(name)
        if constant is not None:
            scanner.take()
            return constant
    return scanner.fail(_NUMBER)


def _inside(scanner: Scanner) -> Any:
    """inside := sum ")"."""
    with scanner.nested():
        value = _sum(scanner)
    scanner.expect(")")
    return value


def _bounded(scanner: Scanner, value: Any) -> Any:
    for rational in value.atoms() if hasattr(value, "atoms") else ():
        if (
            rational.is_Rational
            and max(rational.p.bit_length(), rational.q.bit_length()) > MAX_BITS
        ):
            scanner.fail(f"integers of at most {MAX_BITS} bits")
    return value
