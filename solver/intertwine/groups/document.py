"""Groups as JSON: generators as numbers or exact strings."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from reprlib import repr as shortened
from typing import Any

import numpy as np

from intertwine.errors import IntertwineError, InvalidGroup, InvalidSetting, TooLarge
from intertwine.groups.generators import MAX_ENTRIES, refuse_large
from intertwine.groups.group import Group
from intertwine.groups.numbers import parse_number
from intertwine.groups.product import DirectProduct
from intertwine.groups.refinement import read_tolerance
from intertwine.groups.text import MAX_FACTORS, parse_group
from intertwine.operators import Permutation, dense

_KEYS = (
    "lie_algebra",
    "discrete_generators",
    "d",
    "name",
    "copy",
    "factors",
    "refine",
    "precision",
)
MAX_NAME = 100
"""The longest name of a group, in characters."""
MAX_GENERATORS = 1000
"""The most generators of either kind."""
MAX_EXACT_ENTRIES = 10_000
"""The largest number of entries given as exact strings."""
MAX_EXACT_CHARACTERS = 50_000
"""The most characters of distinct exact strings. Each is parsed and evaluated to 100 digits."""


def read_group(group: Group | str | Mapping[str, Any]) -> Group:
    """Return a group from a `Group`, a text, or its generators as JSON.

    Raises the errors of `parse_group` and `group_from_json`, and `InvalidSetting` for other types.
    """
    if isinstance(group, Group):
        return group
    if isinstance(group, str):
        return parse_group(group)
    if isinstance(group, Mapping):
        return group_from_json({name: value for name, value in group.items() if value is not None})
    raise InvalidSetting(
        f"a group is one of intertwine.groups, its text, or its generators, not {group!r}"
    )


def group_document(group: Group) -> str | dict[str, Any]:
    """Return what `read_group` reads: the text of a group of the catalogue, else its generators.

    The generators are a JSON object, as of `group_to_json`, and are read exactly.
    """
    text = repr(group)
    try:
        if parse_group(text) == group:
            return text
    except IntertwineError:
        pass  # a user-defined group
    return group_to_json(group)


def group_from_json(document: Any) -> Group:
    """Return the group of a JSON object ``{"lie_algebra": […], "discrete_generators": […]}``.

    Both are lists of square matrices, rows of numbers or of strings such as ``"sqrt(3)/2"`` and
    ``"1/2 + I/3"``; a discrete generator may also be a permutation, a list of integers. A group
    without generators has ``"d"``, and a copy of a group its number, ``"copy": 1``.
    A product of copies is ``{"factors": […]}``. ``"refine": 1e-5`` takes the nearest exact group,
    for rounded generators; ``"refine": 0`` declares the generators exact. ``"precision": 1e-6``
    is the generators' precision if their digits do not show it.
    Raises `InvalidGroup`, `ParseError` or `TooLarge`.
    """
    if not isinstance(document, Mapping):
        raise InvalidGroup(f"a group is a JSON object with the keys {', '.join(_KEYS[:2])}")
    unknown = [key for key in document if key not in _KEYS]
    if unknown:
        raise InvalidGroup(f"unknown keys {unknown} in a group; the known ones are {list(_KEYS)}")
    d, name = document.get("d"), document.get("name")
    if d is not None and (
        isinstance(d, bool) or not isinstance(d, int) or not 1 <= d <= MAX_ENTRIES
    ):
        raise InvalidGroup(f"the size d of a group is a positive integer, not {d!r}")
    if name is not None and not (isinstance(name, str) and name.isprintable()):
        raise InvalidGroup(f"the name of a group is a printable text, not {shortened(name)}")
    if len(name or "") > MAX_NAME:
        raise InvalidGroup(f"the name of a group has at most {MAX_NAME} characters")
    number = document.get("copy")
    if document.get("factors") is not None:
        return _product(document, number)
    exact = _ExactNumbers()
    group = Group(
        lie_algebra=[_matrix(item, exact) for item in _list(document, "lie_algebra")],
        discrete_generators=[
            _matrix(item, exact) for item in _list(document, "discrete_generators")
        ],
        d=d,
        name=name,
        refine=_refine(document.get("refine")),
        precision=document.get("precision"),
    )
    return group if number is None else group.numbered(number)


def group_to_json(group: Group) -> dict[str, Any]:
    """Return the generators of a group as JSON that `group_from_json` reads without loss.

    A permutation is written as the list of its indices, complex entries as texts. A refined group
    is written with its refined generators.
    """
    original, numbers = group.unnumbered, list(group.copy_numbers)
    if isinstance(original, DirectProduct) and original.is_more_than_its_generators:
        both = {"factors": [group_to_json(side) for side in (original.left, original.right)]}
        return {**both, "copy": numbers} if numbers else both
    nameless = type(original) is Group and repr(original) == original.description
    if len(repr(original)) > MAX_NAME:  # a product of nameless groups
        nameless = True
    name: dict[str, Any] = {} if nameless else {"name": repr(original)}
    if numbers:
        name["copy"] = numbers[0] if len(numbers) == 1 else numbers
    return {
        "lie_algebra": [_rows(generator) for generator in group.lie_generators],
        "discrete_generators": [generator_to_json(h) for h in group.group_generators],
        "d": group.d,
        **name,
        **({"refine": 0} if group.is_exact else {}),
        **({"precision": group.known_precision} if group.known_precision else {}),
    }


def generator_to_json(generator: Any) -> list[Any]:
    """Return a matrix as a list of rows, and a permutation without signs as its indices."""
    if isinstance(generator, Permutation) and generator.signs is None:
        return [int(index) for index in generator.indices]
    return _rows(generator)


def read_generators(items: Any, what: str) -> list[Any]:
    """Return the matrices and permutations of a JSON list, as in a group's document.

    `what` names them in errors. Raises `InvalidGroup` and `TooLarge` for other values.
    """
    exact = _ExactNumbers()
    return [_matrix(item, exact) for item in _list({what: items}, what)]


def _product(document: Mapping[str, Any], number: Any, depth: int = 0) -> Group:
    """Return the product of a document's factors, which may be products themselves."""
    factors = document["factors"]
    if not isinstance(factors, list) or not 1 <= len(factors) <= MAX_FACTORS:
        raise InvalidGroup(f"factors is a list of 1 to {MAX_FACTORS} groups")
    others = [key for key in document if key not in ("factors", "copy")]
    if any(document[key] is not None for key in others):
        raise InvalidGroup(f"a group with factors has no other keys but copy; found {others}")
    if depth > MAX_FACTORS:
        raise TooLarge(f"products of groups are nested at most {MAX_FACTORS} deep")
    found = [
        _product(factor, factor.get("copy"), depth + 1)
        if isinstance(factor, Mapping) and factor.get("factors") is not None
        else group_from_json(factor)
        for factor in factors
    ]
    group = functools.reduce(operator.mul, found)
    return group if number is None else group.numbered(number)


class _ExactNumbers:
    """The values of a document's exact strings. Equal strings are evaluated once."""

    def __init__(self) -> None:
        self._entries = self._characters = 0
        self._admitted: set[str] = set()
        self._values: dict[str, complex | float] = {}

    def admit(self, texts: Iterable[str]) -> None:
        """Count strings before any is evaluated.

        Raises `InvalidGroup` for too many strings, and `TooLarge` for too long ones.
        """
        for text in texts:
            self._entries += 1
            if text not in self._admitted:
                self._admitted.add(text)
                self._characters += len(text)
        if self._entries > MAX_EXACT_ENTRIES:
            raise InvalidGroup(
                f"at most {MAX_EXACT_ENTRIES:,} entries may be exact strings; give numbers"
            )
        if self._characters > MAX_EXACT_CHARACTERS:
            raise TooLarge(
                f"the exact strings have more than {MAX_EXACT_CHARACTERS:,} characters, equal "
                "ones counted once; give numbers"
            )

    def read(self, text: str) -> complex | float:
        """Return the value of an admitted string. Raises `ParseError`."""
        if text not in self._values:
            value = parse_number(text)
            self._values[text] = value if value.imag else value.real
        return self._values[text]


def _refine(value: Any) -> Any:
    if value is None or (value == 0 and not isinstance(value, bool)):
        return value
    return read_tolerance(value, "refine")


def _rows(generator: Any) -> list[Any]:
    matrix = np.asarray(dense(generator))
    rows: list[Any] = matrix.tolist()
    if np.iscomplexobj(matrix):
        return [[f"{z.real:.17g}{z.imag:+.17g}*I" for z in row] for row in rows]
    return rows


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key) or []
    if not isinstance(value, list):
        raise InvalidGroup(f"{key} is a list of generators, not {type(value).__name__}")
    if len(value) > MAX_GENERATORS:
        raise TooLarge(f"{key} has {len(value):,} generators; at most {MAX_GENERATORS:,} are read")
    return value


def _matrix(item: Any, exact: _ExactNumbers) -> Any:
    """Return one generator as an array, or as a list of integers for a permutation."""
    if not isinstance(item, list) or not item:
        raise InvalidGroup("a generator is a list of rows, or a permutation as a list of integers")
    if not any(isinstance(row, list) for row in item):
        if any(isinstance(index, bool) or not isinstance(index, int) for index in item):
            raise InvalidGroup(
                f"a generator with one axis is a permutation of integers: {shortened(item)}"
            )
        return item
    if any(not isinstance(row, list) or len(row) != len(item) for row in item):
        raise InvalidGroup(f"a generator of {len(item)} rows is not square")
    refuse_large(len(item) ** 2, "a generator")
    exact.admit(entry for row in item for entry in row if isinstance(entry, str))
    numbers = [[_number(entry, exact) for entry in row] for row in item]
    return np.array(numbers)


def _number(entry: Any, exact: _ExactNumbers) -> complex | float:
    if isinstance(entry, str):
        return exact.read(entry)
    if isinstance(entry, bool) or not isinstance(entry, int | float):
        raise InvalidGroup(
            f"an entry of a generator is a number or an exact string, not {shortened(entry)}"
        )
    try:
        return float(entry)
    except OverflowError:
        raise InvalidGroup("an entry of a generator is too large for float64") from None
