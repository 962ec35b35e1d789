"""Which groups have usual names: all of the catalogue that are reductive, in any basis."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import CATALOGUE, SO, Embed, Group, O, parse_group
from intertwine.irreps import (
    Irrep,
    character_table,
    decompose,
    irrep_named,
    root_system,
    weights,
)
from intertwine.operators import dense
from intertwine.reps import Rep, V

NAMED = (
    "Trivial(2)", "SO(3)", "SO(2,2)", "SO(1,2)", "SO(4,1)", "O(4)", "C(5)", "D(4)", "Scaling(2)",
    "SO13p", "SO13", "O13", "Lorentz", "SO11p", "O11", "Sp(1)", "Z(4)", "S(3)", "SL(2)", "GL(2)",
    "U(2)", "SU(3)", "Cube", "ZksZnxZn(2,2)", "SO2eR3", "O2eR3", "DkeR3(3)", "PointGroup(Oh)",
    "MagneticPointGroup(4'/mm'm)", "Tetrahedral", "Octahedral", "Icosahedral", "A(4)", "Klein",
    "Hyperoctahedral(3)", "Dic(3)", "Q8", "BinaryTetrahedral", "BinaryOctahedral",
    "BinaryIcosahedral", "Pauli(2,1)", "Clifford(1)", "Spin(5)", "G2", "SO(3)*SO(3)", "SO(3)*S(3)",
    "O(3)*S(4)", "SU(2)*U(1)",
)  # fmt: skip
#: RubiksCube has more elements than can be listed.
NOT_NAMED = {"RubiksCube"}
NOT_REDUCTIVE = {"SE", "E", "Galilei", "Poincare", "Heisenberg"}


def turned(group: Group, frame: np.ndarray, seed: int = 3) -> Group:
    """The same group in another frame, by random combinations of its Lie generators."""
    lie = np.array([np.asarray(dense(a)) for a in group.lie_generators])
    discrete = [np.linalg.solve(frame, dense(h) @ frame) for h in group.group_generators]
    mix = np.random.default_rng(seed).standard_normal((len(lie), len(lie)))
    mixed = np.linalg.solve(frame, np.tensordot(mix, lie, 1) @ frame)
    return Group(lie_algebra=mixed, discrete_generators=discrete, refine=0)


def oblique(d: int, *, is_complex: bool = False) -> np.ndarray:
    rng = np.random.default_rng(d)
    frame = np.eye(d) + 0.3 * rng.standard_normal((d, d))
    return frame + 0.2j * rng.standard_normal((d, d)) if is_complex else frame


def names_of(group: Group, rep: Rep = V + V**2, *, is_complex: bool | None = None) -> list[str]:
    """The labels of the irreps in a rep. Checks that each label finds its irrep."""
    irreps = list(decompose(rep(group), is_complex=is_complex).multiplicities)
    labels = [irrep.label for irrep in irreps]
    assert len(set(labels)) == len(labels)
    for irrep, label in zip(irreps, labels, strict=True):
        assert irrep_named(label, group, is_complex=irrep.is_over_complex_numbers) == irrep
    return labels


class TestTheCatalogue:
    @pytest.mark.parametrize("name", NAMED)
    @pytest.mark.sampled(12)
    def test_has_usual_names(self, name: str) -> None:
        labels = names_of(parse_group(name))
        assert not [label for label in labels if label.startswith("W")]

    def test_is_listed(self) -> None:
        listed = {name.split("(")[0].split("*")[0] for name in NAMED}
        assert set(CATALOGUE) == listed | NOT_NAMED | NOT_REDUCTIVE

    @pytest.mark.parametrize("name", ["SE(2)", "Heisenberg(1)"])
    def test_has_no_irreps_of_groups_that_are_not_reductive(self, name: str) -> None:
        with pytest.raises(MethodNotApplicable):
            decompose(V(parse_group(name)))


class TestOtherGeneratorsOfTheSameGroup:
    @pytest.mark.parametrize("name", ["SO(3)", "O(3)", "SU(2)", "SU(3)", "SL(2)", "U(2)"])
    @pytest.mark.sampled(7)
    def test_have_the_same_names(self, name: str) -> None:
        group = parse_group(name)
        other = turned(group, oblique(group.d, is_complex=group.is_complex))
        assert sorted(names_of(other)) == sorted(names_of(group))

    def test_that_are_fewer_and_generate_it_by_brackets(self) -> None:
        for kept in ([0, 1], [1, 2]):
            group = Group(lie_algebra=np.asarray(SO(3).lie_algebra)[kept])
            assert names_of(group) == ["l=0", "l=1", "l=2"]

    @pytest.mark.slow
    def test_with_several_reflections(self) -> None:
        mirrors = [np.diag([1.0, 1.0, -1.0]), np.diag([-1.0, 1.0, 1.0]), np.diag([-1.0, -1.0, 1.0])]
        both = Group(lie_algebra=SO(3).lie_algebra, discrete_generators=mirrors)
        assert names_of(both) == names_of(O(3))
        turn = Group(lie_algebra=SO(3).lie_algebra, discrete_generators=mirrors[2:])
        assert names_of(turn) == names_of(SO(3))

    @pytest.mark.slow
    def test_have_no_matrices_of_e3nn_in_an_oblique_frame(self) -> None:
        other = turned(SO(3), oblique(3))
        with pytest.raises(MethodNotApplicable, match="only in another frame"):
            Irrep("l=2", other).to_e3nn()
        rotated = Group(lie_algebra=np.tensordot(oblique(3), np.asarray(SO(3).lie_algebra), 1))
        irrep = Irrep("l=2", rotated)
        g = rotated.sample(1)
        own, known = (i.to_e3nn() @ i.rho(g) @ i.to_e3nn().T for i in (irrep, Irrep("l=2", SO(3))))
        np.testing.assert_allclose(own, known, atol=1e-12)


class TestSomeCoordinates:
    @pytest.mark.slow
    def test_are_moved_as_by_the_smaller_group(self) -> None:
        assert names_of(Embed(SO(3), 5, [0, 2, 3])) == ["l=0", "l=1", "l=2"]
        assert names_of(Embed(O(3), 4, slice(3))) == ["0e", "1o", "1e", "2e"]


class TestAGroupIsItsGenerators:
    def test_and_factors_give_other_names_for_the_same_irreps(self) -> None:
        product = parse_group("SO(2)*SO(3)")
        plain = Group(lie_algebra=product.lie_algebra)
        assert plain == product
        irreps = list(decompose(V(product)).multiplicities)
        for _ in range(2):  # in both orders: names are those of the group as it is given
            assert [i.label for i in irreps] == ["m=±1 ⊗ l=1"]
            again = [Irrep(i.name, plain) for i in irreps]
            assert [i.label for i in again] == ["(2) m=1+(2) m=-1"]
            assert again == irreps
        assert Irrep("m=1 ⊗ l=1", product) == Irrep("(2) m=1+(2) m=-1", plain)

    def test_and_its_own_name_is_shown_whichever_equal_group_came_before(self) -> None:
        product = parse_group("SO(2)*SO(4)")
        plain = Group(lie_algebra=product.lie_algebra)
        for group in (product, plain, product):
            with pytest.raises(InvalidRep) as caught:
                Irrep("l=1", group)
            assert f"is not the name of an irrep of {group!r}" in str(caught.value)
            assert root_system(group).group is group
            assert weights(V(group)).to_json()["group"] == repr(group)

    def test_and_its_own_name_is_that_of_its_character_table(self) -> None:
        product = parse_group("Z(2)*Z(5)")
        plain = Group(discrete_generators=product.group_generators)
        assert plain == product
        for group in (product, plain, product):
            assert character_table(group).to_json()["group"] == repr(group)

    def test_and_copies_have_its_names(self) -> None:
        copy = parse_group("SO(3)*Z(2)").numbered(2)
        labels = [irrep.label for irrep in decompose(V(copy)).multiplicities]
        assert sorted(labels) == ["l=1 ⊗ A", "l=1 ⊗ B"]
