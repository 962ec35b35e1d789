"""Character tables: orthogonality, published tables, exact values, and other ways to names."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from helpers.program import called, python
from intertwine.errors import MethodNotApplicable, TooLarge
from intertwine.groups import Group, S, WreathProduct, Z, parse_group
from intertwine.irreps import Irrep, character_table, decompose
from intertwine.reps import V

SMALL = (
    "Trivial(2)", "Z(2)", "Z(7)", "Z(12)", "Klein", "Q8", "S(3)", "S(4)", "S(5)", "A(4)", "A(5)",
    "D(5)", "D(6)", "D(9)", "Dic(3)", "Dic(5)", "BinaryTetrahedral", "BinaryOctahedral",
    "BinaryIcosahedral", "Pauli(2,1)", "Pauli(3,1)", "Clifford(1)", "Hyperoctahedral(3)",
    "PointGroup(Oh)", "PointGroup(Ih)", "PointGroup(D6h)", "PointGroup(D8d)", "Z(3)*S(4)",
    "Q8*Z(4)", "D(4)*D(3)", "ZksZnxZn(4,3)",
)  # fmt: skip


def check(group: Group) -> None:
    """The laws of a character table, computed without its own checks."""
    table = character_table(group)
    n, sizes, x = table.order, table.classes.sizes, table.values
    assert sizes.sum() == n
    assert all(n % size == 0 for size in sizes)
    assert sum(d * d for d in table.dimensions) == n
    assert set(table.indicators) <= {-1, 0, 1}
    np.testing.assert_allclose((x * sizes) @ x.conj().T, n * np.eye(len(x)), atol=1e-9 * n)
    np.testing.assert_allclose(x.conj().T @ x, np.diag(n / sizes), atol=1e-9 * n)
    np.testing.assert_allclose(x[0], 1, atol=1e-12)
    assert len(set(table.labels)) == len(table.labels)
    # Frobenius and Schur: the number of square roots of 1
    squares = sum(int(s) for s, o in zip(sizes, table.classes.orders, strict=True) if o <= 2)
    pairs = zip(table.indicators, table.dimensions, strict=True)
    assert sum(nu * d for nu, d in pairs) == squares


@pytest.mark.parametrize("name", SMALL)
def test_rows_and_columns_are_orthogonal(name: str) -> None:
    check(parse_group(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [f"D({n})" for n in range(2, 100, 7)] + [f"Dic({n})" for n in range(2, 50, 5)]
    + [f"Z({n})" for n in range(2, 200, 17)]
    + ["Pauli(2,2)", "Pauli(5,1)", "Z(5)*S(4)", "A(5)*Z(3)", "D(5)*D(9)", "Q8*Q8",
       "PointGroup(Td)*Z(8)", "PointGroup(S12)", "Hyperoctahedral(4)", "S(6)", "ZksZnxZn(2,5)"],
)  # fmt: skip
def test_many_groups(name: str) -> None:
    check(parse_group(name))


def test_of_a_wreath_product() -> None:
    group = WreathProduct(Z(3), S(3))
    check(group)
    assert character_table(group).order == 162


class TestPublishedTables:
    def test_s4(self) -> None:
        assert str(character_table(S(4))) == (
            "order         1   2   2   3   4\n"
            "size          1   3   6   8   6\n"
            "[4]           1   1   1   1   1\n"
            "[1, 1, 1, 1]  1   1  -1   1  -1\n"
            "[2, 2]        2   2   0  -1   0\n"
            "[3, 1]        3  -1   1   0  -1\n"
            "[2, 1, 1]     3  -1  -1   0   1"
        )

    def test_a5(self) -> None:
        assert str(character_table(parse_group("A(5)"))) == (
            "order  1   2   3         5         5\n"
            "size   1  15  20        12        12\n"
            "1a     1   1   1         1         1\n"
            "3a     3  -1   0  (1+√5)/2  (1-√5)/2\n"
            "3b     3  -1   0  (1-√5)/2  (1+√5)/2\n"
            "4a     4   0   1        -1        -1\n"
            "5a     5   1  -1         0         0"
        )

    def test_q8_and_d4_differ_only_in_type(self) -> None:
        quaternions, square = (
            character_table(parse_group("Q8")),
            character_table(parse_group("D(4)")),
        )
        assert quaternions.indicators == [1, 1, 1, 1, -1]
        assert square.indicators == [1, 1, 1, 1, 1]
        assert sorted(map(tuple, quaternions.values.real.round(9).tolist())) == sorted(
            map(tuple, square.values.real.round(9)[:, [0, 1, 4, 2, 3]].tolist())
        )

    def test_the_octahedral_group(self) -> None:
        table = character_table(parse_group("PointGroup(Oh)"))
        assert set(table.labels) == {
            f"{symbol}{parity}" for symbol in ("A1", "A2", "E", "T1", "T2") for parity in "gu"
        }
        row = {label: table.values[i] for i, label in enumerate(table.labels)}
        four = table.classes.orders.index(4)
        values = {
            label: sorted(row[label][four : four + 2].real.round()) for label in ("T1u", "T2g")
        }
        assert values == {"T1u": [-1, 1], "T2g": [-1, -1]}

    def test_the_heptagon_has_cosines(self) -> None:
        table = character_table(parse_group("D(7)"))
        assert table.exact(2, 2) == "2cos(2π/7)"
        assert table.labels == ["A1", "A2", "E1", "E2", "E3"]

    def test_cube_roots_and_sevenths(self) -> None:
        table = character_table(parse_group("A(4)"))
        assert {table.exact(i, r) for i in (1, 2) for r in (2, 3)} == {"(-1+i√3)/2", "(-1-i√3)/2"}
        assert character_table(Z(7)).exact(1, 2) == "ζ7^2"

    def test_partitions_are_those_of_brute_force(self) -> None:
        table = character_table(S(4))  # χ of [3, 1]: fixed points minus 1
        row = table.values[table.labels.index("[3, 1]")].real
        fixed: dict[int, set[float]] = {}
        for p in permutations(range(4)):
            count = sum(i == j for i, j in enumerate(p))
            element = np.eye(4)[:, list(p)]
            all_elements = table.classes.enumeration.elements
            place = int(np.argmin(np.abs(all_elements - element).max(axis=(1, 2))))
            fixed.setdefault(count, set()).add(round(row[table.classes.of[place]]))
        assert fixed == {4: {3}, 2: {1}, 1: {0}, 0: {-1}}


class TestNamesByLetters:
    @pytest.mark.parametrize("name", ["A(5)", "Q8", "Z(3)*S(3)", "A(4)", "Pauli(3,1)"])
    def test_both_ways(self, name: str) -> None:
        group = parse_group(name)
        irreps = list(decompose((V**2 + V)(group)).multiplicities)
        assert len({irrep.label for irrep in irreps}) == len(irreps)
        for irrep in irreps:
            assert Irrep(irrep.label, group) == irrep

    def test_over_the_real_numbers_halves_are_one_irrep(self) -> None:
        group = parse_group("A(4)")
        assert Irrep("1b", group) == Irrep("1c", group) == Irrep("1b+1c", group)
        assert Irrep("1b", group).type == "ℂ"
        assert Irrep("3a", group).size() == 3

    def test_the_order_is_the_same_in_every_process(self) -> None:
        program = (
            "from intertwine.groups import parse_group\nfrom intertwine.irreps import "
            "character_table\nprint(character_table(parse_group('Pauli(3,1)')))"
        )
        assert python(program).strip() == str(character_table(parse_group("Pauli(3,1)")))


class TestForms:
    def test_a_notebook_shows_a_table(self) -> None:
        table = character_table(S(3))
        assert table._repr_html_().count("<tr>") == 5
        assert repr(table) == "<character table of S(3): 6 elements, 3 classes>"

    def test_json(self) -> None:
        found = character_table(S(3)).to_json()
        assert found["irreps"][2] == {
            "label": "[2, 1]", "dimension": 2, "indicator": 1, "values": ["2", "0", "-1"],
        }  # fmt: skip
        assert found["classes"][1] == {"order": 2, "size": 3}

    def test_the_command_line(self) -> None:
        ended = called("characters", "S(3)")
        assert ended.out.splitlines()[-1].split() == ["[2,", "1]", "2", "0", "-1"]
        assert '"indicator": 1' in called("characters", "S(3)", "--json").out


class TestLimits:
    def test_groups_that_are_not_finite(self) -> None:
        with pytest.raises(MethodNotApplicable, match="only finite groups have a character table"):
            character_table(parse_group("SO(3)"))

    def test_large_groups(self) -> None:
        with pytest.raises(TooLarge, match="5,040 elements: classes of at most 4,000"):
            character_table(S(7))
        with pytest.raises(TooLarge, match="1,600 conjugacy classes"):
            character_table(parse_group("C(1600)"))
        with pytest.raises(TooLarge, match="at most 100 are written"):
            str(character_table(Z(101)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["D(500)", "Z(5)*D(100)", "C(1000)", "PointGroup(Oh)*Z(20)"])
def test_order_1000(name: str) -> None:
    check(parse_group(name))
