"""The magnetic point groups: rotations and reflections, some combined with the reversal of time.

Their symbols are those of the crystal classes with a prime at each element that reverses time; in a
grey group, time reversal is an element by itself, and 1' follows the symbol. (Shubnikov 1951;
Litvin, *Magnetic Group Tables*, 2013, part 1.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

from intertwine.errors import InvalidGroup
from intertwine.groups.enumeration import enumerate_elements
from intertwine.groups.group import Group
from intertwine.groups.point_groups import CRYSTAL_CLASSES, PointGroup, elements_of_symbol

_REVERSAL = np.diag([1.0, 1.0, 1.0, -1.0])
_GREY = "1'"

#: The classes with both kinds of elements, by crystal class.
_BLACK_AND_WHITE = {
    "-1": ("-1'",),
    "2": ("2'",),
    "m": ("m'",),
    "2/m": ("2'/m", "2/m'", "2'/m'"),
    "222": ("2'2'2",),
    "mm2": ("m'm2'", "m'm'2"),
    "mmm": ("m'mm", "m'm'm", "m'm'm'"),
    "4": ("4'",),
    "-4": ("-4'",),
    "4/m": ("4'/m", "4/m'", "4'/m'"),
    "422": ("4'22'", "42'2'"),
    "4mm": ("4'm'm", "4m'm'"),
    "-42m": ("-4'2'm", "-4'2m'", "-42'm'"),
    "4/mmm": ("4/m'mm", "4'/mm'm", "4'/m'm'm", "4/mm'm'", "4/m'm'm'"),
    "-3": ("-3'",),
    "32": ("32'",),
    "3m": ("3m'",),
    "-3m": ("-3'm", "-3'm'", "-3m'"),
    "6": ("6'",),
    "-6": ("-6'",),
    "6/m": ("6'/m", "6/m'", "6'/m'"),
    "622": ("6'22'", "62'2'"),
    "6mm": ("6'mm'", "6m'm'"),
    "-6m2": ("-6'm'2", "-6'm2'", "-6m'2'"),
    "6/mmm": ("6/m'mm", "6'/mmm'", "6'/m'mm'", "6/mm'm'", "6/m'm'm'"),
    "m-3": ("m'-3'",),
    "432": ("4'32'",),
    "-43m": ("-4'3m'",),
    "m-3m": ("m'-3'm", "m-3m'", "m'-3'm'"),
}


def _symbols() -> Iterator[str]:
    for row in CRYSTAL_CLASSES:
        symbol = row.hermann_mauguin
        yield symbol
        yield f"{symbol}{_GREY}"
        yield from _BLACK_AND_WHITE.get(symbol, ())


MAGNETIC_CLASSES: tuple[str, ...] = tuple(_symbols())
"""The symbols of the 122 magnetic point groups: 32 without the reversal of time, 32 grey ones, and
58 with both kinds of elements.
"""


class MagneticPointGroup(Group):
    """A magnetic point group: ``MagneticPointGroup("4'/mm'm")``, ``MagneticPointGroup("m-3m1'")``.

    It acts on four dimensions: its matrices are diag(R, s), where R acts on space and s = −1 if the
    element reverses time. `Space` and `Time` are the two parts of V. A magnetisation is a
    pseudovector whose sign time reversal changes, ``Det(Space)*Space*Time``, and an electric field
    is a vector of ``Space``.

    The symbol is that of `PointGroup`, by Hermann and Mauguin, with a prime at each element that
    reverses time, or with 1' at its end; `MAGNETIC_CLASSES` has the usual ones. Axes are those of
    `PointGroup`. Raises `InvalidGroup` for another symbol, and for primes that contradict each
    other.
    """

    def __init__(self, symbol: Any) -> None:
        name = symbol.replace(" ", "").replace("′", "'") if isinstance(symbol, str) else ""
        is_grey = name.endswith(_GREY) and name != "-1'"  # there the prime is the inversion's
        primed = (name.removesuffix(_GREY) or "1") if is_grey else name
        plain = primed.replace("'", "")
        elements = elements_of_symbol(plain)
        is_placed = re.fullmatch(r"(-?[m\d]'?/?)+", primed) is not None
        if elements is None or not is_placed or (is_grey and plain != primed):
            raise InvalidGroup(
                f"{symbol!r} is not the symbol of a magnetic point group: write a symbol of "
                f"Hermann and Mauguin with primes, such as 4'/mm'm, or with 1' at its end; the "
                f"122 usual ones are in MAGNETIC_CLASSES"
            )
        primes = re.findall(r"(?:m|\d)('?)", primed)
        generators = [
            _with_time(matrix, -1.0 if prime else 1.0)
            for matrix, prime in zip(elements, primes, strict=True)
            if prime or not np.array_equal(matrix, np.eye(3))
        ]
        if is_grey:
            generators.append(_REVERSAL)
        super().__init__(discrete_generators=generators, d=4)
        if not is_grey and _reverses_time_alone(self):
            raise InvalidGroup(
                f"the primes of {symbol!r} contradict each other: its elements generate the "
                f"reversal of time by itself; if that is meant, write {plain}{_GREY}"
            )
        self._symbol = plain

    @property
    def point_group(self) -> PointGroup:
        """The point group of its elements without their time reversals."""
        return PointGroup(self._symbol)


def _with_time(matrix: Float[np.ndarray, "3 3"], sign: float) -> Float[np.ndarray, "4 4"]:
    found = np.zeros((4, 4))
    found[:3, :3], found[3, 3] = matrix, sign
    return found


def _reverses_time_alone(group: Group) -> bool:
    known = enumerate_elements(group)
    assert known is not None, "a point group by its symbol is finite"
    return any(np.allclose(element, _REVERSAL) for element in known.elements)
