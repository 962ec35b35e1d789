"""The point groups of three-dimensional space, by their symbols.

A symbol of Hermann and Mauguin names an element for each of up to three directions, which depend on
the crystal system (*International Tables for Crystallography* A, 2016, §§1.4 and 3.2): n is a
rotation by 2π/n, −n (written ``-n``) that rotation times the inversion, m a reflection in the plane
perpendicular to the direction, and n/m a rotation and a reflection. These elements are the
generators.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from intertwine.errors import InvalidGroup
from intertwine.groups.elementary import GOLDEN_RATIO, mirror, rotation_about
from intertwine.groups.group import Group

_Matrix = Float[np.ndarray, "3 3"]
_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_LARGEST_AXIS = 1000

#: The directions of a symbol's elements. (In hexagonal axes the third is [1 −1 0], which a
#: threefold rotation takes to y.)
_DIRECTIONS = {
    "triclinic": (_X, _Y, _Z),
    "monoclinic": (_X, _Y, _Z),
    "orthorhombic": (_X, _Y, _Z),
    "tetragonal": (_Z, _X, (1.0, -1.0, 0.0)),
    "trigonal": (_Z, _X, _Y),
    "hexagonal": (_Z, _X, _Y),
    "cubic": (_Z, (1.0, 1.0, 1.0), (1.0, -1.0, 0.0)),
}


@dataclass(frozen=True)
class CrystalClass:
    """One of the 32 crystallographic point groups."""

    hermann_mauguin: str
    """The short symbol."""
    schoenflies: str
    system: str
    order: int
    full: str
    """The symbol with the elements of each direction, in the standard setting."""
    other_settings: tuple[str, ...] = ()


#: The 32 crystal classes, in the order of the International Tables.
CRYSTAL_CLASSES: tuple[CrystalClass, ...] = (
    CrystalClass("1", "C1", "triclinic", 1, "1"),
    CrystalClass("-1", "Ci", "triclinic", 2, "-1"),
    CrystalClass("2", "C2", "monoclinic", 2, "121", ("112", "211")),
    CrystalClass("m", "Cs", "monoclinic", 2, "1m1", ("11m", "m11")),
    CrystalClass("2/m", "C2h", "monoclinic", 4, "12/m1", ("112/m", "2/m11")),
    CrystalClass("222", "D2", "orthorhombic", 4, "222"),
    CrystalClass("mm2", "C2v", "orthorhombic", 4, "mm2", ("2mm", "m2m")),
    CrystalClass("mmm", "D2h", "orthorhombic", 8, "2/m2/m2/m"),
    CrystalClass("4", "C4", "tetragonal", 4, "4"),
    CrystalClass("-4", "S4", "tetragonal", 4, "-4"),
    CrystalClass("4/m", "C4h", "tetragonal", 8, "4/m"),
    CrystalClass("422", "D4", "tetragonal", 8, "422"),
    CrystalClass("4mm", "C4v", "tetragonal", 8, "4mm"),
    CrystalClass("-42m", "D2d", "tetragonal", 8, "-42m", ("-4m2",)),
    CrystalClass("4/mmm", "D4h", "tetragonal", 16, "4/m2/m2/m"),
    CrystalClass("3", "C3", "trigonal", 3, "3"),
    CrystalClass("-3", "C3i", "trigonal", 6, "-3"),
    CrystalClass("32", "D3", "trigonal", 6, "321", ("312",)),
    CrystalClass("3m", "C3v", "trigonal", 6, "3m1", ("31m",)),
    CrystalClass("-3m", "D3d", "trigonal", 12, "-32/m1", ("-312/m",)),
    CrystalClass("6", "C6", "hexagonal", 6, "6"),
    CrystalClass("-6", "C3h", "hexagonal", 6, "-6"),
    CrystalClass("6/m", "C6h", "hexagonal", 12, "6/m"),
    CrystalClass("622", "D6", "hexagonal", 12, "622"),
    CrystalClass("6mm", "C6v", "hexagonal", 12, "6mm"),
    CrystalClass("-6m2", "D3h", "hexagonal", 12, "-6m2", ("-62m",)),
    CrystalClass("6/mmm", "D6h", "hexagonal", 24, "6/m2/m2/m"),
    CrystalClass("23", "T", "cubic", 12, "23"),
    CrystalClass("m-3", "Th", "cubic", 24, "2/m-3"),
    CrystalClass("432", "O", "cubic", 24, "432"),
    CrystalClass("-43m", "Td", "cubic", 24, "-43m"),
    CrystalClass("m-3m", "Oh", "cubic", 48, "4/m-32/m"),
)
#: Older symbols, and short ones of other settings, with the symbols that replace them.
_SYNONYMS = {
    "m3": "m-3", "m3m": "m-3m", "-3m1": "-32/m1", "-31m": "-312/m", "S2": "Ci", "S6": "C3i",
    "C1h": "Cs", "C1v": "Cs", "D1": "C2", "D1h": "C2v", "D1d": "C2h",
    "V": "D2", "Vh": "D2h", "Vd": "D2d",
    "235": "I", "532": "I", "m-3-5": "Ih", "-53m": "Ih", "-5-32/m": "Ih", "2/m-3-5": "Ih",
}  # fmt: skip
#: The class that a symbol names, and the symbol of its setting.
_CLASSES = {
    symbol: (found, symbol if symbol in found.other_settings else found.full)
    for found in CRYSTAL_CLASSES
    for symbol in (
        found.full, found.hermann_mauguin, found.schoenflies, *found.other_settings,
    )
}  # fmt: skip


class PointGroup(Group):
    """A point group of three-dimensional space: ``PointGroup("m-3m")``, ``PointGroup("Oh")``.

    The symbol is that of Hermann and Mauguin of one of the 32 crystal classes (`CRYSTAL_CLASSES`),
    short or full, also in another setting, such as "112" or "-62m"; or Schoenflies' symbol of any
    point group, such as "C5v", "D4h", "D6d", "S8", "Cs", "Ci", "Td", "Th", "Oh" and "Ih". Both
    symbols of a class give the same matrices.

    Matrices are in the standard setting, in orthonormal coordinates: the principal axis is z, but
    the only axis of a monoclinic class is y; x is the direction of the lattice vector a. Cubic
    classes have their axes of order 2 or 4 along x, y and z. Raises `InvalidGroup` for another
    symbol.
    """

    def __init__(self, symbol: Any) -> None:
        name = symbol.replace(" ", "") if isinstance(symbol, str) else ""
        name = _SYNONYMS.get(name, name)
        known, setting = _CLASSES.get(name, (None, ""))
        generators = _of_class(known, setting) if known else _of_axes(name)
        if generators is None:
            raise InvalidGroup(
                f"{symbol!r} is not a symbol of a point group: give one of Hermann and Mauguin, "
                f"{', '.join(each.hermann_mauguin for each in CRYSTAL_CLASSES)}; or one of "
                f"Schoenflies, such as C3v, D4h, S8, Td, Oh and Ih, with axes of order at most "
                f"{_LARGEST_AXIS}"
            )
        super().__init__(discrete_generators=generators, d=3)
        self._class: CrystalClass | None = known

    @property
    def crystal_class(self) -> CrystalClass | None:
        """The crystal class, with its symbols, its crystal system and its order; None if no crystal
        has this symmetry.
        """
        return self._class


def elements_of_symbol(symbol: str) -> list[_Matrix] | None:
    """Return the elements that a symbol of Hermann and Mauguin names, in the order of the symbol.

    n/m names two, and 1 the identity. None for other texts.
    """
    known, setting = _CLASSES.get(symbol, (None, ""))
    if known is None or symbol == known.schoenflies:
        return None
    if symbol == known.hermann_mauguin and not setting.startswith("1"):
        setting = symbol  # 1 at the beginning says that the axis is y
    elements = _named_elements(known, setting)
    if setting != symbol:  # a monoclinic class by its short symbol
        return elements[1:-1]
    return elements


def _of_class(crystal_class: CrystalClass, full: str) -> list[_Matrix]:
    """Return the generators that a full symbol names."""
    elements = _named_elements(crystal_class, full)
    return [matrix for matrix in elements if not np.array_equal(matrix, np.eye(3))]


def _named_elements(crystal_class: CrystalClass, symbol: str) -> list[_Matrix]:
    elements = re.findall(r"m|-?\d(?:/m)?", symbol)
    generators = []
    for element, direction in zip(elements, _DIRECTIONS[crystal_class.system], strict=False):
        if order := re.search(r"\d", element):
            turn = rotation_about(direction, int(order[0]))
            generators.append(-turn if element.startswith("-") else turn)
        if element.endswith("m"):
            generators.append(mirror(direction))
    return generators


def _of_axes(name: str) -> list[_Matrix] | None:
    """Return the generators of a group without a crystal class, from its symbol of Schoenflies;
    None for other texts.
    """
    if name in ("I", "Ih"):
        fivefold = rotation_about((0.0, 1.0, GOLDEN_RATIO), 5)
        inversion = [-np.eye(3)] if name == "Ih" else []
        return [rotation_about((1.0, 1.0, 1.0), 3), fivefold, *inversion]
    match = re.fullmatch(r"(C|D|S)([1-9]\d{0,3})(|v|h|d|i)", name)
    if match is None:
        return None
    kind, n, suffix = match[1], int(match[2]), match[3]
    turn, perpendicular, flip = rotation_about(_Z, n), rotation_about(_X, 2), mirror(_Z)
    if n > _LARGEST_AXIS:
        return None
    if kind == "S":  # a rotation by 2π/n times the reflection; for odd n these generate Cₙₕ
        return [turn @ flip] if not suffix and n > 1 else None
    found = {
        "C": [turn],
        "Cv": [turn, mirror(_X)],
        "Ch": [turn, flip],
        "D": [turn, perpendicular],
        "Dh": [turn, perpendicular, flip],
        "Dd": [rotation_about(_Z, 2 * n) @ flip, perpendicular],
    }
    if n % 2:
        found["Ci"] = [turn, -np.eye(3)]
    return found.get(f"{kind}{suffix}")


class Tetrahedral(Group):
    """The 12 rotations of a tetrahedron, on three dimensions: the point group T, or 23."""

    def __init__(self) -> None:
        super().__init__(discrete_generators=PointGroup("T").group_generators)


class Octahedral(Group):
    """The 24 rotations of an octahedron, on three dimensions: the point group O, or 432."""

    def __init__(self) -> None:
        super().__init__(discrete_generators=PointGroup("O").group_generators)


class Icosahedral(Group):
    """The 60 rotations of an icosahedron, on three dimensions: the point group I, or 235.

    Axes of order 2 are x, y and z, and the vertices are at (0, ±1, ±φ) and its cyclic shifts.
    """

    def __init__(self) -> None:
        super().__init__(discrete_generators=PointGroup("I").group_generators)
