"""Point groups by their symbols: orders, settings, and the published numbers of constants."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.errors import InvalidGroup, ParseError
from intertwine.groups import (
    CRYSTAL_CLASSES,
    Icosahedral,
    Octahedral,
    PointGroup,
    Tetrahedral,
    parse_group,
)
from intertwine.groups.enumeration import enumerate_elements

#: The elements of each class: how many have determinant 1, and how many have trace −1, as rotations
#: by 180° do (International Tables A, 2016, table 3.2.1.3); and its numbers of elastic and of
#: piezoelectric constants (Nye, *Physical Properties of Crystals*, 1985, tables 8 and 9).
NUMBERS = {
    "1": (21, 18), "-1": (21, 0), "2": (13, 8), "m": (13, 10), "2/m": (13, 0),
    "222": (9, 3), "mm2": (9, 5), "mmm": (9, 0), "4": (7, 4), "-4": (7, 4), "4/m": (7, 0),
    "422": (6, 1), "4mm": (6, 3), "-42m": (6, 2), "4/mmm": (6, 0), "3": (7, 6), "-3": (7, 0),
    "32": (6, 2), "3m": (6, 4), "-3m": (6, 0), "6": (5, 4), "-6": (5, 2), "6/m": (5, 0),
    "622": (5, 1), "6mm": (5, 3), "-6m2": (5, 1), "6/mmm": (5, 0), "23": (3, 1), "m-3": (3, 0),
    "432": (3, 0), "-43m": (3, 1), "m-3m": (3, 0),
}  # fmt: skip


def elements_of(symbol: str) -> np.ndarray:
    known = enumerate_elements(PointGroup(symbol))
    assert known is not None
    return known.elements


@pytest.mark.parametrize("row", CRYSTAL_CLASSES, ids=lambda row: row.hermann_mauguin)
def test_each_class_has_its_order_by_every_symbol_and_in_every_setting(row: object) -> None:
    assert isinstance(row, type(CRYSTAL_CLASSES[0]))
    group = PointGroup(row.hermann_mauguin)
    assert len(elements_of(row.hermann_mauguin)) == row.order
    assert group == PointGroup(row.schoenflies) == PointGroup(row.full)
    assert group.crystal_class == row
    assert group.is_orthogonal
    assert not group.defects
    for symbol in row.other_settings:
        other = elements_of(symbol)
        assert len(other) == row.order
        assert PointGroup(symbol).crystal_class == row
        # another setting has other matrices of the same kinds
        assert sorted(np.trace(other, axis1=1, axis2=2).round(6)) == sorted(
            np.trace(elements_of(row.full), axis1=1, axis2=2).round(6)
        )
        assert {m.round(6).tobytes() for m in other + 0.0} != {
            m.round(6).tobytes() for m in elements_of(row.full) + 0.0
        }


@pytest.mark.parametrize(("symbol", "numbers"), NUMBERS.items())
def test_each_class_has_its_published_numbers_of_constants(
    symbol: str, numbers: tuple[int, int]
) -> None:
    assert NUMBERS.keys() == {row.hermann_mauguin for row in CRYSTAL_CLASSES}
    elements = elements_of(symbol)

    def symmetric_square(power: int) -> np.ndarray:
        """The character of the symmetric square of V at gᵏ."""
        once = np.linalg.matrix_power(elements, power)
        return (trace(once) ** 2 + trace(once @ once)) / 2

    def trace(matrices: np.ndarray) -> np.ndarray:
        return np.trace(matrices, axis1=1, axis2=2)

    elastic = (symmetric_square(1) ** 2 + symmetric_square(2)) / 2
    piezoelectric = symmetric_square(1) * trace(elements)
    assert (elastic.mean().round(9), piezoelectric.mean().round(9)) == numbers


@pytest.mark.parametrize(
    ("symbol", "order"),
    [("C5", 5), ("C5v", 10), ("C5h", 10), ("C7i", 14), ("D5", 10), ("D5h", 20), ("D4d", 16),
     ("D5d", 20), ("D6d", 24), ("S8", 8), ("S5", 10), ("C12v", 24), ("D8h", 32), ("I", 60),
     ("Ih", 120), ("235", 60)],
)  # fmt: skip
def test_groups_that_no_crystal_has(symbol: str, order: int) -> None:
    assert len(elements_of(symbol)) == order
    assert PointGroup(symbol).crystal_class is None


def test_the_standard_setting() -> None:
    x, y, z = np.eye(3)
    for symbol, axis in (("2", y), ("112", z), ("211", x), ("4", z), ("3", z), ("6", z)):
        for element in elements_of(symbol):
            np.testing.assert_allclose(element @ axis, axis, atol=1e-12)
    np.testing.assert_array_equal(
        np.unique([np.diag(g) for g in elements_of("mm2")], axis=0),
        [[-1, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]],
    )
    assert any(np.allclose(g, np.diag([1, -1, -1])) for g in elements_of("321"))
    assert any(np.allclose(g, np.diag([-1, 1, -1])) for g in elements_of("312"))
    assert any(np.allclose(g, np.diag([-1, 1, 1])) for g in elements_of("3m1"))
    assert any(np.allclose(g, np.diag([1, -1, 1])) for g in elements_of("31m"))
    cubic = elements_of("m-3m")
    assert np.isin(np.abs(cubic), [0, 1]).all()  # exactly


@pytest.mark.parametrize(
    ("old", "new"),
    [("m3m", "m-3m"), ("m3", "m-3"), ("S6", "-3"), ("Vd", "D2d"), ("V", "222"), ("C1h", "m"),
     ("S2", "-1")],
)  # fmt: skip
def test_older_symbols(old: str, new: str) -> None:
    assert PointGroup(old) == PointGroup(new)


def test_rotations_of_the_solids() -> None:
    for group, symbol, order in (
        (Tetrahedral(), "T", 12), (Octahedral(), "O", 24), (Icosahedral(), "I", 60),
    ):  # fmt: skip
        known = enumerate_elements(group)
        assert known is not None
        assert known.order == order
        assert group == PointGroup(symbol)
        np.testing.assert_allclose(np.linalg.det(known.elements), 1)
    # the vertices of an icosahedron are moved to vertices
    golden = (1 + 5**0.5) / 2
    corners = np.array([(0, s, t * golden) for s in (1, -1) for t in (1, -1)])
    vertices = np.concatenate([np.roll(corners, shift, axis=1) for shift in range(3)])
    for element in elements_of("Ih"):
        distances = np.abs((vertices @ element.T)[:, None] - vertices).max(axis=2)
        assert (distances.min(axis=1) < 1e-12).all()


@pytest.mark.parametrize(
    "symbol", ["m-4m", "5", "C4i", "S4h", "C1001", "", "C0", "O h i", 3, "D3i"]
)
def test_other_symbols_are_refused(symbol: object) -> None:
    with pytest.raises(InvalidGroup, match="not a symbol of a point group"):
        PointGroup(symbol)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("PointGroup(-43m)", "-43m"), ('PointGroup("6/mmm")', "6/mmm"), ("PointGroup('Oh')", "Oh"),
     ("PointGroup( 2/m )", "2/m"), ("(PointGroup(m-3m))", "m-3m")],
)  # fmt: skip
def test_a_text_has_the_symbol_with_or_without_quotation_marks(text: str, symbol: str) -> None:
    group = parse_group(text)
    assert group == PointGroup(symbol)
    assert parse_group(repr(group)) == group


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("PointGroup", "expected PointGroup(symbol) at character 1 (found 0 arguments)"),
     ("PointGroup(')", "is not a symbol of a point group"),
     ("PointGroup(m", "this parenthesis is never closed"),
     ("PointGroup(m)m", "expected '*' or the end of the text")],
)  # fmt: skip
def test_wrong_texts_are_shown(text: str, complaint: str) -> None:
    with pytest.raises((ParseError, InvalidGroup)) as error:
        parse_group(text)
    assert complaint in str(error.value)
    assert f"  {text}\n" in str(error.value)
