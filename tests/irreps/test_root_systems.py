"""Root systems: published types, Cartan matrices and dimensions, in any basis and frame."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from intertwine.errors import MethodNotApplicable, RoundedGenerators, TooLarge
from intertwine.groups import SO, SU, Group, parse_group
from intertwine.irreps import RootSystem, root_system
from intertwine.operators import dense

#: The type of each group's Lie algebra, its dimension, and the order of its Weyl group.
TYPES = {
    "SU(2)": ("A1", 3, 2), "SU(3)": ("A2", 8, 6), "SU(4)": ("A3", 15, 24), "SO(3)": ("A1", 3, 2),
    "SO(4)": ("A1 × A1", 6, 4), "SO(5)": ("B2", 10, 8), "SO(6)": ("A3", 15, 24),
    "SO(7)": ("B3", 21, 48), "SO(8)": ("D4", 28, 192), "Sp(1)": ("A1", 3, 2),
    "Sp(2)": ("B2", 10, 8), "Sp(3)": ("C3", 21, 48), "G2": ("G2", 14, 12),
    "Spin(5)": ("B2", 10, 8), "SL(3)": ("A2", 8, 6), "SO13p": ("A1 × A1", 6, 4),
    "O13": ("A1 × A1", 6, 4), "SO(2,3)": ("B2", 10, 8), "GL(2)": ("A1 × U(1)", 4, 2),
    "U(3)": ("A2 × U(1)", 9, 6), "SO(2)": ("U(1)", 1, 1), "U(1)": ("U(1)", 1, 1),
    "SU(9)": ("A8", 80, 362_880), "Scaling(3)": ("U(1)", 1, 1), "SO(3)*SU(3)": ("A1 × A2", 11, 12),
    "SO(5)*U(1)": ("B2 × U(1)", 11, 8), "SO(2)*SO(2)": ("U(1) × U(1)", 2, 1),
}  # fmt: skip


def generators(name: str) -> np.ndarray:
    return np.array([np.asarray(dense(a)) for a in parse_group(name).lie_generators])


def moved(name: str, seed: int) -> Group:
    """The same group by random combinations of its generators, in an oblique frame."""
    rng, lie = np.random.default_rng(seed), generators(name)
    d, is_complex = lie.shape[1], np.iscomplexobj(lie)
    frame = np.eye(d) + 0.3 * rng.standard_normal((d, d))
    frame = frame + 0.2j * rng.standard_normal((d, d)) if is_complex else frame
    mixed = np.tensordot(rng.standard_normal((len(lie), len(lie))), lie, 1)
    return Group(lie_algebra=np.linalg.solve(frame, mixed @ frame), refine=0)


def weyl_order(roots: RootSystem) -> int:
    """The size of the orbit of ρ, whose stabiliser is trivial."""
    start = (1,) * roots.rank
    orbit = [start]
    for weight in orbit:  # grows as it is walked
        for i in range(roots.rank):
            new = tuple(roots.reflected(np.array([weight]), i)[0].tolist())
            if new not in orbit:
                orbit.append(new)
    return len(orbit)


@pytest.mark.parametrize("name", TYPES)
def test_types_are_published(name: str) -> None:
    roots = root_system(parse_group(name))
    expected, dimension, order = TYPES[name]
    assert (roots.type, roots.dimension) == (expected, dimension)
    assert roots.rank + roots.charges == expected.count("×") + 1 + sum(
        int(part[1:]) - 1 for part in expected.split(" × ") if part != "U(1)"
    )
    if order < 100:
        assert weyl_order(roots) == order
    every = set(map(tuple, roots.roots.tolist()))
    assert len(every) == 2 * len(roots.positive_roots)
    for i in range(roots.rank):  # reflections permute the roots
        assert set(map(tuple, roots.reflected(roots.roots, i).tolist())) == every
    assert np.all(roots.coefficients >= 0)
    np.testing.assert_array_equal(roots.coefficients[: roots.rank], np.eye(roots.rank))
    np.testing.assert_array_equal(roots.simple_roots, roots.positive_roots[: roots.rank])


@pytest.mark.parametrize("name", ["SU(3)", "SO(5)", "G2", "SO(4)", "U(2)", "SL(3)", "Sp(3)"])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_labels_do_not_depend_on_the_basis(name: str, seed: int) -> None:
    first, second = root_system(parse_group(name)), root_system(moved(name, seed))
    assert (first.type, first.orders) == (second.type, second.orders)
    np.testing.assert_array_equal(first.cartan_matrix, second.cartan_matrix)
    np.testing.assert_array_equal(first.positive_roots, second.positive_roots)
    labels = [sorted(r.weights_of_base[:, : r.rank].tolist()) for r in (first, second)]
    assert labels[0] == labels[1]


class TestOrders:
    def test_are_those_of_bourbaki(self) -> None:
        tables = {
            "G2": [[2, -1], [-3, 2]],
            "SO(5)": [[2, -2], [-1, 2]],
            "Sp(3)": [[2, -1, 0], [-1, 2, -1], [0, -2, 2]],
            "SO(8)": [[2, -1, 0, 0], [-1, 2, -1, -1], [0, -1, 2, 0], [0, -1, 0, 2]],
        }
        for name, table in tables.items():
            assert root_system(parse_group(name)).cartan_matrix.tolist() == table

    def test_are_decided_by_v(self) -> None:
        first = {"SU(3)": [1, 0], "SO(8)": [1, 0, 0, 0], "SO(6)": [0, 1, 0], "G2": [1, 0]}
        for name, labels in first.items():
            rows = root_system(parse_group(name)).weights_of_base.tolist()
            assert [row for row in rows if min(row) >= 0 and any(row)] == [labels]

    def test_that_v_does_not_decide_are_listed(self) -> None:
        assert root_system(SU(3)).orders == ((0, 1),)
        assert set(root_system(SO(8)).orders) == {(0, 1, 2, 3), (0, 1, 3, 2)}
        assert set(root_system(SO(4)).orders) == {(0, 1), (1, 0)}

    def test_of_large_algebras(self) -> None:
        with pytest.raises(TooLarge, match="more than 200 dimensions"):
            root_system(SO(21))

    def test_are_few(self) -> None:
        steps = np.array([[[0.0, 1], [0, 0]], [[0.0, 0], [1, 0]]])  # of SL(2)
        lie = [np.kron(np.diag(np.eye(8)[k]), step) for k, step in product(range(8), steps)]
        with pytest.raises(TooLarge, match="40,320 symmetries"):
            root_system(Group(lie_algebra=lie))


class TestWeylsFormula:
    @pytest.mark.parametrize(
        ("name", "labels", "dimension"),
        [
            ("SU(2)", (5,), 6), ("SU(3)", (1, 1), 8), ("SU(3)", (3, 0), 10), ("SO(5)", (0, 1), 4),
            ("SO(5)", (2, 0), 14), ("G2", (1, 0), 7), ("G2", (0, 1), 14), ("G2", (2, 0), 27),
            ("G2", (1, 1), 64), ("SO(8)", (0, 1, 0, 0), 28), ("SO(8)", (0, 0, 0, 1), 8),
            ("Sp(3)", (0, 0, 1), 14), ("U(2)", (3, 7), 4), ("SO(2)", (4,), 1),
        ],
    )  # fmt: skip
    def test_has_published_dimensions(
        self, name: str, labels: tuple[int, ...], dimension: int
    ) -> None:
        assert root_system(parse_group(name)).dimension_of(labels) == dimension

    def test_of_a_product_is_a_product(self) -> None:
        both = root_system(parse_group("SO(3)*SU(3)"))
        for a, b, c in product(range(3), repeat=3):
            parts = (a + 1, root_system(SU(3)).dimension_of((b, c)))
            assert both.dimension_of((a, b, c)) == prod(parts)

    @pytest.mark.parametrize("labels", [(-1, 0), (1,), (1.5, 0), ("x", 0)])
    def test_refuses_what_is_not_dominant(self, labels: Any) -> None:
        with pytest.raises(MethodNotApplicable, match="give 2 Dynkin labels from 0 on"):
            root_system(SU(3)).dimension_of(labels)


class TestCharges:
    def test_are_those_of_the_generators_as_given(self) -> None:
        turn = np.array([[0.0, -1.0], [1.0, 0.0]])
        zero = np.zeros((2, 2))
        first, second = np.block([[turn, zero], [zero, 3 * turn]]), np.kron(np.diag([0, 1]), turn)
        roots = root_system(Group(lie_algebra=[first, second]))
        assert (roots.type, roots.charges, roots.rank) == ("U(1) × U(1)", 2, 0)
        assert sorted(roots.weights_of_base.tolist()) == [[-3, -1], [-1, 0], [1, 0], [3, 1]]
        back = root_system(Group(lie_algebra=[-first, second]))
        assert sorted(back.weights_of_base.tolist()) == [[-3, 1], [-1, 0], [1, 0], [3, -1]]

    def test_of_a_complex_group_act_on_v_alone(self) -> None:
        pauli = [np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]
        real = Group(lie_algebra=[c * s for s in pauli for c in (0.5, 0.5j)])  # SL(2, ℂ), over ℝ
        roots = root_system(real)
        assert roots.type == "A1 × A1"
        assert sorted(roots.weights_of_base.tolist()) == [[-1, 0], [1, 0]]


class TestRefusals:
    @pytest.mark.parametrize("name", ["S(4)", "Trivial(2)", "PointGroup(Oh)"])
    def test_of_finite_groups(self, name: str) -> None:
        with pytest.raises(MethodNotApplicable, match=r"no Lie generators.*character_table"):
            root_system(parse_group(name))

    @pytest.mark.parametrize("name", ["SE(2)", "Heisenberg(1)", "Galilei(1)"])
    def test_of_groups_that_are_not_reductive(self, name: str) -> None:
        with pytest.raises(MethodNotApplicable, match=r"not reductive.*Take a reductive subgroup"):
            root_system(parse_group(name))

    def test_of_lines_in_a_torus(self) -> None:
        turn = np.array([[0.0, -1.0], [1.0, 0.0]])
        winding = np.kron(np.diag([1, np.sqrt(2)]), turn)
        for a in (winding, np.eye(2) + turn):
            with pytest.raises(MethodNotApplicable, match="a whole torus instead of a line"):
                root_system(Group(lie_algebra=[a]))

    def test_of_rounded_generators(self) -> None:
        lie = np.round(np.linalg.solve(np.array([[1, 0.3, 0], [0, 1, 0.1], [0.2, 0, 1]]),
                                       generators("SO(3)")), 5)  # fmt: skip
        with pytest.raises(RoundedGenerators):
            root_system(Group(lie_algebra=lie @ np.array([[1, 0.3, 0], [0, 1, 0.1], [0.2, 0, 1]])))


def test_brackets_of_generators_count() -> None:
    assert root_system(Group(lie_algebra=generators("G2")[[0, 3, 7]])).type == "G2"
    assert repr(root_system(SU(3))) == "<root system A2 of SU(3)>"
