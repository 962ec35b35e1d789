"""Magnetic point groups: their symbols, orders, and which of them allow which effects."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from intertwine.errors import InvalidGroup
from intertwine.groups import MAGNETIC_CLASSES, Group, MagneticPointGroup, PointGroup, parse_group
from intertwine.groups.enumeration import enumerate_elements


def elements_of(group: Group) -> np.ndarray:
    known = enumerate_elements(group)
    assert known is not None
    return known.elements


@pytest.fixture(scope="module")
def classes() -> dict[str, np.ndarray]:
    """The elements of each group, diag(R, s)."""
    return {symbol: elements_of(MagneticPointGroup(symbol)) for symbol in MAGNETIC_CLASSES}


def test_there_are_122_of_three_kinds(classes: dict[str, np.ndarray]) -> None:
    kinds = Counter()
    for elements in classes.values():
        signs, matrices = elements[:, 3, 3], elements[:, :3, :3]
        is_one = np.array([np.allclose(matrix, np.eye(3)) for matrix in matrices])
        reverses = bool((signs < 0).any())
        kinds["grey" if (is_one & (signs < 0)).any() else "both" if reverses else "white"] += 1
    assert kinds == {"white": 32, "grey": 32, "both": 58}


def test_no_two_are_alike(classes: dict[str, np.ndarray]) -> None:
    """Two groups differ in how many elements have which determinant, trace and sign, or in axes."""
    found = {
        np.sort([e.round(6).tobytes() for e in elements + 0.0]).tobytes()
        for elements in classes.values()
    }
    assert len(found) == 122


@pytest.mark.slow
def test_the_spatial_parts_form_the_point_group(classes: dict[str, np.ndarray]) -> None:
    for symbol, elements in classes.items():
        group = MagneticPointGroup(symbol)
        order = len(elements_of(group.point_group))
        assert len(elements) == order * (2 if symbol.endswith("1'") and symbol != "-1'" else 1)
        half = (elements[:, 3, 3] < 0).sum()
        assert half in (0, len(elements) // 2)


#: In how many groups an effect is allowed, by what it maps and how time reversal acts on it (Birss,
#: *Symmetry and Magnetism*, 1964; Borovik-Romanov and Grimmer, *International Tables* D, 2003,
#: §1.5): the character of its tensor.
EFFECTS = {
    "ferromagnetism, an axial vector that time reverses": (31, lambda r, d, t, s: d * t * s),
    "toroidal moment, a polar vector that time reverses": (31, lambda r, d, t, s: t * s),
    "linear magnetoelectricity, from an electric field to a magnetisation": (
        58, lambda r, d, t, s: t * t * d * s,
    ),
    "piezomagnetism, from stress to a magnetisation": (
        66, lambda r, d, t, s: (t * t + np.trace(r @ r, axis1=1, axis2=2)) / 2 * t * d * s,
    ),
}  # fmt: skip


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_published_number_of_groups_allows(effect: str, classes: dict[str, np.ndarray]) -> None:
    expected, character = EFFECTS[effect]
    allowed = 0
    for elements in classes.values():
        r, s = elements[:, :3, :3], elements[:, 3, 3]
        d, t = np.linalg.det(r), np.trace(r, axis1=1, axis2=2)
        allowed += bool(round(float(character(r, d, t, s).mean())))
    assert allowed == expected


@pytest.mark.parametrize(
    "text",
    ["MagneticPointGroup(4'/mm'm)", 'MagneticPointGroup("m-3m1\'")', "MagneticPointGroup(-1')"],
)
def test_it_is_read_from_text(text: str) -> None:
    group = parse_group(text)
    assert isinstance(group, MagneticPointGroup)
    assert parse_group(repr(group)) == group


def test_without_primes_nothing_reverses_time() -> None:
    group = MagneticPointGroup("m-3m")
    assert all(element[3, 3] == 1 for element in elements_of(group))
    assert group.point_group == PointGroup("m-3m")
    assert MagneticPointGroup("2′/m") == MagneticPointGroup("2'/m")


@pytest.mark.parametrize(
    ("symbol", "says"),
    [
        ("", "122"), ("4''", "122"), ("'4", "122"), ("5'", "122"), ("C4v", "122"), (3, "122"),
        ("4'1'", "122"), ("4/'m", "122"), ("3'", "write 31'"), ("2'2'2'", "write 2221'"),
        ("m'-3", "write m-31'"), ("23'", "write 231'"),
    ],
)  # fmt: skip
def test_a_wrong_symbol_is_refused(symbol: object, says: str) -> None:
    with pytest.raises(InvalidGroup, match=says):
        MagneticPointGroup(symbol)
