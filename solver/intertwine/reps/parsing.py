"""Reps from text, by recursive descent; each function's docstring is its grammar rule.

Precedence is Python's: powers and postfixes bind tightest, then ``*``, then ``+``, then ``>>``
and ``<<``. A star means the product if a factor follows it, and the dual otherwise:
``V*V`` is V⊗V, and ``V*``, ``V*+5``, ``V*²``, ``V²⊗V*`` hold duals.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import intertwine
from intertwine.errors import InvalidRep, InvalidSetting
from intertwine.groups import CATALOGUE, Group, read_group
from intertwine.groups.generators import MAX_ENTRIES
from intertwine.groups.text import parse_group_within
from intertwine.reps.syntax import (
    MAX_EXPONENT,
    MAX_MULTIPLICITY,
    Rep,
    Scalar,
    T,
    V,
    count_atoms,
    direct_sum,
)
from intertwine.scanner import MAX_LENGTH, Scanner, Token

_SYMBOLS = ("**", ">>", "<<", "*", "⊗", "+", "⊕", "(", ")", "[", "]", ",", ".")
_FACTOR = "a rep such as V, V², T(2,1) or an integer"
MAX_BUILT = 100_000
"""The largest number of terms and factors that the operations of one text may build in total."""

#: The irreps of O(3) as e3nn writes them: 3x1o+2x0e (Geiger and Smidt 2022, arXiv:2207.09453).
_E3NN = r"\s*(?:\d+x)?\d+[eo]\s*(?:\+\s*(?:\d+x)?\d+[eo]\s*)*"
_E3NN_MAPS = rf"{_E3NN}(?:(?:>>|<<){_E3NN})*"
_E3NN_TERM = r"(?:(\d+)x)?(\d+[eo])"

#: Integers stay integers until they meet a rep.
_Value = Rep | int

#: An argument of a function: an integer, a rep, a list of integers or a string.
_Argument = _Value | tuple[int, ...] | str

_FUNCTIONS: dict[str, Callable[..., Rep]] = {}
_NAMES: dict[str, Rep] = {}
_NOTATION: dict[str, Callable[[str], Rep | None]] = {}


def register_notation(letter: str, read: Callable[[str], Rep | None]) -> None:
    """Register `read` for names with this first letter; it returns None for names that it rejects.

    A package above this one calls it on import, and is listed in `intertwine` under the same
    letter, so that a text with such a name imports it. A letter has one reader; the `names` of
    `parse` take precedence.
    """
    _NOTATION[letter] = read


def register_function(name: str, build: Callable[..., Rep]) -> None:
    """Register `build` for texts such as ``Sym(2, V)``, which is ``build(2, V)``; ``Sym²(V)`` is
    the same.

    Its arguments are reps, integers, tuples of integers (written in square brackets) and strings.
    `build` raises `InvalidRep` for values that it rejects; the parser checks their number. The
    `names` of `parse` take precedence.
    """
    _FUNCTIONS[name] = build


def register_name(name: str, rep: Rep) -> None:
    """Register a rep for its name in texts. The `names` of `parse` take precedence."""
    _NAMES[name] = rep


def read_rep(
    rep: Rep | str,
    group: Group | str | Mapping[str, Any] | None = None,
    reps: Mapping[str, Any] | None = None,
) -> Rep:
    """Return a rep from a `Rep` or a text, over `group` if it is given.

    `reps` defines names in the text by the images of the group's generators, as JSON:
    ``{"P": {"images": [[1, 0, 2]]}}``; see `intertwine.reps.rep_document`. Raises the errors of
    `parse` and `read_group`, `InvalidSetting` for other types, and `InvalidRep` for images that are
    not those of a representation.
    """
    if isinstance(rep, str):
        from intertwine.reps.document import read_named_reps

        rep = parse(rep, names=read_named_reps(reps, group) if reps else None)
    if not isinstance(rep, Rep):
        raise InvalidSetting(f"a rep is one of intertwine.reps, or its text, not {rep!r}")
    return rep if group is None else rep(read_group(group))


def parse(text: str, names: Mapping[str, Any] | None = None) -> Rep:
    """Parse a rep such as ``V**2*V.T+5V0``, ``5V⁰+5V`` or ``2V(SO(3))``.

    `names` has user-defined reps and groups: ``parse("P*V", names={"P": P})``. Raises
    `ParseError`, whose message shows the text with a caret and what was expected, and `TooLarge`
    past the bounds on length, nesting, exponents and terms. Irreps are written by name, as in
    ``Irrep("l=2")*V``; a text such as ``3x1o + 2x0e``, or ``3x1o >> 2x0e``, is read as e3nn's, for
    the group O(3). Such names and those of V do not mix: write ``3Irrep("1o") + V``.
    """
    if not isinstance(text, str):
        raise InvalidRep(f"a rep is parsed from text, not from {type(text).__name__}")
    if names is not None and not isinstance(names, Mapping):
        raise InvalidRep(
            f"names is a dict from names to reps and groups, not {names!r}: to give the rep a "
            "group, call it, as in parse(text)(SO(3))"
        )
    if len(text) <= MAX_LENGTH and re.fullmatch(_E3NN_MAPS, text):
        text = re.sub(_E3NN_TERM, lambda term: f'{term[1] or 1}*Irrep("{term[2]}")', text)
    return _Parser(text, dict(names or {})).rep()


class _Parser:
    def __init__(self, text: str, names: dict[str, Any]) -> None:
        wrong = {n: v for n, v in names.items() if not isinstance(v, Rep | Group)}
        if wrong:
            raise InvalidRep(f"the values of names must be reps or groups; these are not: {wrong}")
        self.scanner = Scanner(text, _SYMBOLS, names=names, strings=True)
        self.reps: dict[str, Rep] = {"V": V, "Scalar": Scalar, "Vector": V}
        self.reps |= {n: v for n, v in names.items() if isinstance(v, Rep)}
        self.groups = {n: v for n, v in names.items() if isinstance(v, Group)}
        self.known: dict[str, Group] = {}
        self.entries = 0
        self.built = 0

    def rep(self) -> Rep:
        """rep := maps END."""
        value = self.maps()
        if self._starts_factor():
            self.scanner.fail("an operator", "write V*V for a product and V+V for a sum")
        self.scanner.expect_end("an operator or the end of the text")
        return _rep(value)

    def maps(self) -> _Value:
        """maps := sum ((">>" | "<<") sum)*"""
        value = self.sum()
        while operator := self.scanner.accept(">>", "<<"):
            left, right = _rep(value), _rep(self.sum())
            source, target = (left, right) if operator.text == ">>" else (right, left)
            value = self._build(operator, lambda a, b: a >> b, source, target)
        return value

    def sum(self) -> _Value:
        """sum := product (("+" | "⊕") product)*"""
        terms: list[_Value] = [self.product()]
        first = self.scanner.next
        while self.scanner.accept("+", "⊕"):
            terms.append(self.product())
        if all(isinstance(term, int) for term in terms):
            return self._bounded(sum(term for term in terms if isinstance(term, int)), first)
        return self._build(first, lambda *all: direct_sum([(1, _rep(one)) for one in all]), *terms)

    def product(self) -> _Value:
        """product := power ([ "*" | "⊗" ] power)*, the operator optional after an integer."""
        value, written = self.power()
        while True:
            operator = self.scanner.accept("*", "⊗")
            if operator is None and not (written and self._starts_factor()):
                return value
            if operator is None and self.scanner.next.kind == "integer":
                return value
            token = operator or self.scanner.next
            right, written = self.power()
            value = self._build(token, lambda a, b: a * b, value, right)

    def power(self) -> tuple[_Value, bool]:
        """power := postfixed ["**" power] "*"*; also whether it is a literal integer."""
        start = self.scanner.next
        value, raised = self.raised()
        while self.scanner.sees("*") and self._star_is_dual():
            value, raised = self._dual(self.scanner.take(), value), True
        return value, not raised and start.kind == "integer" and isinstance(value, int)

    def raised(self) -> tuple[_Value, bool]:
        """raised := postfixed ["**" raised]; also whether there is a power."""
        value = self.postfixed()
        if self.scanner.accept("**") is None:
            return value, False
        exponent_at = self.scanner.next
        with self.scanner.nested():
            if not (self.scanner.next.kind == "integer" or self._starts_factor()):
                self.scanner.fail("an integer exponent")
            exponent, _ = self.raised()
        if not isinstance(exponent, int):
            self.scanner.fail("an integer exponent", f"not {exponent}", exponent_at.offset)
        return self._raise(value, exponent, exponent_at), True

    def postfixed(self) -> _Value:
        """postfixed := atom (".T" | "*" | SUPERSCRIPT | "(" group ")")*"""
        value = self.atom()
        while True:
            if self.scanner.accept("."):
                if self.scanner.next.text != "T":
                    self.scanner.fail("T, as in V.T")
                value = self._dual(self.scanner.take(), value)
            elif self.scanner.next.kind == "superscript":
                exponent = self.scanner.take()
                value = self._raise(value, exponent.integer, exponent)
            elif self.scanner.sees("(") and not isinstance(value, int):
                value = self._over(value)
            elif self.scanner.sees("*") and not isinstance(value, int) and self._star_is_dual():
                value = self._dual(self.scanner.take(), value)
            else:
                return value

    def atom(self) -> _Value:
        """atom := INTEGER | "V" [DIGITS] | "T" indices | function | NAME | "(" maps ")"."""
        token = self.scanner.next
        if token.kind == "integer":
            self.scanner.take()
            return self._bounded(token.integer, token)
        if self.scanner.accept("("):
            with self.scanner.nested():
                value = self.maps()
            if self._starts_factor():
                self.scanner.fail("an operator or ')'", "write V*V for a product")
            self.scanner.expect(")")
            return value
        if token.kind != "name":
            self.scanner.fail(_FACTOR)
        self.scanner.take()
        if token.text in self.reps:
            return self.reps[token.text]
        if token.text == "T":
            return self._tensor(token)
        if token.text[0] == "V" and token.text[1:].isascii() and token.text[1:].isdigit():
            return self._raise(V, int(token.text[1:]), token)
        if token.text not in _FUNCTIONS:
            intertwine.load_function(token.text)
        if token.text in _FUNCTIONS:
            return self._function(token)
        if token.text in _NAMES:
            return _NAMES[token.text]
        if (read := _registered(token.text[0])) and (rep := read(token.text)) is not None:
            return rep
        hint = f"{token} is none of {', '.join([*self.reps, 'T(p,q)'])}"
        if token.text in self.groups or token.text[:1].isupper():
            hint += "; a group is written in parentheses after a rep, as in V(SO(3))"
        if re.fullmatch(r"x\d+[eo]", token.text):
            hint += f'; beside other reps, the irrep {token.text[1:]} is Irrep("{token.text[1:]}")'
        self.scanner.fail(_FACTOR, hint, token.offset)

    def _tensor(self, name: Token) -> Rep:
        """indices := "(" INTEGER ["," INTEGER] ")"."""
        self.scanner.expect("(")
        p = self._exponent()
        q = self._exponent() if self.scanner.accept(",") else 0
        self.scanner.expect(")")
        return _rep(self._build(name, lambda a, b: T(a, b), p, q))

    def _function(self, name: Token) -> Rep:
        """function := NAME [SUPERSCRIPT] "(" [argument ("," argument)*] ")"."""
        build, values = _FUNCTIONS[name.text], list[_Argument]()
        if self.scanner.next.kind == "superscript":
            values.append(self.scanner.take().integer)
        self.scanner.expect("(")
        with self.scanner.nested():
            if not self.scanner.sees(")"):
                values.append(self._argument())
            while self.scanner.accept(","):
                values.append(self._argument())
        self.scanner.expect(")")
        signature = inspect.signature(build)
        try:
            signature.bind(*values)
        except TypeError:
            expected = f"{name.text}({', '.join(signature.parameters)})"
            given = "1 argument" if len(values) == 1 else f"{len(values)} arguments"
            self.scanner.fail(expected, f"found {given}", name.offset)
        return _rep(self._build(name, build, *values))

    def _argument(self) -> _Argument:
        """argument := STRING | "[" [INTEGER ("," INTEGER)*] "]" | maps"""
        if self.scanner.next.kind == "string":
            return self.scanner.take().string
        if self.scanner.accept("[") is None:
            return self.maps()
        values: list[int] = []
        while not self.scanner.sees("]") and (not values or self.scanner.expect(",")):
            values.append(self.scanner.expect_kind("integer", "an integer").integer)
        self.scanner.expect("]")
        return tuple(values)

    def _exponent(self) -> int:
        token = self.scanner.expect_kind("integer", "an integer")
        return self._checked_exponent(token.integer, token)

    def _over(self, value: Rep) -> Rep:
        """``( group )`` after a rep; the group's text has its own grammar."""
        opening = self.scanner.next
        closing = self.scanner.closing()
        span = (opening.offset + 1, closing)
        inside = self.scanner.text[slice(*span)]
        group = self.known.get(inside)
        if group is None:
            group = parse_group_within(self.scanner.text, span, self.groups)
            self._count_group(inside, group, opening)
        self.scanner.skip_to(closing + 1)
        return _rep(self._build(opening, lambda rep, over: rep(over), value, group))

    def _count_group(self, text: str, group: Group, token: Token) -> None:
        """Limit the total size of the generators of all groups in a text."""
        self.known[text] = group
        self.entries += group.entries
        if self.entries > MAX_ENTRIES:
            self.scanner.fail(
                f"groups of at most {MAX_ENTRIES:,} matrix entries in all", "", token.offset
            )

    def _star_is_dual(self) -> bool:
        """Return whether the next token, a star, is not followed by a factor."""
        following = self.scanner.after(self.scanner.next)
        if following.text == "(":  # a group in parentheses is not a factor: V*(SO13p())
            inside = self.scanner.after(following).text
            return inside not in self.reps and (inside in CATALOGUE or inside in self.groups)
        return following.kind in ("symbol", "superscript", "end")

    def _starts_factor(self) -> bool:
        token = self.scanner.next
        return token.kind in ("name", "integer") or token.text == "("

    def _raise(self, base: _Value, exponent: int, token: Token) -> _Value:
        exponent = self._checked_exponent(exponent, token)
        if isinstance(base, int):
            return self._bounded(base**exponent, token)
        return self._build(token, lambda a, b: a**b, base, exponent)

    def _checked_exponent(self, exponent: int, token: Token) -> int:
        if exponent > MAX_EXPONENT:
            hint = f"not {exponent:,}" if exponent < 10**15 else "this is a longer one"
            self.scanner.fail(f"an exponent of at most {MAX_EXPONENT}", hint, token.offset)
        return exponent

    def _bounded(self, value: int, token: Token) -> int:
        if value > MAX_MULTIPLICITY:
            self.scanner.fail(
                f"integers of at most {MAX_MULTIPLICITY:,}", "this makes a larger one", token.offset
            )
        return value

    def _build(self, token: Token, operation: Callable[..., _Value], *values: Any) -> _Value:
        """Apply an operation of the algebra; its errors show the token's place."""
        with self.scanner.showing(token.offset):
            result = operation(*values)
        if isinstance(result, int):
            return self._bounded(result, token)
        self.built += count_atoms(result)
        if self.built > MAX_BUILT:
            self.scanner.fail(
                "a shorter rep",
                f"its operations build at most {MAX_BUILT:,} terms and factors in all",
                token.offset,
            )
        return result

    def _dual(self, token: Token, value: _Value) -> Rep:
        return _rep(self._build(token, lambda rep: rep.T, _rep(value)))


def _registered(letter: str) -> Callable[[str], Rep | None] | None:
    """Return the reader of names with this first letter, if any."""
    if letter not in _NOTATION:
        intertwine.load_notation(letter)
    return _NOTATION.get(letter)


def _rep(value: _Value) -> Rep:
    return value if isinstance(value, Rep) else direct_sum([(value, Scalar)])
