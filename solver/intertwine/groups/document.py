"""Groups as JSON: generators as numbers or exact strings."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as shortened
from typing import Any

import numpy as np

from intertwine.errors import InvalidGroup, TooLarge
from intertwine.groups.generators import MAX_ENTRIES, refuse_large
from intertwine.groups.group import Group
from intertwine.groups.numbers import parse_number
from intertwine.groups.refinement import read_tolerance
from intertwine.operators import Permutation, dense

_KEYS = ("lie_algebra", "discrete_generators", "d", "name", "refine")
MAX_NAME = 100
"""The longest name of a group, in characters."""
MAX_GENERATORS = 1000
"""The most generators of either kind."""
MAX_EXACT_ENTRIES = 10_000
"""The most entries that may be given as exact strings: each is parsed and evaluated."""


def group_from_json(document: Any) -> Group:
    """The group of a JSON object ``{"lie_algebra": […], "discrete_generators": […]}``.

    Both are lists of square matrices, rows of numbers or of strings such as ``"sqrt(3)/2"`` and
    ``"1/2 + I/3"``; a discrete generator may also be a permutation, a list of integers. A group
    without generators has ``"d"``. ``"refine": 1e-5`` takes the nearest exact group, for generators
    that were rounded, and ``"refine": 0`` says that they are meant as they are. Raises
    `InvalidGroup`, `ParseError` or `TooLarge`.
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
    exact = [0]
    return Group(
        lie_algebra=[_matrix(item, exact) for item in _list(document, "lie_algebra")],
        discrete_generators=[
            _matrix(item, exact) for item in _list(document, "discrete_generators")
        ],
        d=d,
        name=name,
        refine=_refine(document.get("refine")),
    )


def group_to_json(group: Group) -> dict[str, Any]:
    """The generators of a group, as `group_from_json` reads them to the last digit.

    A discrete generator that permutes is the list of its indices; complex entries are texts. Of a
    refined group these are the refined generators.
    """
    nameless = type(group) is Group and repr(group) == group.description
    name = {} if nameless else {"name": repr(group)}
    return {
        "lie_algebra": [_rows(generator) for generator in group.lie_generators],
        "discrete_generators": [
            [int(index) for index in generator.indices]
            if isinstance(generator, Permutation) and generator.signs is None
            else _rows(generator)
            for generator in group.group_generators
        ],
        "d": group.d,
        **name,
        **({"refine": 0} if group.is_exact else {}),
    }


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


def _matrix(item: Any, exact: list[int]) -> Any:
    """One generator as an array, or as a list of integers where it is a permutation."""
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
    numbers = [[_number(entry, exact) for entry in row] for row in item]
    return np.array(numbers)


def _number(entry: Any, exact: list[int]) -> complex | float:
    if isinstance(entry, str):
        exact[0] += 1
        if exact[0] > MAX_EXACT_ENTRIES:
            raise InvalidGroup(
                f"at most {MAX_EXACT_ENTRIES:,} entries may be exact strings; give numbers"
            )
        value = parse_number(entry)
        return value if value.imag else value.real
    if isinstance(entry, bool) or not isinstance(entry, int | float):
        raise InvalidGroup(
            f"an entry of a generator is a number or an exact string, not {shortened(entry)}"
        )
    try:
        return float(entry)
    except OverflowError:
        raise InvalidGroup("an entry of a generator is larger than a float64 can be") from None
