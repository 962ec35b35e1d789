"""Mulliken symbols against the published tables: which symbols, and how functions transform."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.groups import Group, PointGroup, parse_group
from intertwine.groups.enumeration import enumerate_elements
from intertwine.irreps import Irrep, decompose, irrep_named
from intertwine.reps import Scalar, V

#: The irreps over ℝ of each crystal class and of some others (Altmann and Herzig, *Point-Group
#: Theory Tables*, 1994).
SYMBOLS = {
    "C1": "A", "Ci": "Ag Au", "C2": "A B", "Cs": "A' A''", "C2h": "Ag Bg Au Bu",
    "D2": "A B1 B2 B3", "C2v": "A1 A2 B1 B2", "D2h": "Ag B1g B2g B3g Au B1u B2u B3u",
    "C4": "A B E", "S4": "A B E", "C4h": "Ag Bg Eg Au Bu Eu", "D4": "A1 A2 B1 B2 E",
    "C4v": "A1 A2 B1 B2 E", "D2d": "A1 A2 B1 B2 E",
    "D4h": "A1g A2g B1g B2g Eg A1u A2u B1u B2u Eu", "C3": "A E", "C3i": "Ag Eg Au Eu",
    "D3": "A1 A2 E", "C3v": "A1 A2 E", "D3d": "A1g A2g Eg A1u A2u Eu", "C6": "A B E1 E2",
    "C3h": "A' A'' E' E''", "C6h": "Ag Bg E1g E2g Au Bu E1u E2u", "D6": "A1 A2 B1 B2 E1 E2",
    "C6v": "A1 A2 B1 B2 E1 E2", "D3h": "A1' A2' E' A1'' A2'' E''",
    "D6h": "A1g A2g B1g B2g E1g E2g A1u A2u B1u B2u E1u E2u", "T": "A E T",
    "Th": "Ag Eg Tg Au Eu Tu", "O": "A1 A2 E T1 T2", "Td": "A1 A2 E T1 T2",
    "Oh": "A1g A2g Eg T1g T2g A1u A2u Eu T1u T2u",
    "I": "A T1 T2 G H", "D4d": "A1 A2 B1 B2 E1 E2 E3", "D5d": "A1g A2g E1g E2g A1u A2u E1u E2u",
    "D5h": "A1' A2' E1' E2' A1'' A2'' E1'' E2''", "S8": "A B E1 E2 E3", "C5v": "A1 A2 E1 E2",
}  # fmt: skip


def elements_of(group: Group) -> list[np.ndarray]:
    found = enumerate_elements(group)
    assert found is not None
    return list(found.elements)


@pytest.mark.parametrize("group", SYMBOLS)
@pytest.mark.sampled(4)
def test_every_symbol_of_the_table_is_an_irrep(group: str) -> None:
    over = PointGroup(group)
    irreps = [Irrep(symbol, over) for symbol in SYMBOLS[group].split()]
    assert len(set(irreps)) == len(irreps)
    assert [irrep.label for irrep in irreps] == SYMBOLS[group].split()
    squares = sum(i.size() ** 2 // {"ℝ": 1, "ℂ": 2, "ℍ": 4}[i.type] for i in irreps)
    assert squares == len(elements_of(over))


def polynomial(function: str, x: np.ndarray) -> np.ndarray:
    values: np.ndarray = eval(function, {"x": x[0], "y": x[1], "z": x[2]})
    return values


#: How functions transform: the columns of published tables (x, y, z with the principal axis z).
FUNCTIONS = {
    "C2v": {"z": "A1", "x*y": "A2", "x": "B1", "y": "B2"},
    "D2": {"z": "B1", "y": "B2", "x": "B3"},
    "D2h": {"z": "B1u", "y": "B2u", "x": "B3u", "x*y": "B1g", "x*z": "B2g", "y*z": "B3g"},
    "C2h": {"y": "Au", "x": "Bu", "x*z": "Ag", "x*y": "Bg"},
    "D4": {"z": "A2", "x*x-y*y": "B1", "x*y": "B2"},
    "C4v": {"z": "A1", "x*x-y*y": "B1", "x*y": "B2", "x*y*(x*x-y*y)": "A2"},
    "D2d": {"z": "B2", "x*x-y*y": "B1", "x*y": "B2"},
    "D4h": {"z": "A2u", "x*x-y*y": "B1g", "x*y": "B2g", "x*y*z": "B1u"},
    "C4": {"z": "A", "x*y": "B"},
    "S4": {"z": "B", "x*y": "B"},
    "D3": {"z": "A2"},
    "C3v": {"z": "A1"},
    "D3h": {"z": "A2''"},
    "C3h": {"z": "A''"},
    "D6": {"z": "A2", "x*(x*x-3*y*y)": "B1", "y*(3*x*x-y*y)": "B2"},
    "C6v": {"z": "A1", "x*(x*x-3*y*y)": "B1", "y*(3*x*x-y*y)": "B2"},
    "D6h": {"z": "A2u", "x*(x*x-3*y*y)": "B1u", "y*(3*x*x-y*y)": "B2u"},
    "Td": {"x*y*z": "A1"},
    "O": {"x*y*z": "A2"},
    "Oh": {"x*y*z": "A2u"},
    "Th": {"x*y*z": "Au"},
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("group", FUNCTIONS)
def test_functions_transform_as_in_the_tables(group: str) -> None:
    over, points = PointGroup(group), np.random.default_rng(1).standard_normal((3, 7))
    for function, symbol in FUNCTIONS[group].items():
        irrep = Irrep(symbol, over)
        for h in map(np.asarray, over.group_generators):
            moved = polynomial(function, np.linalg.inv(h) @ points)
            sign = np.asarray(irrep.rho(h))[0, 0]
            np.testing.assert_allclose(moved, sign * polynomial(function, points), atol=1e-12)


@pytest.mark.parametrize(
    ("group", "vector", "axial"),
    [
        ("T", {"T"}, {"T"}), ("Th", {"Tu"}, {"Tg"}), ("O", {"T1"}, {"T1"}), ("Td", {"T2"}, {"T1"}),
        ("Oh", {"T1u"}, {"T1g"}), ("I", {"T1"}, {"T1"}), ("D3h", {"A2''", "E'"}, {"A2'", "E''"}),
        ("D6h", {"A2u", "E1u"}, {"A2g", "E1g"}), ("D5d", {"A2u", "E1u"}, {"A2g", "E1g"}),
        ("D4d", {"B2", "E1"}, {"A2", "E3"}), ("C6h", {"Au", "E1u"}, {"Ag", "E1g"}),
        ("S8", {"B", "E1"}, {"A", "E3"}), ("C3v", {"A1", "E"}, {"A2", "E"}),
    ],
)  # fmt: skip
def test_vectors_and_rotations(group: str, vector: set[str], axial: set[str]) -> None:
    over = PointGroup(group)
    assert {irrep.label for irrep in decompose(V(over)).multiplicities} == vector
    for g in elements_of(over):
        for name, trace in ((vector, np.trace(g)), (axial, np.linalg.det(g) * np.trace(g))):
            traces = [np.trace(np.asarray(Irrep(each, over).rho(g))) for each in name]
            assert sum(traces) == pytest.approx(trace, abs=1e-9)


@pytest.mark.slow
def test_the_icosahedral_group_with_inversion() -> None:
    symbols = ["Ag", "T1g", "T2g", "Gg", "Hg", "Au", "T1u", "T2u", "Gu", "Hu"]
    assert [Irrep(s, PointGroup("Ih")).size() for s in symbols] == [1, 3, 3, 4, 5] * 2


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_the_plane_is_named_as_cones_of_space(n: int) -> None:
    found = [i.label for i in decompose((Scalar + V + V**2)(parse_group(f"D({n})"))).multiplicities]
    assert set(found) <= set(SYMBOLS[f"C{n}v"].split())
    assert Irrep("A2", parse_group(f"D({n})")).rho(np.diag([-1.0, 1.0]))[0, 0] == pytest.approx(-1)


def test_halves_over_the_complex_numbers() -> None:
    group = PointGroup("C3")
    first = irrep_named("1E", group, is_complex=True)
    turn = np.asarray(group.group_generators[0])
    np.testing.assert_allclose(first.rho(turn), np.exp(2j * np.pi / 3), atol=1e-12)
    assert {irrep_named(e, PointGroup("T"), is_complex=True).size() for e in ("1E", "2E")} == {1}
